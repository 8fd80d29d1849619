"""The processes of the demo: a coordinator, and wrapped programs; started, watched, killed."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO

#: Shorter than the defaults, so that an outage and its end fit into a demo. Both ends get them.
SETTINGS = {
    "disconnect_grace_ms": 2_000,
    "reconnect_base_ms": 50,
    "reconnect_cap_ms": 500,
}

_STAYLINE = [sys.executable, "-m", "stayline"]
_PROGRAM = Path(__file__).with_name("program.py")


class Failed(Exception):
    """The demo could not show what it wanted to show."""


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Waits for something that has to happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(0.02)


class Served:
    """A coordinator in a process of its own: ``stayline serve`` on a file."""

    def __init__(self, store: str, port: int = 0) -> None:
        command = [*_STAYLINE, "serve", "--store", store, "--listen", f"127.0.0.1:{port}"]
        self._process = subprocess.Popen(
            [*command, *_settings()], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        banner = self._process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", banner)
        if found is None:
            raise Failed(f"the coordinator did not start: {banner.strip() or 'see above'}")
        self.port = int(found.group(1))
        self.url = found.group()

    def __enter__(self) -> Served:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        self._process.communicate(timeout=20)

    def kill(self) -> None:
        """SIGKILL: no goodbye, no flush."""
        self._process.kill()
        self._process.communicate(timeout=20)


class Wrapped:
    """A program under ``stayline run``, with what came out of it."""

    def __init__(self, url: str, session: str, program: list[str]) -> None:
        command = [*_STAYLINE, "run", "--to", url, "--session", session, *_settings()]
        self._process = subprocess.Popen(
            [*command, "--", *program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        #: Every line that came out on stdout.
        self.output: list[bytes] = []
        self._said: list[str] = []
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read_output, args=(self._process.stdout,)),
            threading.Thread(target=self._read_said, args=(self._process.stderr,)),
        ]
        for reader in self._readers:
            reader.start()

    def wait(self, seconds: float = 40.0) -> int:
        """Its exit code."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"the run was not over after {seconds:.0f} s") from None
        for reader in self._readers:
            reader.join()
        return code

    def kill(self) -> None:
        """SIGKILL for the wrapper and for the program, as a machine that vanishes would."""
        self._process.kill()
        os.kill(int(self.said("pid")), signal.SIGKILL)
        self._process.wait(20)

    def wait_for_lines(self, number: int) -> None:
        """Waits until so many lines came out."""
        wait_until(lambda: self.lines >= number, f"line {number}")

    @property
    def lines(self) -> int:
        """How many lines came out so far."""
        return len(self.output)

    def said(self, word: str) -> str:
        """What it said on stderr in the line that begins with this word."""
        found: list[str] = []

        def look() -> bool:
            found[:] = [line for line in self._said if line.startswith(f"{word} ")]
            return bool(found)

        wait_until(look, f"a line {word!r} on stderr")
        return found[-1].partition(" ")[2]

    @property
    def sha256(self) -> str:
        """Of all that came out on stdout."""
        return hashlib.sha256(b"".join(self.output)).hexdigest()

    def _read_output(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            self.output.append(line)

    def _read_said(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            self._said.append(line.decode(errors="replace").rstrip("\n"))


def program(lines: int, rate: int) -> list[str]:
    """The command line of the demo's program."""
    return [sys.executable, str(_PROGRAM), "--lines", str(lines), "--rate", str(rate)]


def _settings() -> list[str]:
    return [text for name, value in SETTINGS.items() for text in ("--set", f"{name}={value}")]
