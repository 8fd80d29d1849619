"""A record as one line for people."""

from __future__ import annotations

from datetime import datetime, timezone

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
    if isinstance(data, dict):
        text = data.get("text")
        if record.type == "output" and isinstance(text, str):
            if set(data) <= {"text", "part", "last", "base64"}:
                return text
        elif record.type == "wrapper_reconnected" and isinstance(data.get("disconnectedMs"), int):
            return f"after {duration(data['disconnectedMs'] / 1000)}"
        elif record.type == "gap":
            return f"asked for {data.get('requested')}, there is {data.get('earliest')} and later"
    return record.raw_data
