"""`stayline run` on a terminal: what is typed reaches the program, and so do Ctrl-C and Ctrl-Z."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from command import STAYLINE, UP, call, listed, stored
from terminals import Terminal

RUN = [*STAYLINE, "run", "--session", "s", "--"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_is_typed_reaches_the_program(folder: Path) -> None:
    terminal = Terminal(*RUN, "sh", "-c", "echo ready; read line; echo got $line")
    try:
        terminal.wait_for(b"ready")
        terminal.type(b"words\n")
        terminal.wait_for(b"got words")
        terminal.wait_for(b"stayline: completed (exit code 0)")
        assert terminal.wait() == 0
    finally:
        terminal.close()


def test_ctrl_c_interrupts_the_run(folder: Path) -> None:
    terminal = Terminal(*RUN, *UP)
    try:
        terminal.wait_for(b"up")
        terminal.type(b"\x03")
        terminal.wait_for(b"stayline: interrupted (User interrupted)")
        assert terminal.wait() == 130
    finally:
        terminal.close()
    assert stored(folder, "s")[-1] == (
        "interrupted",
        {"reason": "User interrupted", "exitCode": 130},
    )


def test_ctrl_z_stops_both_and_both_go_on(folder: Path) -> None:
    # Stopping needs a shell's job control above us: Ctrl-Z does nothing to an orphaned group.
    shell = 'set -m; "$@"; echo stopped; fg >/dev/null; echo code $?'
    program = "echo ready; read line; echo got $line; exit 4"
    terminal = Terminal("bash", "-c", shell, "bash", *RUN, "sh", "-c", program)
    try:
        terminal.wait_for(b"ready")
        terminal.type(b"\x1a")
        terminal.wait_for(b"stopped")
        terminal.type(b"words\n")
        terminal.wait_for(b"got words")
        terminal.wait_for(b"code 4")
        assert terminal.wait() == 0
    finally:
        terminal.close()


def test_a_program_that_stops_itself_as_ctrl_z_does_gives_the_shell_its_terminal(
    folder: Path,
) -> None:
    shell = 'set -m; "$@"; echo stopped; fg >/dev/null; echo code $?'
    program = "echo ready; kill -TSTP $$; echo on; exit 4"
    terminal = Terminal("bash", "-c", shell, "bash", *RUN, "sh", "-c", program)
    try:
        terminal.wait_for(b"stopped")
        terminal.wait_for(b"on")
        terminal.wait_for(b"code 4")
        assert terminal.wait() == 0
    finally:
        terminal.close()


#: Starts a job as a shell does, and stops only its program, which prints its number first.
LAUNCHER = """
import os, signal, subprocess, sys, time
run = subprocess.Popen(
    sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    preexec_fn=os.setpgrp)
program = int(run.stdout.readline())
os.kill(program, signal.SIGSTOP)
time.sleep(0.7)
os.kill(program, signal.SIGCONT)
print("said", run.stdout.read().strip(), run.wait(), flush=True)
"""


@pytest.mark.parametrize("own", [[], ["--pty"]])
def test_whoever_stops_the_program_alone_lets_it_go_on_alone(folder: Path, own: list[str]) -> None:
    program = "echo $$; for i in 1 2 3 4 5 6 7 8 9; do sleep 0.1; done; echo finished"
    words = [*RUN[:-1], *own, "--", "sh", "-c", program]
    terminal = Terminal(sys.executable, "-c", LAUNCHER, *words)
    try:
        terminal.wait_for(b"said finished 0")
        assert terminal.wait() == 0
    finally:
        terminal.close()


def test_a_table_on_a_terminal_cuts_no_id_and_has_colours_unless_unwelcome(folder: Path) -> None:
    call(folder, "run", "--session", "s", "--", "true")
    (run,) = listed(folder)
    for variables in ("COLUMNS=80 NO_COLOR=", "COLUMNS=80 NO_COLOR=1"):
        command = f"TERM=xterm {variables} exec {sys.executable} -m stayline runs"
        terminal = Terminal("sh", "-c", command)
        try:
            terminal.wait_for(run["execution"].encode())
            colours = b"\x1b[" in terminal.passed
            assert colours == variables.endswith("=")
            assert terminal.wait() == 0
        finally:
            terminal.close()


#: Counts what Ctrl-C does to it.
COUNTING = """
import os, signal, sys, time
signal.signal(signal.SIGINT, lambda number, frame: os.write(1, b"int\\n"))
os.write(1, b"ready\\n")
deadline = time.monotonic() + 1.5
while time.monotonic() < deadline:
    time.sleep(0.05)
"""


def test_ctrl_c_comes_once(folder: Path) -> None:
    terminal = Terminal(*RUN, sys.executable, "-c", COUNTING)
    try:
        terminal.wait_for(b"ready")
        terminal.type(b"\x03")
        terminal.wait_for(b"stayline: interrupted (User interrupted)")
        assert terminal.passed.count(b"int\r\n") == 1
        assert terminal.wait() == 0
    finally:
        terminal.close()


def test_a_program_asks_at_the_terminal_whatever_stdin_is(folder: Path) -> None:
    ask = "exec </dev/tty; printf 'word: ' >/dev/tty; read word; echo got $word"
    terminal = Terminal("sh", "-c", '"$@" </dev/null', "sh", *RUN, "sh", "-c", ask)
    try:
        terminal.wait_for(b"word: ")
        terminal.type(b"secret\n")
        terminal.wait_for(b"got secret")
        assert terminal.wait() == 0
    finally:
        terminal.close()


#: Reads a line of stdin and then, as pagers do, a key from the terminal.
PAGER = """
import sys
print("paged", sys.stdin.readline().strip(), flush=True)
with open("/dev/tty", "rb", buffering=0) as terminal:
    print("key", terminal.readline().decode().strip(), flush=True)
rest = len(sys.stdin.readlines())
print("rest", rest, flush=True)
"""


@pytest.mark.parametrize("shell", [["bash", "-c"], ["bash", "-ic"], ["sh", "-c"]])
def test_a_pager_behind_it_has_the_terminal(folder: Path, shell: list[str]) -> None:
    (folder / "pager.py").write_text(PAGER)
    words = " ".join([*RUN, "sh", "-c", "'seq 20000'"])
    terminal = Terminal(*shell, f"{words} | {sys.executable} pager.py")
    try:
        terminal.wait_for(b"paged 1\r\n")
        terminal.type(b"q\n")
        terminal.wait_for(b"key q")
        terminal.wait_for(b"rest 19999")
        terminal.wait()
    finally:
        terminal.close()


def test_a_terminal_of_its_own(folder: Path) -> None:
    script = "test -t 0 && test -t 1 && test -t 2 && stty size && read word && echo got $word >&2"
    terminal = Terminal(*RUN[:-1], "--pty", "--", "sh", "-c", script)
    try:
        terminal.resize(50, 132)
        terminal.wait_for(b" ")
        terminal.type(b"words\r")
        terminal.wait_for(b"got words")
        terminal.wait_for(b"stayline: completed (exit code 0)")
        assert terminal.wait() == 0
    finally:
        terminal.close()
    texts = [data["text"] for kind, data in stored(folder, "s") if kind == "output"]
    assert texts[0] in ("50 132", "0 0", "24 80")
    assert texts[-1] == "got words"


def test_ctrl_c_reaches_a_program_on_a_terminal_of_its_own(folder: Path) -> None:
    # What it prints it has read: no shell is between.
    terminal = Terminal(*RUN[:-1], "--pty", "--", "sh", "-c", "echo ready; exec cat")
    try:
        terminal.wait_for(b"ready")
        terminal.type(b"words\r")
        terminal.wait_for(b"words\r\nwords")
        terminal.type(b"\x03")
        terminal.wait_for(b"stayline: interrupted (User interrupted)")
        assert terminal.wait() == 130
    finally:
        terminal.close()


def test_a_terminal_of_its_own_without_one_of_ours(folder: Path) -> None:
    answer = call(folder, "run", "--session", "s", "--pty", "--", "sh", "-c", "test -t 1 && cat")
    assert (answer.returncode, answer.stdout) == (0, b""), answer.stderr
