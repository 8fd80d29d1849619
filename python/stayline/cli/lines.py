"""A record as one line for people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

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
    except ValueError:
        return " " * 12
    return at.astimezone().strftime("%H:%M:%S.%f")[:-3]


def _text(record: Record) -> str:
    """What people need of the data; all of it, as it was sent, where nothing better is known."""
    data = record.fields.get("data")
    if isinstance(data, dict) and record.type in _TOLD:
        told = _TOLD[record.type](data)
        if told is not None:
            return told
    return record.raw_data


def _output(data: dict[str, Any]) -> str | None:
    text = data.get("text")
    known = set(data) <= {"text", "part", "last", "base64"}
    return text if known and isinstance(text, str) else None


def _error(data: dict[str, Any]) -> str | None:
    if not (set(data) <= {"error", "fatal"} and isinstance(data.get("error"), str)):
        return None
    return f"{data['error']} (fatal)" if data.get("fatal") is True else str(data["error"])


def _complete(data: dict[str, Any]) -> str | None:
    code, branch = data.get("exitCode"), data.get("currentBranch")
    if not (set(data) <= {"exitCode", "currentBranch"} and type(code) is int):
        return None
    if branch is None:
        return f"exit code {code}"
    return f"exit code {code}, branch {branch}" if isinstance(branch, str) else None


def _interrupted(data: dict[str, Any]) -> str | None:
    reason = data.get("reason")
    return reason if set(data) == {"reason"} and isinstance(reason, str) else None


def _reconnected(data: dict[str, Any]) -> str | None:
    length = data.get("disconnectedMs")
    return f"after {duration(length / 1000)}" if type(length) is int else None


def _disconnected(data: dict[str, Any]) -> str | None:
    code, reason = data.get("wsCloseCode"), data.get("wsCloseReason")
    if not (type(code) is int and isinstance(reason, str)):
        return None
    return f"did not come back (code {code}{reason and f' {reason}'})"


def _gap(data: dict[str, Any]) -> str:
    return f"asked for {data.get('requested')}, there is {data.get('earliest')} and later"


_TOLD: dict[str, Callable[[dict[str, Any]], str | None]] = {
    "output": _output,
    "error": _error,
    "complete": _complete,
    "interrupted": _interrupted,
    "wrapper_reconnected": _reconnected,
    "wrapper_disconnected": _disconnected,
    "gap": _gap,
}
