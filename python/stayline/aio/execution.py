"""Executions, launches of them, and leases on them."""

from __future__ import annotations

from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Literal

import stayline
from stayline.aio._calls import called
from stayline.aio._view import View
from stayline.aio._waiting import Seconds, found_later

if TYPE_CHECKING:
    from stayline._internal import _Health, _Status


class Execution(View[stayline.Execution]):
    """One execution: ``stayline.Execution``, awaitable.

    Its properties show what is committed now, from memory: they wait for no commit and no disk. Of
    a coordinator that only reads they show what was read; ``await session.execution(id)`` reads it
    anew.
    """

    @property
    def _seen(self) -> stayline.Execution:
        """What memory knows now."""
        return self._sync._seen()

    @property
    def id(self) -> str:
        """Its id."""
        return self._sync.id

    @property
    def token(self) -> str | None:
        """What a wrapper needs to attach; only the one that started the execution has it."""
        return self._sync.token

    @property
    def session_id(self) -> str:
        """The session it belongs to."""
        return self._sync.session_id

    @property
    def status(self) -> _Status:
        """``pending``, ``running``, ``completed``, ``failed`` or ``interrupted`` (R1)."""
        return self._seen.status

    @property
    def terminal(self) -> bool:
        """Whether it has ended."""
        return self._seen.terminal

    @property
    def error(self) -> str | None:
        """Why it failed or was interrupted (R5)."""
        return self._seen.error

    @property
    def mode(self) -> str | None:
        """The host's word for the kind of run."""
        return self._seen.mode

    @property
    def exit_code(self) -> int | None:
        """The integer ``exitCode`` of its wrapper's terminal event (R29)."""
        return self._seen.exit_code

    @property
    def health(self) -> _Health | None:
        """While running: ``healthy``, ``unknown`` or ``stale`` (R6)."""
        return self._seen.health

    @property
    def interrupt_requested(self) -> bool:
        """Whether it was asked to stop and has not ended (R11)."""
        return self._seen.interrupt_requested

    @property
    def grace(self) -> bool:
        """Whether it runs without a link, in its grace (R20)."""
        return self._seen.grace

    @property
    def reconnects(self) -> int:
        """How often its wrapper came back after a disconnect (R21)."""
        return self._seen.reconnects

    @property
    def agent_session_id(self) -> str | None:
        """The agent's own session id (R30)."""
        return self._seen.agent_session_id

    @property
    def created_at(self) -> datetime:
        """When it was started."""
        return self._seen.created_at

    @property
    def started_at(self) -> datetime | None:
        """When its first link was accepted."""
        return self._seen.started_at

    @property
    def completed_at(self) -> datetime | None:
        """When it became terminal (R5)."""
        return self._seen.completed_at

    @property
    def last_heartbeat_at(self) -> datetime | None:
        """The stored sign of life, which is refreshed now and then (R14)."""
        return self._seen.last_heartbeat_at

    @property
    def last_event_at(self) -> datetime | None:
        """When its newest frame other than a heartbeat came: to the moment where this coordinator
        runs it, and once it has ended; else as far as it is stored (R14). None before the first."""
        return self._seen.last_event_at

    @property
    def last_seen_at(self) -> datetime | None:
        """When its wrapper was last heard of: to the moment where this coordinator runs it, else as
        far as it is stored, which is refreshed now and then (R14). None before the first link."""
        return self._seen.last_seen_at

    async def wait(self, timeout: Seconds | None = None) -> Execution:
        """Waits until it is terminal and returns it.

        Raises ``Timeout`` when the ``timeout`` (seconds) is over before. Cancelling, like the
        time-out, ends the wait and not the execution.
        """
        # The first look sets up a watch, which may read from the store.
        ended: bool | None = await called(self._sync.poll)

        async def look() -> bool | None:
            # How it ended may have to be read, too.
            return (self._sync._is_over() and await called(self._sync.poll)) or None

        ended = ended or await found_later(self._sync._waiting, look, timeout)
        if not ended:
            raise stayline.Timeout("the execution has not ended in time")
        return self

    def poll(self) -> bool:
        """Looks at memory, without waiting: whether it is terminal."""
        return self._seen.terminal

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Execution) and self._sync == other._sync

    def __hash__(self) -> int:
        return hash(self._sync)


class Launch(View[stayline.Launch]):
    """The host's launch code as an ``async with`` block: ``stayline.Launch``, awaitable (R10).

    An exception inside, being cancelled included, fails the execution and is raised on, unless a
    wrapper has attached. Cancelled while entering, the execution is failed too: nobody is left
    who would launch it.
    """

    async def __aenter__(self) -> Execution:
        return Execution(await called(self._sync.__enter__, undo=self._abandon))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Literal[False]:
        if kind is None:
            return False
        return await called(lambda: self._sync.__exit__(kind, error, traceback))

    def _abandon(self, _execution: stayline.Execution) -> None:
        error = RuntimeError("the launch was cancelled")
        self._sync.__exit__(RuntimeError, error, None)


class Lease(View[stayline.Lease]):
    """A lease on an execution (R38): ``stayline.Lease``, awaitable.

    Leaving it as a context manager releases it; one that was released or has expired meanwhile
    is fine.
    """

    @property
    def execution_id(self) -> str:
        """On which execution."""
        return self._sync.execution_id

    @property
    def lease_id(self) -> str:
        """Who holds it."""
        return self._sync.lease_id

    @property
    def message_id(self) -> str | None:
        """What for, in the host's words."""
        return self._sync.message_id

    @property
    def expires_at(self) -> datetime:
        """At that moment anyone may take it."""
        return self._sync.expires_at

    @property
    def expires_at_ms(self) -> int:
        """The same in milliseconds since the Unix epoch."""
        return self._sync.expires_at_ms

    async def extend(self) -> Lease:
        """The lease with a new expiry. Raises ``NotFound`` once it has expired."""
        return Lease(await called(self._sync.extend))

    async def release(self) -> None:
        """Gives it back. Raises ``NotFound`` once it has expired."""
        await called(self._sync.release)

    async def __aenter__(self) -> Lease:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await called(lambda: self._sync.__exit__(kind, error, traceback))
