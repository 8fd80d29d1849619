"""Sessions: ``Session``, a handle on one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import stayline
from stayline.aio._calls import Opening, called
from stayline.aio._view import View
from stayline.aio._waiting import Seconds, seconds
from stayline.aio.execution import Execution, Launch, Lease
from stayline.aio.link import Link
from stayline.aio.session_info import SessionInfo
from stayline.aio.subscription import Events, Subscription

if TYPE_CHECKING:
    from stayline._internal import _Ending, _Health, _Moment, _Status, _Verdict
    from stayline.timeline import Timeline


class _NotGiven:
    """Stands for an argument that was left out where ``None`` means something."""

    def __repr__(self) -> str:
        return "..."


_NOT_GIVEN: Final = _NotGiven()


class Session(View[stayline.Session]):
    """A handle on one session: ``stayline.Session``, awaitable. Making one creates nothing.

    What changes something returns once that is durable. Cancelling such a call ends the wait
    and not the change: give ids of your own where you have to find out afterwards.
    """

    @property
    def id(self) -> str:
        """The session's id."""
        return self._sync.id

    async def active(self) -> str | None:
        """The id of the active execution (pending or running), or ``None``. Raises ``NotFound``.

        A property of ``stayline.Session``; awaited here, since the session may have to be read.
        """
        return await called(lambda: self._sync.active)

    # --- lifecycle ------------------------------------------------------------------------------

    async def start(
        self, execution_id: str | None = None, *, mode: str | None = None, token: str | None = None
    ) -> Execution:
        """Adds a pending execution (R2). Raises ``ExecutionInProgress``, or ``AlreadyExists``."""
        return Execution(
            await called(lambda: self._sync.start(execution_id, mode=mode, token=token))
        )

    def launch(
        self,
        execution_id: str | None = None,
        *,
        mode: str | None = None,
        token: str | None = None,
        suppress_notification: bool = False,
    ) -> Launch:
        """An ``async with`` block around ``start`` and the host's own launch code (R10)."""
        return Launch(
            self._sync.launch(
                execution_id, mode=mode, token=token, suppress_notification=suppress_notification
            )
        )

    def attach(
        self,
        execution_id: str,
        *,
        token: str | None = None,
        trusted: bool = False,
        acknowledged: bool = False,
        producer: str | None = None,
        attempt: int | None = None,
    ) -> Opening[Link]:
        """Accepts an ingest link (R25, R26): await it, or enter it with ``async with``.

        ``token`` is compared with the execution's; ``trusted=True`` says that the host has
        checked in its own way. A link that is accepted while the wait is cancelled is closed
        with 1006.
        """

        async def attach() -> Link:
            return Link(
                await called(
                    lambda: self._sync.attach(
                        execution_id,
                        token=token,
                        trusted=trusted,
                        acknowledged=acknowledged,
                        producer=producer,
                        attempt=attempt,
                    ),
                    undo=lambda link: link.closed(1006, "cancelled"),
                )
            )

        return Opening(attach())

    async def fail(
        self,
        execution_id: str,
        message: str,
        *,
        event_type: str | None = None,
        payload: dict[str, Any] | None = None,
        suppress_notification: bool = False,
    ) -> bool:
        """The one failure path (R7): ``True`` when it did the transition."""
        return await called(
            lambda: self._sync.fail(
                execution_id,
                message,
                event_type=event_type,
                payload=payload,
                suppress_notification=suppress_notification,
            )
        )

    async def finish(
        self,
        execution_id: str,
        status: _Ending = "completed",
        *,
        message: str | None = None,
        completed_at: _Moment | None = None,
    ) -> None:
        """Ends an execution as the host knows it ended (R1). Raises ``InvalidTransition``."""
        await called(
            lambda: self._sync.finish(
                execution_id, status, message=message, completed_at=completed_at
            )
        )

    async def interrupt(
        self,
        execution_id: str | None = None,
        *,
        escalate: bool = False,
        grace: Seconds | _NotGiven | None = _NOT_GIVEN,
    ) -> _Verdict:
        """Asks the active execution (or the one named) to stop (R11).

        SIGKILL follows after ``grace`` seconds (``None``: never; R13), or at once with
        ``escalate``.
        """
        if isinstance(grace, _NotGiven):
            return await called(lambda: self._sync.interrupt(execution_id, escalate=escalate))
        given: float | timedelta | None = grace
        return await called(
            lambda: self._sync.interrupt(execution_id, escalate=escalate, grace=given)
        )

    async def clear_interrupt(self, execution_id: str | None = None) -> None:
        """Takes an interrupt back (R13)."""
        await called(lambda: self._sync.clear_interrupt(execution_id))

    async def heartbeat(self, execution_id: str) -> None:
        """A sign of life that the host has of an execution (R14)."""
        await called(lambda: self._sync.heartbeat(execution_id))

    # --- leases ---------------------------------------------------------------------------------

    def lease(
        self, execution_id: str, lease_id: str, *, message_id: str | None = None
    ) -> Opening[Lease]:
        """Takes the exclusive lease on an execution, or renews it (R38).

        Await it, or enter it with ``async with``, which releases it. Raises ``AlreadyHeld``.
        When the wait is cancelled the lease may have been taken; it expires by itself.
        """

        async def acquire() -> Lease:
            return Lease(
                await called(
                    lambda: self._sync.lease(execution_id, lease_id, message_id=message_id)
                )
            )

        return Opening(acquire())

    async def extend_lease(self, execution_id: str, lease_id: str) -> Lease:
        """Extends a lease (R38). Raises ``NotFound`` or ``WrongHolder``."""
        return Lease(await called(lambda: self._sync.extend_lease(execution_id, lease_id)))

    async def release_lease(self, execution_id: str, lease_id: str) -> None:
        """Gives a lease back (R38). Raises ``NotFound`` or ``WrongHolder``."""
        await called(lambda: self._sync.release_lease(execution_id, lease_id))

    async def delete(self) -> None:
        """Removes the session wholly and at once (R19a)."""
        await called(self._sync.delete)

    # --- what is known --------------------------------------------------------------------------

    async def info(self) -> SessionInfo:
        """What is known about the session now. Raises ``NotFound``."""
        return SessionInfo(await called(self._sync.info))

    async def execution(self, execution_id: str) -> Execution:
        """One execution. Raises ``NotFound``."""
        return Execution(await called(lambda: self._sync.execution(execution_id)))

    async def executions(
        self, *, status: _Status | None = None, limit: int = 100
    ) -> list[Execution]:
        """The executions, the newest first, optionally of one status."""
        found = await called(lambda: self._sync.executions(status=status, limit=limit))
        return [Execution(execution) for execution in found]

    async def health(self, execution_id: str) -> _Health | None:
        """The health of a running execution (R6); otherwise ``None``."""
        return await called(lambda: self._sync.health(execution_id))

    async def timeline(
        self, *, executions: Sequence[str] | None = None, limit: int = 10
    ) -> Timeline:
        """One picture of the session's newest runs, or of those named; read on a thread."""
        return await called(lambda: self._sync.timeline(executions=executions, limit=limit))

    # --- events ---------------------------------------------------------------------------------

    def events(
        self,
        *,
        after: int = 0,
        types: Sequence[str] | None = None,
        executions: Sequence[str] | None = None,
        since: _Moment | None = None,
        until: _Moment | None = None,
        limit: int | None = None,
    ) -> Events:
        """The past: stored events that pass all filters (R34), for ``async for``."""
        return Events(
            lambda: self._sync.events(
                after=after,
                types=types,
                executions=executions,
                since=since,
                until=until,
                limit=limit,
            )
        )

    async def count_events(
        self,
        *,
        after: int = 0,
        types: Sequence[str] | None = None,
        executions: Sequence[str] | None = None,
        since: _Moment | None = None,
        until: _Moment | None = None,
    ) -> int:
        """How many stored events pass the filters."""
        return await called(
            lambda: self._sync.count_events(
                after=after, types=types, executions=executions, since=since, until=until
            )
        )

    def stream(
        self,
        *,
        after: int = 0,
        until: str | None = None,
        timeout: Seconds | None = None,
        types: Sequence[str] | None = None,
        executions: Sequence[str] | None = None,
        since: _Moment | None = None,
        epoch: str | None = None,
        live_only: bool = False,
    ) -> Subscription:
        """The past, then live (R35), for ``async for``; with ``until`` up to that run's end.

        ``timeout`` (seconds) bounds the wait for each event: iteration ends quietly when nothing
        came for so long, and goes on from there when iterated again. ``epoch`` says which log
        ``after`` belongs to (R34a). With ``live_only`` it begins at the end as it is when the
        subscription opens: await it, or enter it, before you do what you want to see.
        """
        seconds(timeout)
        return Subscription(
            self.id,
            lambda: self._sync.stream(
                after=after,
                until=until,
                types=types,
                executions=executions,
                since=since,
                epoch=epoch,
                live_only=live_only,
            ),
            after=after,
            timeout=timeout,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Session) and self._sync == other._sync

    def __hash__(self) -> int:
        return hash(self._sync)
