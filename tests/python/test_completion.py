"""Completion in the shells it is for: bash and zsh at a terminal, with a Tab that is typed, fish
through the question that its own Tab asks."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import stayline
from command import PATIENCE, call, environment
from test_cli_terminal import Terminal

#: Names as hosts give them, and as nobody should.
SESSIONS = ["nightly", "user_1:agent_1", "it's a, b:c d", "$(touch ran)", "`touch ran`"]

#: What is typed, and the words that a program gets when Tab and Enter follow.
CASES = [
    ("stayline wa", ["watch"]),
    ("stayline --vers", ["--version"]),
    ("stayline events --fol", ["events", "--follow"]),
    ("stayline serve --tls-k", ["serve", "--tls-key"]),
    ("stayline runs --status fa", ["runs", "--status", "failed"]),
    ("stayline runs --status=fa", ["runs", "--status=failed"]),
    ("stayline runs --proxy no", ["runs", "--proxy", "none"]),
    ("stayline completion f", ["completion", "fish"]),
    ("stayline watch nig", ["watch", "nightly"]),
    ("stayline watch --tail 5 nig", ["watch", "--tail", "5", "nightly"]),
    ("stayline watch user", ["watch", "user_1:agent_1"]),
    ("stayline watch user_1:a", ["watch", "user_1:agent_1"]),
    ("stayline watch it", ["watch", "it's a, b:c d"]),
    ("stayline run --session nig", ["run", "--session", "nightly"]),
    ("stayline timeline nightly -o pict", ["timeline", "nightly", "-o", "picture.html"]),
    ("stayline run -- mkfif", ["run", "--", "mkfifo"]),
]

#: Where nothing is to be offered: values that are free, and places behind the last word.
NOTHING = ["stayline watch --tail ", "stayline watch nightly ni"]

#: Prints its words, but for what completion itself asks.
PRINTING = (
    'stayline() { if [ "$1 $2" = "runs --names" ]; then command stayline "$@"; '
    "else printf '<%s>' \"$@\"; echo; fi; }"
)
READY = "echo re''ady"
PROMPT = b"next> "


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with sessions and a file in it, and a `stayline` to be found."""
    (tmp_path / ".stayline").mkdir()
    with stayline.Coordinator(f"sqlite:{tmp_path / '.stayline' / 'runs.db'}") as coordinator:
        for name in SESSIONS:
            coordinator.session(name).start()
    (tmp_path / "picture.html").touch()
    binary = tmp_path / "bin" / "stayline"
    binary.parent.mkdir()
    binary.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m stayline "$@"\n')
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{binary.parent}:{environment()['PATH']}")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def needed(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed: apt-get install {shell}")


@pytest.fixture(params=["bash", "zsh", "zsh from fpath"])
def shell(request: pytest.FixtureRequest, folder: Path) -> Iterator[Terminal]:
    """A shell at a terminal that has learnt to complete."""
    name = str(request.param).split()[0]
    needed(name)
    if name == "bash":
        terminal = Terminal("bash", "--norc", "--noprofile", "-i")
        lessons = [
            "PS1='ne''xt> '; bind 'set bell-style none'; bind 'set show-all-if-ambiguous on'",
            "bind 'set enable-bracketed-paste off'; source <(stayline completion bash)",
        ]
    else:
        terminal = Terminal("zsh", "-f", "-i")
        lessons = ["PS1='ne''xt> '; unsetopt beep; autoload -U compinit"]
        if request.param == "zsh":
            lessons += ["compinit -u -D; source <(stayline completion zsh)"]
        else:
            lessons += [
                "mkdir functions; stayline completion zsh > functions/_stayline",
                "fpath=($PWD/functions $fpath); compinit -u -D",
            ]
    try:
        for lesson in [*lessons, PRINTING, READY]:
            terminal.type(f"{lesson}\r".encode())
        terminal.wait_for(b"ready\r\n")
        # What is typed before a shell looks at the keys by itself is not completed.
        terminal.wait_for(PROMPT)
        yield terminal
    finally:
        terminal.close()


def prints(shell: Terminal, typed: str, words: list[str]) -> None:
    """Types it with a Tab, and waits for the words that come of it."""
    shell.type(f"{typed}\t\r".encode())
    shell.wait_for("".join(f"<{word}>" for word in words).encode() + b"\r\n")
    shell.wait_for(PROMPT)


def test_a_tab_completes_what_was_begun(shell: Terminal) -> None:
    for typed, words in CASES:
        prints(shell, typed, words)


def test_nothing_is_offered_where_nothing_is_known_and_no_name_is_run(
    shell: Terminal, folder: Path
) -> None:
    for typed in NOTHING:
        prints(shell, typed, typed.split()[1:])
    # All of them are listed, the malicious ones too.
    shell.type(b"stayline watch \t\t")
    shell.wait_for(b"touch\\ ran")
    shell.type(b"\x15" + f"{READY}\r".encode())
    shell.wait_for(b"ready\r\n")
    assert not (folder / "ran").exists()


def fish_offers(folder: Path, typed: str) -> list[str]:
    script = f"stayline completion fish | source; complete -C {_quoted(typed)}"
    answer = subprocess.run(
        ["fish", "--no-config", "-c", script],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(),
        timeout=PATIENCE,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    return [line.partition("\t")[0] for line in answer.stdout.splitlines()]


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def test_fish_offers_what_was_begun(folder: Path) -> None:
    needed("fish")
    for typed, words in CASES:
        assert fish_offers(folder, typed) == [words[-1]]
    for typed in NOTHING:
        assert fish_offers(folder, typed) == []
    assert sorted(fish_offers(folder, "stayline watch ")) == sorted(SESSIONS)
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_completion_knows_every_command_and_option(tmp_path: Path, shell_name: str) -> None:
    answer = call(tmp_path, "completion", shell_name)
    assert answer.returncode == 0
    script = answer.stdout.decode()
    if shutil.which(shell_name):
        subprocess.run([shell_name, "-n"], input=answer.stdout, check=True, timeout=PATIENCE)
    for command in ("run", "watch", "runs", "events", "timeline", "interrupt", "fail", "serve"):
        assert re.search(rf"\b{command}\b", script)
        helped = call(tmp_path, command, "--help").stdout.decode()
        for option in set(re.findall(r"^  (?:-\w, )?--([a-z-]+)", helped, re.MULTILINE)):
            assert option in script, (command, option)
