"""A record as one line for people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from stayline._endings import ending
from stayline.cli.console import duration, paint, visible
from stayline.cli.views import Record

_TROUBLE = ("error", "rejected", "wrapper_disconnected")
_STYLES = {
    "complete": "completed",
    "interrupted": "interrupted",
    "wrapper_reconnected": "good",
    "wrapper_resumed": "warning",
    "gap": "warning",
    "deleted": "trouble",
}


def line(record: Record) -> str:
    """Id, time, type and text, in columns."""
    kind = visible(record.type)
    late = " (late)" if record.fields.get("late") is True else ""
    number = str(record.id) if record.id else "-"
    style = "trouble" if record.type in _TROUBLE else _STYLES.get(record.type, "")
    text = visible(_text(record))
    return f"{number:>7}  {_clock(record)}  {paint(kind + late, style)}  {text}".rstrip()


def note(at_ms: int, text: str, style: str = "dim") -> str:
    """What is no event, in the same columns."""
    at = datetime.fromtimestamp(at_ms / 1000, timezone.utc).astimezone()
    return f"{'--':>7}  {at.strftime('%H:%M:%S.%f')[:-3]}  {paint(visible(text), style)}"


def _clock(record: Record) -> str:
    stamp = record.fields.get("timestamp")
    try:
        at = datetime.fromisoformat(str(stamp).replace("Z", "+00:00"))
        return at.astimezone().strftime("%H:%M:%S.%f")[:-3]
    except (ValueError, OverflowError, OSError):
        return " " * 12


def _text(record: Record) -> str:
    """What people need of the data; all of it, as it was sent, where nothing better is known."""
    data = record.fields.get("data")
    if isinstance(data, dict) and record.type in _TOLD:
        try:
            told = _TOLD[record.type](data)
        except (ValueError, OverflowError):
            # A number that can be kept, and not be told.
            told = None
        if told is not None:
            return told
    return record.raw_data


def _output(data: dict[str, Any]) -> str | None:
    text = data.get("text")
    known = set(data) <= {"text", "part", "last", "base64", "stream"}
    if not (known and isinstance(text, str)):
        return None
    stream = data.get("stream", "stdout")
    if stream == "stdout":
        return text
    return f"{stream}: {text}" if stream == "stderr" else None


#: What stands in the data of an ending that was larger than a frame (R40).
_CUT = {"truncated", "bytes"}


def _error(data: dict[str, Any]) -> str | None:
    error, code = data.get("error"), data.get("exitCode")
    if not (set(data) <= {"error", "fatal", "exitCode"} | _CUT and isinstance(error, str)):
        return None
    if not _is_code(code):
        return None
    notes = ["fatal"] if data.get("fatal") is True else []
    if ending(error, code) != error:
        notes.append(f"exit code {code}")
    return _noted(error, notes, data)


def _complete(data: dict[str, Any]) -> str | None:
    code, branch = data.get("exitCode"), data.get("currentBranch")
    if not (set(data) <= {"exitCode", "currentBranch"} | _CUT and type(code) is int):
        return None
    if branch is None:
        return _noted(f"exit code {code}", [], data)
    told = f"exit code {code}, branch {branch}"
    return _noted(told, [], data) if isinstance(branch, str) else None


def _interrupted(data: dict[str, Any]) -> str | None:
    reason, code = data.get("reason"), data.get("exitCode")
    if not (data and set(data) <= {"reason", "exitCode"} | _CUT and _is_code(code)):
        return None
    if not (reason is None or isinstance(reason, str)):
        return None
    return _noted(ending(reason, code), [], data)


def _is_code(value: Any) -> bool:
    return value is None or type(value) is int


def _noted(text: str, notes: list[str], data: dict[str, Any]) -> str:
    if data.get("truncated") is True:
        notes = [*notes, f"cut, was {data.get('bytes')} bytes"]
    return f"{text} ({', '.join(notes)})" if notes else text


def _reconnected(data: dict[str, Any]) -> str | None:
    length = data.get("disconnectedMs")
    return f"after {duration(length / 1000)}" if type(length) is int else None


def _disconnected(data: dict[str, Any]) -> str | None:
    code, reason = data.get("wsCloseCode"), data.get("wsCloseReason")
    if not (type(code) is int and isinstance(reason, str)):
        return None
    return f"did not come back (code {code}{reason and f' {reason}'})"


def _gap(data: dict[str, Any]) -> str:
    requested, earliest = data.get("requested"), data.get("earliest")
    return f"asked for {requested}, there is {earliest} and later"


_TOLD: dict[str, Callable[[dict[str, Any]], str | None]] = {
    "output": _output,
    "error": _error,
    "complete": _complete,
    "interrupted": _interrupted,
    "wrapper_reconnected": _reconnected,
    "wrapper_disconnected": _disconnected,
    "gap": _gap,
}
