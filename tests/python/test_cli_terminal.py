"""`stayline run` on a terminal: what is typed reaches the program, and so do Ctrl-C and Ctrl-Z."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import time
from pathlib import Path

import pytest
from command import PATIENCE, STAYLINE, call, environment, listed, stored

RUN = [*STAYLINE, "run", "--session", "s", "--"]

#: Takes the terminal as a session's leader does, and becomes the command.
_LOGIN = """
import os, sys
os.setsid()
terminal = os.open(sys.argv[1], os.O_RDWR)
for number in (0, 1, 2):
    os.dup2(terminal, number)
os.execvp(sys.argv[2], sys.argv[2:])
"""


class Terminal:
    """A pseudo-terminal with one command in its foreground."""

    def __init__(self, *command: str) -> None:
        # Our end of the slave stays open: without any, the master reads nothing but errors.
        self._master, self._slave = pty.openpty()
        name = os.ttyname(self._slave)
        arguments = [sys.executable, "-c", _LOGIN, name, *command]
        self.pid = os.posix_spawn(sys.executable, arguments, environment())
        self._seen = b""
        #: What was printed up to what was waited for.
        self.passed = b""

    def type(self, text: bytes) -> None:
        os.write(self._master, text)

    def wait_for(self, text: bytes) -> None:
        """Waits until this was printed, and forgets what came before it."""
        deadline = time.monotonic() + PATIENCE
        while text not in self._seen:
            assert time.monotonic() < deadline, self._seen
            if select.select([self._master], [], [], 0.1)[0]:
                self._seen += os.read(self._master, 4_096)
        self.passed, _, self._seen = self._seen.partition(text)

    def wait(self) -> int:
        deadline = time.monotonic() + PATIENCE
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def close(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._master)
        os.close(self._slave)


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
    terminal = Terminal(*RUN, "sh", "-c", "echo ready; exec sleep 60")
    try:
        terminal.wait_for(b"ready")
        terminal.type(b"\x03")
        terminal.wait_for(b"stayline: interrupted (User interrupted)")
        assert terminal.wait() == 130
    finally:
        terminal.close()
    assert stored(folder, "s")[-1] == ("interrupted", {"reason": "User interrupted"})


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
