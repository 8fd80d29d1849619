"""What a wrapper tells its host, as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

import stayline
from stayline.aio._waiting import Seconds, Turns, found

if TYPE_CHECKING:
    from stayline._internal import _Signal


class Signals(AsyncIterator["_Signal"]):
    """The signals of a wrapper; see ``Wrapper.signals``. A cancelled wait has taken none."""

    def __init__(self, sync: stayline.Wrapper, timeout: Seconds | None) -> None:
        self._sync = sync
        self._timeout = timeout
        self._turns = Turns()

    async def __anext__(self) -> _Signal:
        await self._turns.turn()
        signal: _Signal | None = await found(
            self._sync._waiting_for_signals, self._look, self._timeout
        )
        if signal is None or signal is _OVER:
            raise StopAsyncIteration
        return signal

    def _look(self) -> _Signal | None:
        signal = self._sync.try_signal()
        if signal is None and self._sync._signals_are_over():
            return _OVER
        return signal


# Stands for the end while looking; never given out.
_OVER: Final = stayline.Drained()
