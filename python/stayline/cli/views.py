"""Runs and records as the command line shows them, whether a file or a server told of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from typing import Any, Literal, TypeAlias

import stayline
from stayline._endings import ending
from stayline._internal import _from_json

Status: TypeAlias = Literal["pending", "running", "completed", "failed", "interrupted"]

#: Finds the end of a value, whatever its numbers are.
_ANY_NUMBER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)

#: What the owner of a file has set is not in it.
_SETTINGS = stayline.Settings()


@dataclass(frozen=True)
class Query:
    """Which events are asked for (R34)."""

    after: int = 0
    types: list[str] | None = None
    execution: str | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True)
class Run:
    """One execution. Times are milliseconds since the Unix epoch."""

    session: str
    execution: str
    status: str
    error: str | None
    exit_code: int | None
    mode: str | None
    health: str | None
    created_ms: int
    started_ms: int | None
    completed_ms: int | None
    #: The last sign of life.
    seen_ms: int | None
    reconnects: int
    interrupt_requested: bool
    #: Whether a wrapper is connected, as far as is known.
    linked: bool | None
    #: Stored events; servers tell only when asked.
    events: int | None
    #: Whether a coordinator that is alive has it; a server does.
    owned: bool
    #: The store or the server.
    place: str

    @classmethod
    def of(
        cls,
        one: stayline.Execution,
        place: str,
        events: int,
        newest_ms: int | None = None,
        *,
        owned: bool = True,
    ) -> Run:
        """From a store. ``newest_ms`` is when the newest of its events was, where that is known:
        the row's own signs of life are refreshed every so often only (R14)."""
        seen = _newest(newest_ms, _milliseconds(one.last_seen_at))
        active = one.status in ("pending", "running")
        return cls(
            session=one.session_id,
            execution=one.id,
            status=one.status,
            error=one.error,
            exit_code=one.exit_code,
            mode=one.mode,
            # What nobody takes care of has neither health nor a link, whatever its row says.
            health=(one.health or _health(one.status, seen)) if owned else None,
            created_ms=_milliseconds(one.created_at) or 0,
            started_ms=_milliseconds(one.started_at),
            completed_ms=_milliseconds(one.completed_at),
            seen_ms=seen,
            reconnects=one.reconnects,
            interrupt_requested=one.interrupt_requested,
            linked=owned and not one.grace if one.status == "running" else None,
            events=events,
            owned=owned or not active,
            place=place,
        )

    @classmethod
    def of_json(cls, one: dict[str, Any], place: str, *, linked: bool | None) -> Run:
        """From what a server answers (docs/rest.md)."""
        return cls(
            session=one["sessionId"],
            execution=one["executionId"],
            status=one["status"],
            error=one["error"],
            # A server of before tells none.
            exit_code=one.get("exitCode"),
            mode=one["mode"],
            health=one["health"],
            created_ms=one["createdAt"],
            started_ms=one["startedAt"],
            completed_ms=one["completedAt"],
            seen_ms=one["lastSeenAt"],
            reconnects=one["reconnects"],
            interrupt_requested=one["interruptRequested"],
            linked=linked if one["status"] == "running" else None,
            events=one.get("events"),
            owned=True,
            place=place,
        )

    @property
    def ending(self) -> str:
        """Why it ended and with which exit code, as far as that is known."""
        return ending(self.error, self.exit_code)

    @property
    def active(self) -> bool:
        """Whether it is pending or running."""
        return self.status in ("pending", "running")

    def seconds(self, now_ms: int) -> float | None:
        """How long it ran, or has been running; none before a wrapper came. Where nobody takes care
        of it any more it is known to have run until it was last seen."""
        if self.started_ms is None:
            return None
        until = now_ms if self.completed_ms is None else self.completed_ms
        if not self.owned and self.seen_ms is not None:
            until = self.seen_ms
        return max(until - self.started_ms, 0) / 1000

    def silent(self, now_ms: int) -> float | None:
        """Seconds since the last sign of life; none before there was one."""
        return None if self.seen_ms is None else max(now_ms - self.seen_ms, 0) / 1000

    def record(self, now_ms: int) -> dict[str, Any]:
        """As ``--json`` prints it."""
        seconds = self.seconds(now_ms)
        return {
            "session": self.session,
            "execution": self.execution,
            "status": self.status,
            "error": self.error,
            "exitCode": self.exit_code,
            "mode": self.mode,
            "health": self.health,
            "createdAt": iso(self.created_ms),
            "startedAt": iso(self.started_ms),
            "completedAt": iso(self.completed_ms),
            "lastSeenAt": iso(self.seen_ms),
            "durationMs": None if seconds is None else round(seconds * 1000),
            "events": self.events,
            "reconnects": self.reconnects,
            "interruptRequested": self.interrupt_requested,
            "connected": self.linked,
            "owned": self.owned,
            "store": self.place,
        }


@dataclass(frozen=True)
class State:
    """What is known of one session now."""

    session: str
    last_event_id: int
    #: The active execution, or else the newest one.
    run: Run | None


class Record:
    """One record of a stream: an event, or what the stream says about itself."""

    def __init__(self, frame: str) -> None:
        #: As it came, a JSON object.
        self.frame = frame

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The frame, read."""
        try:
            found = _from_json(self.frame)
        except (ValueError, RecursionError):
            # From a server that is none of ours, or too deep to be read: shown as it came.
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def id(self) -> int:
        """The event's id; 0 when it is not stored."""
        found = self.fields.get("eventId")
        return found if type(found) is int else 0

    @property
    def type(self) -> str:
        """The event's type."""
        return str(self.fields.get("streamEventType", "unreadable"))

    @property
    def raw_data(self) -> str:
        """The data as the wrapper wrote it."""
        # No string before it can hold this: a quote within a string is escaped.
        _, found, rest = self.frame.partition(',"data":')
        if not found:
            return "{}" if self.fields else self.frame
        try:
            _, end = _ANY_NUMBER.raw_decode(rest)
        except (ValueError, RecursionError):
            return rest
        return rest[:end]

    @property
    def control(self) -> bool:
        """Whether it is about the stream rather than from a run."""
        return self.id == 0 and self.fields.get("executionId") is None


def iso(ms: int | None) -> str | None:
    """ISO 8601 in UTC, to the millisecond."""
    if ms is None:
        return None
    try:
        at = datetime.fromtimestamp(ms / 1000, timezone.utc)
    except (ValueError, OverflowError, OSError):
        # Beyond all calendars.
        return None
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now_ms() -> int:
    """Now, as the reader's machine has it."""
    return _milliseconds(datetime.now(timezone.utc)) or 0


def _milliseconds(at: datetime | None) -> int | None:
    return None if at is None else round(at.timestamp() * 1000)


def _newest(*moments: int | None) -> int | None:
    return max((at for at in moments if at is not None), default=None)


def _health(status: str, seen_ms: int | None) -> str | None:
    """R6 for a reader, who has the stored signs of life only; they are at most a debounce old."""
    if status != "running" or seen_ms is None:
        return None
    age = now_ms() - seen_ms
    if age < _SETTINGS.healthy_within_ms:
        return "healthy"
    return "unknown" if age <= _SETTINGS.stale_after_ms else "stale"
