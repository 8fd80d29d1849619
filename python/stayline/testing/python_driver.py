"""The driver for this module: every operation of `docs/drivers.md` through the public names.

Only what a user has no use for goes through test hooks, which begin with an underscore.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import stayline
from stayline import sansio

from .drivers import Driver, DriverError, OperationError

__all__ = ["PythonDriver"]


class PythonDriver(Driver):
    """Coordinator, links, streams and wrappers of one scenario, in this process."""

    def __init__(self) -> None:
        self._operations = {
            name.removeprefix("_do_"): getattr(self, name)
            for name in dir(self)
            if name.startswith("_do_")
        }
        self._forget()

    def _forget(self) -> None:
        self._coordinator_or_none: stayline.Coordinator | None = None
        self._clock: stayline.ManualClock | None = None
        self._links: dict[str, stayline.Link] = {}
        self._streams: dict[str, stayline.Subscription] = {}
        self._wrappers: dict[str, sansio.Wrapper] = {}
        self._taken: dict[str, stayline.Notification] = {}

    def call(self, operation: str, **arguments: Any) -> Any:
        """Performs one operation."""
        perform: Callable[..., Any] | None = self._operations.get(operation)
        if perform is None:
            raise DriverError(f"there is no operation {operation}")
        try:
            return perform(**arguments)
        except stayline.Error as error:
            raise OperationError(error.name, str(error), dict(error.fields)) from None

    def reset(self) -> None:
        """Drops the scenario before."""
        self._do_abandon()
        self._forget()

    def close(self) -> None:
        """Drops what is left."""
        self.reset()

    # The coordinator.

    @property
    def _coordinator(self) -> stayline.Coordinator:
        if self._coordinator_or_none is None:
            raise DriverError("the coordinator is not open")
        return self._coordinator_or_none

    @property
    def _time(self) -> stayline.ManualClock:
        if self._clock is None:
            raise DriverError("the coordinator was never opened")
        return self._clock

    def _do_open(self, location: str, settings: Mapping[str, Any], now: int, fresh: bool) -> None:
        # Every case names a store of its own, so that it is empty without our doing.
        del fresh
        if self._clock is None:
            self._clock = stayline.ManualClock(now)
        self._clock.set(now)
        self._coordinator_or_none = stayline.Coordinator(
            location, settings=stayline.Settings(**settings), clock=self._clock, _faults=True
        )

    def _do_abandon(self) -> None:
        if self._coordinator_or_none is not None:
            self._coordinator_or_none._abandon()
            self._coordinator_or_none = None
        self._links.clear()
        self._streams.clear()
        self._taken.clear()

    def _do_set_time(self, now: int) -> None:
        self._time.set(now)

    def _do_suspend(self, ms: int) -> None:
        self._time.suspend(ms)

    def _do_handle_due(self) -> None:
        self._coordinator._handle_due()

    def _do_next_deadline(self) -> int | None:
        return self._coordinator._next_deadline()

    def _do_fail_next_commit(self, outcome: Any) -> None:
        self._coordinator._fail_next_commit(outcome)

    def _do_start(
        self, session: str, execution: str, mode: str | None, token: str | None
    ) -> dict[str, Any]:
        started = self._coordinator.session(session).start(execution, mode=mode, token=token)
        return {"execution_id": started.id, "token": started.token}

    def _do_attach(
        self,
        link: str,
        session: str,
        execution: str,
        token: str | None,
        acknowledged: bool,
        producer: str | None,
        attempt: int | None,
    ) -> None:
        self._links[link] = self._coordinator.session(session).attach(
            execution,
            token=token,
            acknowledged=acknowledged,
            producer=producer,
            attempt=attempt,
        )

    def _do_receive(self, link: str, text: str) -> None:
        self._links[link].receive(text)

    def _do_receive_binary(self, link: str, bytes: int) -> None:
        self._links[link].receive(b"\x00" * bytes)

    def _do_link_closed(self, link: str, code: int, reason: str) -> None:
        self._links[link].closed(code, reason)

    def _do_link_outputs(self, link: str) -> list[dict[str, Any]]:
        outputs: list[dict[str, Any]] = []
        while (output := self._links[link].try_output()) is not None:
            if isinstance(output, stayline.Send):
                outputs.append({"send": output.text})
            else:
                outputs.append({"close": {"code": output.code, "reason": output.reason}})
                break
        return outputs

    def _do_fail(self, session: str, execution: str, message: str, **options: Any) -> bool:
        return self._coordinator.session(session).fail(execution, message, **options)

    def _do_finish(self, session: str, execution: str, status: Any, message: str | None) -> None:
        self._coordinator.session(session).finish(execution, status, message=message)

    def _do_interrupt(
        self, session: str, execution: str | None, escalate: bool, **grace: int | None
    ) -> str:
        options = {
            name: None if ms is None else timedelta(milliseconds=ms) for name, ms in grace.items()
        }
        return self._coordinator.session(session).interrupt(execution, escalate=escalate, **options)

    def _do_clear_interrupt(self, session: str, execution: str | None) -> None:
        self._coordinator.session(session).clear_interrupt(execution)

    def _do_heartbeat(self, session: str, execution: str) -> None:
        self._coordinator.session(session).heartbeat(execution)

    def _do_lease_acquire(
        self, session: str, execution: str, lease_id: str, message_id: str | None
    ) -> dict[str, Any]:
        handle = self._coordinator.session(session)
        return _lease(handle.lease(execution, lease_id, message_id=message_id))

    def _do_lease_extend(self, session: str, execution: str, lease_id: str) -> dict[str, Any]:
        return _lease(self._coordinator.session(session).extend_lease(execution, lease_id))

    def _do_lease_release(self, session: str, execution: str, lease_id: str) -> None:
        self._coordinator.session(session).release_lease(execution, lease_id)

    def _do_delete_session(self, session: str) -> None:
        self._coordinator.session(session).delete()

    def _do_session(self, session: str) -> dict[str, Any]:
        info = self._coordinator.session(session).info()
        return {
            "branch": info.branch,
            "agent_session_id": info.agent_session_id,
            "active": info.active,
            "grace": info.grace,
            "link_attached": info.link_attached,
        }

    def _do_execution(self, session: str, execution: str) -> dict[str, Any]:
        view = self._coordinator.session(session).execution(execution)
        return {
            "status": view.status,
            "message": view.error,
            "health": view.health,
            "interrupt_requested": view.interrupt_requested,
            "completed_at": _ms(view.completed_at),
            "last_heartbeat_at": _ms(view.last_heartbeat_at),
            "exit_code": view.exit_code,
        }

    def _do_events(self, session: str, **conditions: Any) -> list[dict[str, Any]]:
        return _records(self._coordinator.session(session).events(**conditions))

    def _do_notifications(self) -> list[dict[str, Any]]:
        return [_notification(pending) for pending in self._coordinator.pending_notifications()]

    def _do_take_notification(self) -> dict[str, Any] | None:
        taken = self._coordinator.notifications(timeout=0).try_next()
        if taken is None:
            return None
        self._taken[taken.id] = taken
        return _notification(taken)

    def _do_acknowledge_notification(self, notification_id: str) -> None:
        self._taken.pop(notification_id).ack()

    def _do_subscribe(self, stream: str, session: str, **conditions: Any) -> None:
        self._streams[stream] = self._coordinator.session(session).stream(**conditions)

    def _do_stream_records(self, stream: str) -> dict[str, Any]:
        subscription = self._streams[stream]
        records = _records(iter(subscription.try_next, None))
        return {"records": records, "ended": subscription.ended}

    # Wrappers.

    def _do_w_new(self, wrapper: str, settings: Mapping[str, Any], seed: str) -> None:
        self._wrappers[wrapper] = sansio.Wrapper(stayline.Settings(**settings), seed=int(seed, 16))

    def _do_w_drop(self, wrapper: str) -> None:
        del self._wrappers[wrapper]

    def _do_w_poll(self, wrapper: str) -> list[dict[str, Any]]:
        return [_action(action) for action in iter(self._wrappers[wrapper].poll_action, None)]

    def _do_w_next_deadline(self, wrapper: str) -> int | None:
        return self._wrappers[wrapper].next_deadline_ms()

    def _do_w_timeout(self, wrapper: str, now: int) -> None:
        self._wrappers[wrapper].handle_timeout(now)

    def _do_w_state(self, wrapper: str) -> dict[str, Any]:
        machine = self._wrappers[wrapper]
        return {
            "state": machine.state,
            "buffered": machine.buffered,
            "unacknowledged": machine.unacknowledged,
        }

    def _do_w_open(self, wrapper: str, execution: str, now: int) -> None:
        self._wrappers[wrapper].open(execution, now)

    def _do_w_opened(self, wrapper: str, attempt: int, protocol: int | None, now: int) -> None:
        self._wrappers[wrapper].handle_opened(attempt, protocol, now)

    def _do_w_refused(
        self,
        wrapper: str,
        attempt: int,
        status: int | None,
        refusal: str | None,
        execution_status: Any,
        now: int,
    ) -> None:
        self._wrappers[wrapper].handle_refused(
            attempt,
            now,
            http_status=status,
            refusal=refusal,
            execution_status=execution_status,
        )

    def _do_w_closed(self, wrapper: str, attempt: int, code: int, reason: str, now: int) -> None:
        self._wrappers[wrapper].handle_closed(attempt, code, reason, now)

    def _do_w_frame(self, wrapper: str, attempt: int, text: str, now: int) -> None:
        self._wrappers[wrapper].handle_frame(attempt, text, now)

    def _do_w_send(self, wrapper: str, type: str, data: Any, droppable: bool, now: int) -> None:
        # As a request of the driver protocol would have it.
        raw_data = json.dumps(data, separators=(",", ":"))
        self._wrappers[wrapper].send(type, now_ms=now, raw_data=raw_data, droppable=droppable)

    def _do_w_close(self, wrapper: str, now: int) -> int:
        return self._wrappers[wrapper].close(now)

    def _do_w_job(
        self, wrapper: str, execution: str, agent_session: str | None, tasks: list[str], now: int
    ) -> None:
        self._wrappers[wrapper].start_job(
            execution, now_ms=now, agent_session=agent_session, tasks=tasks
        )

    def _do_w_turn(self, wrapper: str, now: int) -> str:
        return self._wrappers[wrapper].begin_turn(now)

    def _do_w_agent(self, wrapper: str, type: str, properties: Any, now: int) -> None:
        self._wrappers[wrapper].handle_agent_event(type, properties, now_ms=now)

    def _do_w_task_done(self, wrapper: str, name: str, ok: bool, now: int) -> None:
        self._wrappers[wrapper].handle_task_done(name, ok, now_ms=now)

    def _do_w_aborted(self, wrapper: str, now: int) -> None:
        self._wrappers[wrapper].handle_aborted(now)


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)


def _lease(lease: stayline.Lease) -> dict[str, Any]:
    return {
        "lease_id": lease.lease_id,
        "message_id": lease.message_id,
        "expires_at": lease.expires_at_ms,
    }


def _notification(notification: stayline.Notification) -> dict[str, Any]:
    return {
        "notification_id": notification.id,
        "kind": notification.kind,
        "session_id": notification.session_id,
        "execution_id": notification.execution_id,
        "status": notification.status,
        "error": notification.error,
        "branch": notification.branch,
        "agent_session_id": notification.agent_session_id,
        "attempt": notification.attempt,
        "parked": notification.parked,
    }


def _records(events: Iterable[stayline.Event]) -> list[dict[str, Any]]:
    return [
        {
            "id": event.id,
            "execution": event.execution_id,
            "type": event.type,
            "timestamp": event.timestamp_ms,
            "late": event.late,
            "data": event.data,
        }
        for event in events
    ]


def _action(action: Any) -> dict[str, Any]:
    if isinstance(action, sansio.Connect):
        names = ("attempt", "protocol", "producer")
        return {"connect": {name: getattr(action, name) for name in names}}
    if isinstance(action, sansio.Write):
        return {"write": {"attempt": action.attempt, "text": action.text}}
    if isinstance(action, sansio.CloseAttempt):
        names = ("attempt", "code", "reason")
        return {"close": {name: getattr(action, name) for name in names}}
    return {"tell": _TOLD[type(action)](action)}


#: What the host is told, in the words of scenario files.
_TOLD: Mapping[type, Callable[[Any], Any]] = {
    stayline.Reconnecting: lambda told: {"reconnecting": told.attempt},
    stayline.Reconnected: lambda told: "reconnected",
    stayline.Disconnected: lambda told: {"disconnected": told.reason},
    stayline.Ended: lambda told: {
        "execution_done": {
            "status": told.status,
            "error": told.error,
            "unacknowledged": told.unacknowledged,
        }
    },
    stayline.Replaced: lambda told: "replaced",
    stayline.Command: lambda told: {"command": told.data},
    stayline.RestartFeed: lambda told: "restart_feed",
    stayline.RunTask: lambda told: {"task": told.name},
    stayline.Kill: lambda told: {"abort": {"signal": told.signal}},
    stayline.Drained: lambda told: "drained",
}
