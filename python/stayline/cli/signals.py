"""Signals as something to wait for, beside sockets and pipes.

The signals are blocked, and a thread takes them one by one: none interrupts anything half done,
none ends this process, and each tells whether the terminal sent it (Ctrl-C, Ctrl-\\, a hang-up),
which then has sent it to every program in its foreground, or somebody else.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType, TracebackType

from stayline.cli import waiting

#: ``si_code`` of what the kernel sends by itself, a terminal's among it.
_SI_KERNEL = 0x80


#: What ends no process that has no handler for it.
_HARMLESS = (signal.SIGCHLD, signal.SIGCONT, signal.SIGTSTP, signal.SIGURG, signal.SIGWINCH)


@dataclass(frozen=True)
class Arrival:
    """A signal that has come."""

    number: int
    #: The kernel sent it: on a terminal everybody in the foreground has it, too.
    from_terminal: bool = False

    @property
    def name(self) -> str:
        """As people know it."""
        return name_of(self.number)


def name_of(number: int) -> str:
    """``SIGTERM``, or for one without a name of its own ``SIG36``."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


class SignalWatch:
    """Collects signals while it is entered. Enter it in the main thread, before others are started:
    they inherit that the signals are blocked.

    A signal that was ignored when the process began (``nohup``) stays ignored.
    """

    def __init__(self, *signals: int) -> None:
        self._signals = signals
        self._watched: set[int] = set()
        self._previous: set[signal.Signals | int] = set()
        self._handlers: dict[int, object] = {}
        self._arrived: deque[Arrival] = deque()
        self._ended = False
        self._reader = -1
        self._writer = -1
        self._thread = threading.Thread(target=self._collect, name="stayline-signals", daemon=True)

    def __enter__(self) -> SignalWatch:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        for number in self._signals:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._watched.add(number)
        # Wakes the thread at the end, and is everybody's to wait for anyway.
        self._watched.add(signal.SIGCHLD)
        for number in self._watched:
            # Some systems throw away what would be ignored, blocked or not.
            self._handlers[number] = signal.signal(number, _do_nothing)
        self._previous = signal.pthread_sigmask(signal.SIG_BLOCK, self._watched)
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._ended = True
        identifier = self._thread.ident
        if identifier is not None:
            with suppress(ProcessLookupError):
                signal.pthread_kill(identifier, signal.SIGCHLD)
        self._thread.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._previous)
        for number, handler in self._handlers.items():
            if handler is not None:
                signal.signal(number, handler)  # type: ignore[arg-type]
        os.close(self._reader)
        os.close(self._writer)

    def _collect(self) -> None:
        while not self._ended:
            self._arrived.append(_next(self._watched))
            # Full: there is a byte already.
            with suppress(BlockingIOError):
                os.write(self._writer, b"\0")

    def fileno(self) -> int:
        """Readable when ``take`` has something."""
        return self._reader

    def take(self) -> list[Arrival]:
        """What has come since the last time, in order; never waits."""
        with suppress(BlockingIOError):
            while os.read(self._reader, 4_096):
                pass
        taken: list[Arrival] = []
        while self._arrived:
            taken.append(self._arrived.popleft())
        return taken

    def heed(self, source: waiting.HasFileno) -> Arrival | None:
        """Waits until something can be read there. A signal that would have ended the process
        without us ends the waiting, and is returned."""
        while True:
            ready = waiting.readable([self, source], None)
            for arrival in self.take():
                if arrival.number not in _HARMLESS:
                    return arrival
            if 1 in ready:
                return None

    def wait(self) -> list[Arrival]:
        """Waits for the next ones; a child's end is none."""
        while True:
            waiting.readable([self], None)
            taken = [one for one in self.take() if one.number != signal.SIGCHLD]
            if taken:
                return taken


def _next(signals: Iterable[int]) -> Arrival:
    if hasattr(signal, "sigwaitinfo"):
        told = signal.sigwaitinfo(signals)
        return Arrival(told.si_signo, told.si_code == _SI_KERNEL)
    # No word there of who sent it: on a terminal that is taken for the terminal.
    number = signal.sigwait(signals)
    return Arrival(number, number in (signal.SIGINT, signal.SIGQUIT) and os.isatty(0))


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """In the place of a handler: the signal is taken by waiting for it."""
