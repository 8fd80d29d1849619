"""Reading a session's log: ``Events``, the past, and ``Subscription``, the past and then live."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from types import TracebackType
from typing import Any

import stayline
from stayline._internal import Event, InvalidArgument
from stayline.aio._calls import Once, called
from stayline.aio._waiting import Seconds, Turns, found_later


class Events(AsyncIterator[Event]):
    """Stored events, read in bounded rounds as the iteration goes on (R36).

    Rounds are read on a thread. A cancelled wait has taken no event: iterating goes on where it
    was.
    """

    def __init__(self, make: Callable[[], stayline.Events]) -> None:
        self._once = Once(make)
        self._turns = Turns()

    @classmethod
    def of(cls, sync: stayline.Events) -> Events:
        """A view of an iterator over events."""
        view = cls(lambda: sync)
        view._once = Once.opened(sync)
        return view

    async def __anext__(self) -> Event:
        await self._turns.turn()
        sync = self._once.peek() or await self._once.get()
        while not sync._is_ready():
            await called(sync._read_ahead)
        event = next(sync, None)
        if event is None:
            raise StopAsyncIteration
        return event


class Subscription(AsyncIterator[Event]):
    """A cursor over a session's log, each event once and in order (R35).

    It subscribes when it is awaited, entered with ``async with``, or iterated. When its
    ``timeout`` ended the iteration, or a wait was cancelled, iterating again goes on where it was
    and nothing is missed. ``ended`` says whether the stream is over for good.
    """

    def __init__(
        self,
        session_id: str,
        make: Callable[[], stayline.Subscription],
        *,
        after: int = 0,
        timeout: Seconds | None = None,
    ) -> None:
        self._session_id = session_id
        self._once = Once(make)
        self._after = after
        self._timeout = timeout
        self._closed = False
        self._turns = Turns()

    @classmethod
    def of(cls, sync: stayline.Subscription, *, timeout: Seconds | None = None) -> Subscription:
        """A view of a subscription; ``timeout`` bounds the wait for each event, in seconds."""
        view = cls(sync.session_id, lambda: sync, timeout=timeout)
        view._once = Once.opened(sync)
        return view

    @property
    def sync(self) -> stayline.Subscription:
        """The subscription it is a view of. Raises ``InvalidArgument`` before it is open."""
        sync = self._once.peek()
        if sync is None:
            raise InvalidArgument("the subscription is not open yet; await it first")
        return sync

    @property
    def session_id(self) -> str:
        """The session it reads."""
        return self._session_id

    @property
    def epoch(self) -> str:
        """The log's epoch, to be given when resuming (R34a); known once it is open."""
        return self.sync.epoch

    @property
    def last_id(self) -> int:
        """The id of the newest event given: resume with ``after=`` this."""
        sync = self._once.peek()
        return self._after if sync is None else sync.last_id

    @property
    def ended(self) -> bool:
        """Whether the stream is over: closed, deleted, or ``until`` was reached."""
        sync = self._once.peek()
        return self._closed if sync is None else sync.ended

    async def try_next(self) -> Event | None:
        """The next event, if it is stored already; ``None``: nothing now, or over."""
        return await self._looked_at(self.sync)

    def close(self) -> None:
        """Ends the stream, also for those who wait at it. Twice is fine."""
        self._closed = True
        sync = self._once.peek()
        if sync is not None:
            sync.close()

    async def __anext__(self) -> Event:
        await self._turns.turn()
        if self._closed:
            raise StopAsyncIteration
        sync = self._once.peek() or await self._opened()
        event: Event | None = None

        async def look() -> bool | None:
            nonlocal event
            event = await self._looked_at(sync)
            return True if event is not None or sync.ended else None

        await found_later(sync._waiting, look, self._timeout)
        if event is None:
            raise StopAsyncIteration
        return event

    async def _looked_at(self, sync: stayline.Subscription) -> Event | None:
        """What there is. The store is read on a thread."""
        while True:
            event = sync._try_next_in_memory()
            if event is not None or sync.ended or not sync._is_behind():
                return event
            await called(sync._read_ahead)

    async def _opened(self) -> stayline.Subscription:
        sync = await self._once.get()
        if self._closed:
            sync.close()
        return sync

    async def _open(self) -> Subscription:
        await self._opened()
        return self

    def __await__(self) -> Generator[Any, Any, Subscription]:
        return self._open().__await__()

    async def __aenter__(self) -> Subscription:
        return await self._open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        sync = self._once.peek()
        if sync is None:
            return f"<stayline.aio.Subscription to {self._session_id!r}, not open>"
        return f"<stayline.aio view of {sync!r}>"
