"""Signals as something to wait for, beside sockets and pipes.

Python runs handlers between two instructions of the main thread, which is no help while that
thread waits elsewhere. Here every signal becomes a byte in a pipe, so that one ``select`` waits for
all: whichever thread the kernel picks, no signal is missed and none interrupts anything half done.
"""

from __future__ import annotations

import os
import select
import signal
from types import FrameType, TracebackType


class SignalWatch:
    """Collects signals while it is entered. Only works in the main thread.

    A signal that was ignored when the process began (``nohup``) stays ignored.
    """

    def __init__(self, *signals: signal.Signals) -> None:
        self._signals = signals
        self._previous: dict[signal.Signals, object] = {}
        self._previous_wakeup = -1
        self._reader = -1
        self._writer = -1

    def __enter__(self) -> SignalWatch:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._previous_wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in self._signals:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._previous[number] = signal.signal(number, _do_nothing)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._previous_wakeup)
        os.close(self._reader)
        os.close(self._writer)

    def fileno(self) -> int:
        """Readable when ``take`` has something."""
        return self._reader

    def take(self) -> list[signal.Signals]:
        """The signals since the last time, in order; never waits."""
        try:
            return [signal.Signals(number) for number in os.read(self._reader, 256)]
        except BlockingIOError:
            return []

    def wait(self) -> list[signal.Signals]:
        """Waits for the next signals."""
        while True:
            select.select([self._reader], [], [])
            taken = self.take()
            if taken:
                return taken


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """A handler there must be, for the byte to be written; the byte is all it is for."""
