"""Every word a scenario file may use: steps, expectations, their fields, settings and errors.

The tables below are the format. A word that is not here does not exist, and a file that uses it
is refused with that word in the message; nothing is ever skipped silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = ["ACTIONS", "ERRORS", "EXPECTATIONS", "SETTINGS", "WRAPPER_SETTINGS", "Field", "Shape"]


class Shape(NamedTuple):
    """What a value looks like: a description for people, and the check."""

    description: str
    accepts: Callable[[Any], bool]


class Field(NamedTuple):
    """One field of a step."""

    shape: Shape
    required: bool = False


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _nullable(shape: Shape) -> Shape:
    return Shape(
        f"{shape.description} or null", lambda value: value is None or shape.accepts(value)
    )


def _one_of(*names: str) -> Shape:
    listed = ", ".join(f'"{name}"' for name in names[:-1])
    return Shape(f'{listed} or "{names[-1]}"', lambda value: value in names)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_EVENT_FIELDS = ("type", "data", "timestamp", "seq")
_RECORD_FIELDS = ("type", "id", "late", "data", "execution", "timestamp")
_TOLD = (
    "reconnecting",
    "reconnected",
    "disconnected",
    "execution_done",
    "replaced",
    "command",
    "restart_feed",
    "task",
    "abort",
    "drained",
)


def _is_event(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("type"), str)
        and all(name in _EVENT_FIELDS for name in value)
    )


def _is_record_list(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, dict) and all(name in _RECORD_FIELDS for name in item) for item in value
    )


def _is_told(item: Any) -> bool:
    if isinstance(item, dict):
        return len(item) == 1 and next(iter(item)) in _TOLD
    return isinstance(item, str) and item in _TOLD


ANY = Shape("any value", lambda value: True)
TEXT = Shape("a string", lambda value: isinstance(value, str))
FLAG = Shape("true or false", lambda value: isinstance(value, bool))
INTEGER = Shape("an integer", _is_integer)
COUNT = Shape("an integer from 0", lambda value: _is_integer(value) and value >= 0)
POSITIVE = Shape("an integer from 1", lambda value: _is_integer(value) and value >= 1)
OBJECT = Shape("an object", lambda value: isinstance(value, dict))
TEXTS = Shape("a list of strings", _is_texts)
TEXT_OR_TEXTS = Shape(
    "a string or a list of strings", lambda value: isinstance(value, str) or _is_texts(value)
)
FRAME = Shape("an object, or a string", lambda value: isinstance(value, (dict, str)))
FRAMES = Shape(
    "a list of objects",
    lambda value: isinstance(value, list) and all(isinstance(item, dict) for item in value),
)
EVENT = Shape("an object of type and optionally data, timestamp, seq", _is_event)
RECORDS = Shape(f"a list of objects with fields from {', '.join(_RECORD_FIELDS)}", _is_record_list)
TOLD = Shape(
    f"a list of strings or one-field objects from {', '.join(_TOLD)}",
    lambda value: isinstance(value, list) and all(_is_told(item) for item in value),
)
STATUS = _one_of("pending", "running", "completed", "failed", "interrupted")
PROTOCOL = Shape('2, null or "none"', lambda value: value in (2, None, "none"))
REFUSAL = _one_of("not_found", "unauthorized", "not_active", "superseded", "bad_request")

_TEXT = Field(TEXT)
_FLAG = Field(FLAG)
_TEXT_OR_NULL = Field(_nullable(TEXT))
_COUNT_OR_NULL = Field(_nullable(COUNT))
_MS = Field(COUNT, required=True)
_NAME = Field(TEXT, required=True)
_CODE = Field(COUNT)

_SESSION = {"session": _TEXT}
_EXECUTION = {**_SESSION, "execution": _TEXT}
_LINK = {**_SESSION, "link": _TEXT}
_WRAPPER = {"wrapper": _TEXT}
_ATTEMPT = {**_WRAPPER, "attempt": Field(POSITIVE)}

ACTIONS: Mapping[str, Mapping[str, Field]] = {
    "start": {**_EXECUTION, "mode": _TEXT, "token": _TEXT},
    "attach": {
        **_LINK,
        "execution": _TEXT,
        "token": _TEXT_OR_NULL,
        "acknowledged": _FLAG,
        "producer": _TEXT_OR_NULL,
        "attempt": _COUNT_OR_NULL,
    },
    "receive": {**_LINK, "event": Field(EVENT), "raw": _TEXT, "binary": _FLAG},
    "close": {**_LINK, "code": _CODE, "reason": _TEXT},
    "fail": {
        **_EXECUTION,
        "message": _NAME,
        "event_type": _TEXT,
        "payload": Field(OBJECT),
        "suppress_notification": _FLAG,
    },
    "finish": {**_EXECUTION, "status": Field(STATUS, required=True), "message": _TEXT_OR_NULL},
    "interrupt": {**_EXECUTION, "escalate": _FLAG, "grace": _COUNT_OR_NULL},
    "clear_interrupt": _EXECUTION,
    "heartbeat": _EXECUTION,
    "lease": {
        **_EXECUTION,
        "op": Field(_one_of("acquire", "extend", "release"), required=True),
        "lease_id": _NAME,
        "message_id": _TEXT,
    },
    "advance": {"ms": _MS},
    "suspend": {"ms": _MS},
    "restart": {"down_ms": Field(COUNT)},
    "reopen": {"settings": Field(OBJECT, required=True)},
    "fail_next_commit": {"outcome": Field(_one_of("lost", "unknown_kept"), required=True)},
    "delete_session": _SESSION,
    "take_notification": {"ack": _FLAG},
    "subscribe": {
        **_SESSION,
        "name": _NAME,
        "after": Field(COUNT),
        "epoch": _TEXT,
        "types": Field(TEXTS),
    },
    "w_open": {**_WRAPPER, "execution": _TEXT},
    "w_opened": {**_ATTEMPT, "protocol": Field(PROTOCOL)},
    "w_refused": {**_ATTEMPT, "status": _COUNT_OR_NULL, "refusal": Field(_nullable(REFUSAL))},
    "w_closed": {**_ATTEMPT, "code": _CODE, "reason": _TEXT},
    "w_send": {**_WRAPPER, "type": _NAME, "data": Field(ANY), "droppable": _FLAG},
    "w_frame": {**_ATTEMPT, "frame": Field(FRAME, required=True)},
    "w_close": _WRAPPER,
    "w_job": {
        **_WRAPPER,
        "execution": _TEXT,
        "agent_session": _TEXT_OR_NULL,
        "tasks": Field(TEXTS),
    },
    "w_turn": _WRAPPER,
    "w_agent": {**_WRAPPER, "type": _NAME, "properties": Field(ANY)},
    "w_task_done": {**_WRAPPER, "name": _NAME, "ok": _FLAG},
    "w_aborted": _WRAPPER,
    "w_crash": _WRAPPER,
    "pair": {**_EXECUTION, **_WRAPPER},
    "cut": {**_WRAPPER, "code": _CODE, "lose": Field(COUNT)},
    "black_hole": {**_WRAPPER, "on": Field(FLAG, required=True)},
    "refuse": {
        **_WRAPPER,
        "status": _COUNT_OR_NULL,
        "refusal": Field(_nullable(REFUSAL)),
        "times": Field(COUNT),
    },
}

EXPECTATIONS: Mapping[str, Mapping[str, Field]] = {
    "execution": {
        **_EXECUTION,
        "status": Field(_nullable(STATUS)),
        "message": _TEXT_OR_NULL,
        "message_contains": _TEXT,
        "health": Field(_nullable(_one_of("healthy", "unknown", "stale"))),
        "interrupt_requested": _FLAG,
        "has_completed_at": _FLAG,
        "has_heartbeat": _FLAG,
        "exit_code": Field(_nullable(INTEGER)),
    },
    "active": {**_SESSION, "execution": Field(_nullable(TEXT), required=True)},
    "events": {
        **_SESSION,
        "after": Field(COUNT),
        "types": Field(TEXTS),
        "execution": Field(TEXT_OR_TEXTS),
        "since": Field(INTEGER),
        "until": Field(INTEGER),
        "limit": Field(COUNT),
        "count": Field(COUNT),
        "list": Field(RECORDS),
    },
    "frames": {**_LINK, "types": Field(TEXTS), "count": Field(COUNT), "list": Field(FRAMES)},
    "link": {**_LINK, "open": _FLAG, "code": _COUNT_OR_NULL, "reason": _TEXT_OR_NULL},
    "session": {
        **_SESSION,
        "exists": _FLAG,
        "branch": _TEXT_OR_NULL,
        "agent_session_id": _TEXT_OR_NULL,
        "grace": _FLAG,
    },
    "deadline": {"in_ms": Field(_nullable(INTEGER), required=True)},
    "notifications": {**_SESSION, "count": Field(COUNT), "list": Field(FRAMES)},
    "stream": {"name": _NAME, "count": Field(COUNT), "list": Field(RECORDS)},
    "w_state": {
        **_WRAPPER,
        "state": Field(_one_of("idle", "connecting", "connected", "reconnecting", "closed")),
        "buffered": Field(COUNT),
        "unacknowledged": Field(COUNT),
    },
    "w_attempts": {**_WRAPPER, "count": Field(COUNT, required=True)},
    "w_sent": {
        **_ATTEMPT,
        "types": Field(TEXTS),
        "count": Field(COUNT),
        "list": Field(FRAMES),
    },
    "w_told": {**_WRAPPER, "count": Field(COUNT), "list": Field(TOLD)},
}

#: Names in scenario files, and the full names that drivers take.
SETTINGS: Mapping[str, str] = {
    name.removesuffix("_ms"): name
    for name in (
        "healthy_within_ms",
        "stale_after_ms",
        "pending_timeout_ms",
        "heartbeat_debounce_ms",
        "disconnect_grace_ms",
        "recovery_grace_ms",
        "interrupt_grace_ms",
        "kill_grace_ms",
        "late_window_ms",
        "lease_ttl_ms",
        "notification_lease_ms",
        "notification_attempts",
        "event_retention_ms",
        "session_ttl_ms",
        "idle_after_ms",
        "max_frame_bytes",
        "max_nesting",
        "max_id_bytes",
        "max_text_bytes",
        "volatile_types",
        "ping_interval_ms",
        "link_timeout_ms",
        "basic_link_timeout_ms",
        "basic_linger_ms",
        "authorize_timeout_ms",
        "notifications",
        "max_readers",
        "synchronous",
    )
}

WRAPPER_SETTINGS: Mapping[str, str] = {
    name.removesuffix("_ms"): name
    for name in (
        "acknowledged",
        "reconnect_base_ms",
        "reconnect_factor",
        "reconnect_cap_ms",
        "reconnect_attempts",
        "give_up_after_ms",
        "jitter",
        "buffer_events",
        "buffer_bytes",
        "overflow",
        "send_timeout_ms",
        "outbox",
        "heartbeat_interval_ms",
        "ack_timeout_ms",
        "connect_timeout_ms",
        "dial_timeout_ms",
        "upgrade_timeout_ms",
        "drain_delay_ms",
        "task_timeout_ms",
        "abort_timeout_ms",
        "feed_timeout_ms",
    )
}

#: The errors an action may be meant to end with, and their fields.
ERRORS: Mapping[str, tuple[str, ...]] = {
    "InvalidArgument": ("what",),
    "InvalidSettings": ("first", "second"),
    "InvalidEvent": ("reason", "bytes"),
    "NotFound": ("what",),
    "AlreadyExists": ("execution_id",),
    "ExecutionInProgress": ("active",),
    "ExecutionNotActive": ("status",),
    "InvalidTransition": ("from", "to"),
    "NoActiveExecution": (),
    "JobConflict": ("active",),
    "Superseded": (),
    "AlreadyHeld": ("holder", "expires_at"),
    "WrongHolder": ("holder", "expires_at"),
    "Unauthorized": (),
    "Full": ("events", "bytes"),
    "LimitExceeded": ("limit", "value"),
    "Timeout": (),
    "Closed": (),
    "Disconnected": ("reason",),
    "StoreInUse": ("pid", "since", "url", "program"),
    "StoreError": (),
    "StoreUnknown": (),
    "StoreFormat": ("found", "supported"),
    "ForkError": ("pid",),
    "Panic": (),
}
