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
            found = [str(one) for one in action.choices or []]
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


def _bash(known: list[Command]) -> Iterator[str]:
    yield "# stayline completion bash"
    yield "_stayline() {"
    yield '    local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}"'
    yield '    local command="${COMP_WORDS[1]}" options= first='
    yield "    COMPREPLY=()"
    yield "    if (( COMP_CWORD == 1 )); then"
    yield f'        first="{" ".join(one.name for one in known)} --help --version"'
    yield '        COMPREPLY=($(compgen -W "$first" -- "$word"))'
    yield "        return"
    yield "    fi"
    yield '    case "$command" in'
    for one in known:
        yield f"    {one.name})"
        yield f'        options="{" ".join(name for each in one.options for name in each.names)}"'
        if one.choices:
            yield f'        first="{" ".join(one.choices)}"'
        if one.session:
            yield f'        (( COMP_CWORD == 2 )) && first="$({_SESSIONS})"'
        if one.program:
            yield '        [[ " ${COMP_WORDS[*]:0:COMP_CWORD} " == *" -- "* ]] && '
            yield '            { COMPREPLY=($(compgen -c -f -- "$word")); return; }'
        yield '        case "$before" in'
        for each in one.options:
            answer = _bash_values(each)
            if answer:
                yield f"        {'|'.join(each.names)}) {answer}; return ;;"
        yield "        esac ;;"
    yield "    esac"
    yield '    if [[ "$word" == -* ]]; then'
    yield '        COMPREPLY=($(compgen -W "$options" -- "$word"))'
    yield "    else"
    yield '        COMPREPLY=($(compgen -W "$first" -- "$word"))'
    yield "    fi"
    yield "}"
    yield "complete -F _stayline stayline"


def _bash_values(option: Option) -> str:
    if option.choices:
        return f'COMPREPLY=($(compgen -W "{" ".join(option.choices)}" -- "$word"))'
    if option.path:
        return 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$word"))'
    if option.session:
        return f'COMPREPLY=($(compgen -W "$({_SESSIONS})" -- "$word"))'
    return ":" if option.takes_value else ""


# --- zsh ------------------------------------------------------------------------------------------


def _zsh(known: list[Command]) -> Iterator[str]:
    yield "#compdef stayline"
    yield "_stayline_sessions() {"
    yield "    local -a found"
    yield f'    found=("${{(@f)$({_SESSIONS})}}")'
    yield "    compadd -a found"
    yield "}"
    yield "_stayline() {"
    yield "    local -a commands"
    yield "    commands=("
    for one in known:
        yield f"        '{one.name}:{_zsh_text(one.help)}'"
    yield "    )"
    yield "    if (( CURRENT == 2 )); then"
    yield "        _describe command commands"
    yield "        return"
    yield "    fi"
    yield "    local command=$words[2]"
    yield "    shift words"
    yield "    (( CURRENT-- ))"
    yield '    case "$command" in'
    for one in known:
        yield f"    {one.name})"
        yield "        _arguments -s \\"
        for each in one.options:
            yield from (f"            {_zsh_option(name, each)} \\" for name in each.names)
        if one.session:
            yield "            '1:session:_stayline_sessions' \\"
        if one.choices:
            yield f"            '1:which:({' '.join(one.choices)})' \\"
        if one.program:
            yield "            '*::program:_normal' \\"
        yield "            ;;"
    yield "    esac"
    yield "}"
    yield "compdef _stayline stayline"


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
    return f"'*{name}[{_zsh_text(option.help)}]{value}'"


def _zsh_text(text: str) -> str:
    """For single quotes, without what ``_arguments`` would read as its own."""
    return text.replace("'", "").replace("[", "(").replace("]", ")").replace(":", " -")


# --- fish -----------------------------------------------------------------------------------------


def _fish(known: list[Command]) -> Iterator[str]:
    yield "# stayline completion fish"
    yield "complete -c stayline -f"
    for one in known:
        yield (
            f"complete -c stayline -n __fish_use_subcommand -a {one.name} "
            f"-d '{_fish_text(one.help)}'"
        )
        when = f"-n '__fish_seen_subcommand_from {one.name}'"
        for each in one.options:
            yield f"complete -c stayline {when} {_fish_option(each)}"
        if one.session:
            yield f"complete -c stayline {when} -a '({_SESSIONS})'"
        if one.choices:
            yield f"complete -c stayline {when} -a '{' '.join(one.choices)}'"
        if one.program:
            yield f"complete -c stayline {when} -a '(__fish_complete_subcommand)'"


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
