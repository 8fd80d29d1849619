"""Ingest links, for hosts whose own WebSocket routes run on the event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType

import stayline
from stayline._internal import Close, Send
from stayline.aio._calls import called
from stayline.aio._view import View
from stayline.aio._waiting import Seconds, Turns, found

# Congestion may end through another link, which rings there and not here.
_LOOK_FOR_ROOM_EVERY = 0.05


class Link(View[stayline.Link]):
    """One connection from a wrapper: ``stayline.Link``, awaitable.

    Give it what the socket receives, write what it puts out, and say when the socket is gone.
    One task may receive while another iterates ``outgoing``. Leaving it as a context manager
    closes it if nobody has: 1000, or 1006 with an exception.
    """

    @property
    def execution_id(self) -> str:
        """The execution it belongs to."""
        return self._sync.execution_id

    @property
    def acknowledged(self) -> bool:
        """Whether it speaks the acknowledged mode (R45)."""
        return self._sync.acknowledged

    @property
    def congested(self) -> bool:
        """Whether the next ``receive`` would wait: stop reading from the socket meanwhile."""
        return self._sync.congested

    @property
    def finished(self) -> bool:
        """Whether there will be no more outputs."""
        return self._sync.finished

    @property
    def close_state(self) -> Close | None:
        """How the link was closed; ``None`` while it is open."""
        return self._sync.close_state

    async def receive(self, frame: str | bytes) -> None:
        """Hands one frame over: ``str`` for a text frame, ``bytes`` for a binary one (R28).

        Waits only for back-pressure. When that wait is cancelled the frame was not handed over.
        """
        if isinstance(frame, bytes):
            size = len(frame)
            await self._handed_over(lambda: self._sync._try_receive_binary(size))
        else:
            await self.receive_many([frame])

    async def receive_many(self, frames: Sequence[str]) -> None:
        """Hands many text frames over in one step: all of them, or none when cancelled."""
        await self._handed_over(lambda: self._sync._try_receive(frames))

    async def closed(self, code: int = 1006, reason: str = "") -> None:
        """The socket is gone, by whomever. Twice is fine; cancelling does not take it back."""
        await called(lambda: self._sync.closed(code, reason))

    def outgoing(self, timeout: Seconds | None = None) -> Outgoing:
        """What is to be written to the socket: ``Send(text)``, in the end one ``Close``.

        Waits up to ``timeout`` seconds for each; the iteration ends quietly when nothing came.
        """
        return Outgoing(self._sync, timeout)

    def try_output(self) -> Send | Close | None:
        """The next output without waiting; ``None``: nothing now."""
        return self._sync.try_output()

    async def _handed_over(self, hand_over: Callable[[], bool]) -> None:
        await found(
            self._sync._waiting,
            lambda: hand_over() or None,
            at_least_every=_LOOK_FOR_ROOM_EVERY,
        )

    async def __aenter__(self) -> Link:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await called(lambda: self._sync.__exit__(kind, error, traceback))


class Outgoing(AsyncIterator[Send | Close]):
    """The outputs of a link; see ``Link.outgoing``. A cancelled wait has taken none of them."""

    def __init__(self, sync: stayline.Link, timeout: Seconds | None) -> None:
        self._sync = sync
        self._timeout = timeout
        self._turns = Turns()

    async def __anext__(self) -> Send | Close:
        await self._turns.turn()
        output: Send | Close | None = await found(self._sync._waiting, self._look, self._timeout)
        if output is None or output is _OVER:
            raise StopAsyncIteration
        return output

    def _look(self) -> Send | Close | None:
        output = self._sync.try_output()
        if output is None and self._sync.finished:
            return _OVER
        return output


# Stands for the end while looking; never given out.
_OVER = Close(1000, "")
