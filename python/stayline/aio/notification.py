"""What a host is told about ends of runs (R39)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import stayline
from stayline.aio._calls import called
from stayline.aio._view import View
from stayline.aio._waiting import Seconds, found_later

if TYPE_CHECKING:
    from stayline._internal import _Status


class Notification(View[stayline.Notification]):
    """One notification: ``stayline.Notification``, awaitable.

    Taken from the queue it is leased: acknowledge it, or it comes again.
    """

    @property
    def id(self) -> str:
        """Its own id."""
        return self._sync.id

    @property
    def kind(self) -> Literal["execution_ended", "session_idle", "late_result"]:
        """``execution_ended``, ``session_idle`` or ``late_result``."""
        return self._sync.kind

    @property
    def session_id(self) -> str:
        """The session."""
        return self._sync.session_id

    @property
    def execution_id(self) -> str | None:
        """The execution, where it is about one."""
        return self._sync.execution_id

    @property
    def status(self) -> _Status | None:
        """How it ended; for a late result, how the wrapper says it ended."""
        return self._sync.status

    @property
    def error(self) -> str | None:
        """Why."""
        return self._sync.error

    @property
    def branch(self) -> str | None:
        """The branch the run named."""
        return self._sync.branch

    @property
    def agent_session_id(self) -> str | None:
        """The agent's own session id."""
        return self._sync.agent_session_id

    @property
    def attempt(self) -> int:
        """Which delivery this is, from 1."""
        return self._sync.attempt

    @property
    def parked(self) -> bool:
        """All deliveries are used up."""
        return self._sync.parked

    @property
    def created_at(self) -> datetime:
        """When it was enqueued."""
        return self._sync.created_at

    async def ack(self) -> None:
        """It was dealt with and does not come again."""
        await called(self._sync.ack)

    async def nack(self, retry_in: Seconds | None = None) -> None:
        """It could not be dealt with: it comes again in ``retry_in`` seconds."""
        await called(lambda: self._sync.nack(retry_in))

    async def requeue(self) -> None:
        """Puts a parked one back into the queue."""
        await called(self._sync.requeue)


class Notifications(AsyncIterator[Notification]):
    """Takes notifications as they come; see ``Coordinator.notifications``.

    Taking leases and is stored, so it is done on a thread. One that was taken while the wait for
    it was cancelled is given back: it is there at once for whoever waits next, here or elsewhere,
    and that delivery does not count.
    """

    def __init__(self, sync: stayline.Notifications, timeout: Seconds | None = None) -> None:
        self._sync = sync
        self._timeout = timeout

    @classmethod
    def of(cls, sync: stayline.Notifications, *, timeout: Seconds | None = None) -> Notifications:
        """A view of an iterator; ``timeout`` bounds the wait for each, in seconds."""
        return cls(sync, timeout)

    @property
    def sync(self) -> stayline.Notifications:
        """The iterator it is a view of."""
        return self._sync

    async def try_next(self) -> Notification | None:
        """The next one if there is one now."""
        taken = await called(self._sync.try_next, undo=_give_back)
        return None if taken is None else Notification(taken)

    async def __anext__(self) -> Notification:
        taken = await found_later(self._sync._waiting, self.try_next, self._timeout)
        if taken is None:
            raise StopAsyncIteration
        return taken


def _give_back(taken: stayline.Notification | None) -> None:
    if taken is not None:
        taken._give_back()
