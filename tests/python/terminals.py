"""Terminals that tests type at."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

from command import PATIENCE, environment

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

    def resize(self, rows: int, columns: int) -> None:
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

    def close(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._master)
        os.close(self._slave)
