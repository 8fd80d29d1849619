"""``stayline completion``: what a shell needs, made from the same tree that reads the arguments.

A word is completed to a command, an option of that command, one of an option's choices, a session
(asked of ``stayline runs --names``), or a file where a file is meant.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from stayline.cli.arguments import tree

#: Options whose value is a path.
_PATHS = {"--store", "--output", "-o", "--key-file", "--tls-certificate", "--tls-key"}
#: Words for an option that takes any text.
_WORDS = {"--proxy": ["none", "environment"]}
_SESSIONS = "stayline runs --names --limit 200 2>/dev/null"


@dataclass(frozen=True)
class Option:
    """One option of one command."""

    names: list[str]
    help: str
    takes_value: bool
    choices: list[str]

    @property
    def path(self) -> bool:
        """Whether its value is a path."""
        return any(name in _PATHS for name in self.names)

    @property
    def session(self) -> bool:
        """Whether its value is a session."""
        return "--session" in self.names


@dataclass(frozen=True)
class Command:
    """One command."""

    name: str
    help: str
    options: list[Option]
    #: Whether its first word is a session.
    session: bool
    #: Its first word's choices, if they are known.
    choices: list[str]
    #: Whether another program's command line follows.
    program: bool


def main(options: argparse.Namespace) -> int:
    """Prints it."""
    written = {"bash": _bash, "zsh": _zsh, "fish": _fish}[options.shell]
    print("\n".join(written(list(commands()))))
    return 0


def commands() -> Iterator[Command]:
    """The tree, as far as shells care."""
    for action in tree()._actions:
        if isinstance(action, argparse._SubParsersAction):
            told = {one.dest: one.help or "" for one in action._choices_actions}
            for name, parser in action.choices.items():
                yield _command(name, told.get(name, ""), parser)


def _command(name: str, text: str, parser: argparse.ArgumentParser) -> Command:
    options, session, choices, program = [], False, [], False
    for action in parser._actions:
        if action.option_strings:
            words = _WORDS.get(action.option_strings[0], [])
            found = [str(one) for one in action.choices or words]
            about = (action.help or "").replace("%(default)s", str(action.default))
            options.append(Option(list(action.option_strings), about, action.nargs != 0, found))
        elif action.nargs == argparse.REMAINDER:
            program = True
        elif action.dest == "session":
            session = True
        elif action.choices:
            choices = [str(one) for one in action.choices]
    return Command(name, text, options, session, choices, program)


# --- bash -----------------------------------------------------------------------------------------

#: Bash takes words apart at colons and equal signs, which are in ids and options; here they are put
#: together again. Names are compared as they are: `compgen -W` would *run* what looks like a
#: command in one.
_BASH_HELPERS = """\
# The words up to the cursor, in $words; what of the last one bash leaves alone, in $kept.
_stayline_words() {
    local rest="$COMP_LINE" index part
    words=() kept=
    for (( index = 0; index <= COMP_CWORD; index++ )); do
        part="${COMP_WORDS[index]}"
        if (( index > 0 )) && [[ "$rest" != [[:space:]]* ]]; then
            kept="${words[${#words[@]}-1]}"
            words[${#words[@]}-1]+="$part"
            [[ "$part" == [:=] ]] && kept+="$part"
        else
            rest="${rest#"${rest%%[![:space:]]*}"}"
            words+=("$part")
            kept=
        fi
        rest="${rest#"$part"}"
    done
}
# Offers those that begin with $word.
_stayline_offer() {
    local name
    for name in "$@"; do
        [[ -n "$name" && "$name" == "$word"* ]] || continue
        name="${name#"$kept"}"
        COMPREPLY+=("$(printf %q "$name")")
    done
}
_stayline_sessions() {
    local -a names
    mapfile -t names < <(SESSIONS)
    _stayline_offer "${names[@]}"
}
_stayline_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
}
# Whether no word that is no option came before; the options that take a value are given.
_stayline_first() {
    local index
    for (( index = 2; index < ${#words[@]} - 1; index++ )); do
        if [[ " $* " == *" ${words[index]} "* ]]; then
            (( index++ ))
        elif [[ "${words[index]}" != -* ]]; then
            return 1
        fi
    done
}"""


def _bash(known: list[Command]) -> Iterator[str]:
    yield "# stayline completion bash"
    yield _BASH_HELPERS.replace("SESSIONS", _SESSIONS)
    yield "_stayline() {"
    yield "    local -a words"
    yield "    local kept word before options="
    yield "    COMPREPLY=()"
    yield "    _stayline_words"
    yield '    word="${words[${#words[@]}-1]}"'
    yield "    if (( ${#words[@]} == 2 )); then"
    yield f"        _stayline_offer {' '.join(one.name for one in known)} --help --version"
    yield "        return"
    yield "    fi"
    yield '    before="${words[${#words[@]}-2]}"'
    yield '    if [[ "$word" == --*=* ]]; then'
    yield '        before="${word%%=*}"'
    yield '        kept="${kept#"$before="}"'
    yield '        word="${word#*=}"'
    yield "    fi"
    yield '    case "${words[1]}" in'
    for one in known:
        yield from _bash_command(one)
    yield "    esac"
    yield "}"
    yield "complete -F _stayline stayline"


def _bash_command(one: Command) -> Iterator[str]:
    yield f"    {one.name})"
    if one.program:
        # The words after -- are another program's.
        yield '        if [[ " ${words[*]:2:${#words[@]}-3} " == *" -- "* ]]; then'
        yield '            mapfile -t COMPREPLY < <(compgen -c -f -- "$word"); return'
        yield "        fi"
    yield '        case "$before" in'
    for each in one.options:
        answer = _bash_values(each)
        if answer:
            yield f"        {'|'.join(each.names)}) {answer}; return ;;"
    yield "        esac"
    yield '        if [[ "$word" == -* ]]; then'
    names = " ".join(name for each in one.options for name in each.names)
    yield f"            _stayline_offer {names}"
    if one.session or one.choices:
        offer = f"_stayline_offer {' '.join(one.choices)}" if one.choices else "_stayline_sessions"
        yield f"        elif _stayline_first {_valued(one)}; then"
        yield f"            {offer}"
    yield "        fi ;;"


def _valued(one: Command) -> str:
    return " ".join(name for each in one.options if each.takes_value for name in each.names)


def _bash_values(option: Option) -> str:
    if option.choices:
        return f"_stayline_offer {' '.join(option.choices)}"
    if option.path:
        return "_stayline_files"
    if option.session:
        return "_stayline_sessions"
    return ":" if option.takes_value else ""


# --- zsh ------------------------------------------------------------------------------------------


def _zsh(known: list[Command]) -> Iterator[str]:
    yield "#compdef stayline"
    yield "_stayline_sessions() {"
    yield "    local -a found"
    yield f'    found=("${{(@f)$({_SESSIONS})}}")'
    yield "    found=(${found:#})"
    yield "    compadd -a found"
    yield "}"
    yield "_stayline() {"
    # Not `commands`: that is zsh's own, of all programs there are.
    yield "    local -a known"
    yield "    known=("
    for one in known:
        yield f"        '{one.name}:{_zsh_text(one.help)}'"
    yield "    )"
    yield "    if (( CURRENT == 2 )); then"
    yield "        _describe command known"
    yield "        _arguments '--help[show help and exit]' '--version[show the version and exit]'"
    yield "        return"
    yield "    fi"
    yield "    local chosen=$words[2]"
    yield "    shift words"
    yield "    (( CURRENT-- ))"
    yield '    case "$chosen" in'
    for one in known:
        yield f"    {one.name})"
        if one.program:
            # The words after -- are another program's.
            yield "        local at=${words[(i)--]}"
            yield "        if (( at < CURRENT )); then"
            yield "            shift $(( at - 1 )) words"
            yield "            (( CURRENT -= at - 1 ))"
            yield "            _arguments '1:program:_command_names -e' '*::arguments:_normal'"
            yield "            return"
            yield "        fi"
        yield "        _arguments -s -S \\"
        for each in one.options:
            yield from (f"            {_zsh_option(name, each)} \\" for name in each.names)
        if one.session:
            yield "            '1:session:_stayline_sessions' \\"
        if one.choices:
            yield f"            '1:which:({' '.join(one.choices)})' \\"
        yield "            ;;"
    yield "    esac"
    yield "}"
    # A file in fpath is the function itself when it is first called; otherwise it was sourced.
    yield 'if [[ "$funcstack[1]" == _stayline ]]; then'
    yield '    _stayline "$@"'
    yield "else"
    yield "    compdef _stayline stayline"
    yield "fi"


def _zsh_option(name: str, option: Option) -> str:
    value = ""
    if option.takes_value:
        action = " "
        if option.choices:
            action = f"({' '.join(option.choices)})"
        elif option.path:
            action = "_files"
        elif option.session:
            action = "_stayline_sessions"
        value = f":value:{action}"
    # A long option takes its value behind an equal sign as well.
    joined = "=" if option.takes_value and name.startswith("--") else ""
    return f"'*{name}{joined}[{_zsh_text(option.help)}]{value}'"


def _zsh_text(text: str) -> str:
    """For single quotes, without what ``_arguments`` would read as its own."""
    return text.replace("'", "").replace("[", "(").replace("]", ")").replace(":", " -")


# --- fish -----------------------------------------------------------------------------------------

_FISH_HELPERS = """\
# Whether this is the command; of '' whether none was given yet.
function __stayline_is
    set -l words (commandline -opc)
    test "$words[2]" = "$argv[1]"; and not contains -- -- $words
end
# Whether this is the command and no word that is no option came behind it; the options that take
# a value follow.
function __stayline_first
    __stayline_is $argv[1]; or return
    set -l words (commandline -opc)
    set -l value no
    for word in $words[3..-1]
        if test $value = yes
            set value no
        else if contains -- $word $argv[2..-1]
            set value yes
        else if not string match -q -- '-*' $word
            return 1
        end
    end
end
# What another program would offer, whose command line comes behind --.
function __stayline_program
    set -l words (commandline -opc)
    set -l at (contains -i -- -- $words); or return
    set -e words[1..$at]
    complete -C (string join ' ' -- (string escape -- $words) (commandline -ct))
end"""


def _fish(known: list[Command]) -> Iterator[str]:
    yield "# stayline completion fish"
    yield _FISH_HELPERS
    yield "complete -c stayline -f"
    none = "-n '__stayline_is \"\"'"
    yield f"complete -c stayline {none} -l help -s h -d 'show help and exit'"
    yield f"complete -c stayline {none} -l version -d 'show the version and exit'"
    for one in known:
        yield f"complete -c stayline {none} -a {one.name} -d '{_fish_text(one.help)}'"
        when = f"-n '__stayline_is {one.name}'"
        for each in one.options:
            yield f"complete -c stayline {when} {_fish_option(each)}"
        first = f"-n '__stayline_first {one.name} {_valued(one)}'"
        if one.session:
            yield f"complete -c stayline {first} -a '({_SESSIONS})'"
        if one.choices:
            yield f"complete -c stayline {first} -a '{' '.join(one.choices)}'"
        if one.program:
            behind = f"-n 'set -l words (commandline -opc); test \"$words[2]\" = {one.name}'"
            yield f"complete -c stayline {behind} -a '(__stayline_program)'"


def _fish_option(option: Option) -> str:
    parts = [
        f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names
    ]
    if option.choices:
        parts.append(f"-x -a '{' '.join(option.choices)}'")
    elif option.path:
        parts.append("-r -F")
    elif option.session:
        parts.append(f"-x -a '({_SESSIONS})'")
    elif option.takes_value:
        parts.append("-x")
    parts.append(f"-d '{_fish_text(option.help)}'")
    return " ".join(parts)


def _fish_text(text: str) -> str:
    return text.replace("\\", "").replace("'", "\\'")
