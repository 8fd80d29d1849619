"""The expectations of scenario files, `expect`, one function each.

Each compares the fields that were given with what is, and returns the first difference in words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .compare import difference, told_difference
from .drivers import OperationError
from .format import Step
from .world import World

__all__ = ["check"]

_Fields = Mapping[str, Any]


def check(world: World, step: Step) -> str | None:
    """What does not fit, or `None`."""
    return _EXPECTATIONS[step.name](world, step.fields)


def _session(fields: _Fields) -> str:
    return str(fields.get("session", "s"))


def _compare(actual: Mapping[str, Any], fields: _Fields) -> str | None:
    """Compares those of `actual` that were given."""
    for name, value in actual.items():
        if name in fields:
            found = difference(name, value, fields[name])
            if found is not None:
                return found
    return None


def _compare_list(items: list[Any], fields: _Fields) -> str | None:
    return _compare({"count": len(items), "list": items}, fields)


def _execution(world: World, fields: _Fields) -> str | None:
    name = fields.get("execution", "e")
    try:
        view = world.driver.call("execution", session=_session(fields), execution=name)
    except OperationError as error:
        if error.name == "NotFound":
            return f"there is no execution {name}"
        raise
    found = _compare(
        {
            "status": view["status"],
            "message": view["message"],
            "health": view["health"],
            "interrupt_requested": view["interrupt_requested"],
            "has_completed_at": view["completed_at"] is not None,
            "has_heartbeat": view["last_heartbeat_at"] is not None,
            # A driver that tells none has none.
            "exit_code": view.get("exit_code"),
        },
        fields,
    )
    wanted = fields.get("message_contains")
    if found is None and wanted is not None and wanted not in (view["message"] or ""):
        return f"message is {view['message'] or 'null'}, expected to contain {wanted}"
    return found


def _view(world: World, fields: _Fields) -> Mapping[str, Any] | None:
    """The session, or `None` for one that is not known: reading never creates (R19a)."""
    try:
        view: Mapping[str, Any] = world.driver.call("session", session=_session(fields))
    except OperationError as error:
        if error.name == "NotFound":
            return None
        raise
    return view


def _active(world: World, fields: _Fields) -> str | None:
    view = _view(world, fields)
    return _compare({"execution": view["active"] if view else None}, fields)


def _session_itself(world: World, fields: _Fields) -> str | None:
    view = _view(world, fields)
    if view is None:
        absent = {"exists": False, "branch": None, "agent_session_id": None, "grace": False}
        return _compare(absent, fields)
    return _compare(
        {
            "exists": True,
            "branch": view["branch"],
            "agent_session_id": view["agent_session_id"],
            "grace": view["grace"],
        },
        fields,
    )


def _events(world: World, fields: _Fields) -> str | None:
    execution = fields.get("execution")
    try:
        events = world.driver.call(
            "events",
            session=_session(fields),
            after=fields.get("after", 0),
            types=fields.get("types"),
            executions=[execution] if isinstance(execution, str) else execution,
            since=fields.get("since"),
            until=fields.get("until"),
            limit=fields.get("limit"),
        )
    except OperationError as error:
        if error.name != "NotFound":
            raise
        events = []
    return _compare_list(events, fields)


def _frames(world: World, fields: _Fields) -> str | None:
    link = world.link(fields.get("session"), fields.get("link", "l"))
    frames: list[Any] = []
    if link is not None:
        frames, link.frames = link.frames, []
    types = fields.get("types")
    if types is None:
        frames = [frame for frame in frames if frame.get("type") != "ack"]
    else:
        frames = [frame for frame in frames if frame.get("type") in types]
    return _compare_list(frames, fields)


def _link(world: World, fields: _Fields) -> str | None:
    link = world.link(fields.get("session"), fields.get("link", "l"))
    if link is None:
        return _compare({"open": False, "code": None, "reason": None}, fields)
    code, reason = link.ended or (None, None)
    return _compare({"open": link.ended is None, "code": code, "reason": reason}, fields)


def _deadline(world: World, fields: _Fields) -> str | None:
    deadline = world.driver.call("next_deadline")
    return _compare({"in_ms": None if deadline is None else deadline - world.now}, fields)


def _notifications(world: World, fields: _Fields) -> str | None:
    notifications = world.driver.call("notifications")
    if "session" in fields:
        notifications = [
            notification
            for notification in notifications
            if notification["session_id"] == fields["session"]
        ]
    return _compare_list(notifications, fields)


def _stream(world: World, fields: _Fields) -> str | None:
    name = fields["name"]
    if name not in world.streams:
        return f"there is no subscriber {name}"
    records, world.streams[name] = world.streams[name], []
    return _compare_list(records, fields)


def _w_state(world: World, fields: _Fields) -> str | None:
    end = world.wrapper(fields.get("wrapper", "w"))
    if end.handle is None:
        return _compare({"state": "idle", "buffered": 0, "unacknowledged": 0}, fields)
    return _compare(world.driver.call("w_state", wrapper=end.handle), fields)


def _w_attempts(world: World, fields: _Fields) -> str | None:
    return _compare({"count": world.wrapper(fields.get("wrapper", "w")).attempts}, fields)


def _w_sent(world: World, fields: _Fields) -> str | None:
    end = world.wrapper(fields.get("wrapper", "w"))
    attempt = fields.get("attempt", end.attempts)
    frames = end.sent.get(attempt, [])
    if attempt in end.sent:
        end.sent[attempt] = []
    types = fields.get("types")
    if types is not None:
        frames = [frame for frame in frames if frame.get("streamEventType") in types]
    return _compare_list(frames, fields)


def _w_told(world: World, fields: _Fields) -> str | None:
    end = world.wrapper(fields.get("wrapper", "w"))
    told, end.told = end.told, []
    if "list" in fields:
        found = told_difference(told, fields["list"])
        if found is not None:
            return found
    return _compare({"count": len(told)}, fields)


_EXPECTATIONS: Mapping[str, Callable[[World, _Fields], str | None]] = {
    "execution": _execution,
    "active": _active,
    "events": _events,
    "frames": _frames,
    "link": _link,
    "session": _session_itself,
    "deadline": _deadline,
    "notifications": _notifications,
    "stream": _stream,
    "w_state": _w_state,
    "w_attempts": _w_attempts,
    "w_sent": _w_sent,
    "w_told": _w_told,
}
