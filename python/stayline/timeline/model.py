"""What a picture shows of one run, read from the session's public getters.

The coordinator's own times frame a run: when it was made, first attached and ended. Events carry
times of their own, which a wrapper's clock may have got wrong (R19); one that lies outside the
frame is drawn at its edge and counted, so that a wrong clock cannot stretch the picture.

An outage that ended is measured: ``wrapper_reconnected`` says how long it was (R21). One that
ended the run is not; of it the log knows when the wrapper was last heard, and that is what is
drawn.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from stayline._endings import ending

if TYPE_CHECKING:
    from stayline import Event, Execution, Session

__all__ = ["Moment", "Outage", "Run", "read"]

#: Events between two calls of ``progress``.
_PROGRESS_EVERY = 2_000

#: No outage is longer: a hundred years, as all durations here.
_LONGEST_MS = 3_155_760_000_000

#: Of the text of an event so much is told.
_LONGEST_TEXT = 2_000

#: More moments than this in one run are counted, not kept.
_MOST_MOMENTS = 5_000

_TERMINAL = ("complete", "interrupted", "wrapper_disconnected")


@dataclass(frozen=True)
class Moment:
    """Something worth a mark."""

    #: Milliseconds since the Unix epoch.
    at_ms: int
    #: ``disconnected``, ``resumed``, ``lost``, ``error``, ``rejected``, ``interrupt``, ``ended``
    #: or ``late``.
    kind: str
    #: For people.
    text: str


@dataclass(frozen=True)
class Outage:
    """A time without a wrapper."""

    begin_ms: int
    #: When it came back, or when the run ended without it; the edge of the picture while it lasts.
    end_ms: int
    #: Whether ``begin_ms`` is when the link was lost, rather than when the wrapper was last heard.
    measured: bool
    #: Whether the wrapper came back.
    recovered: bool


@dataclass
class Run:
    """One execution as it is drawn. Times are milliseconds since the Unix epoch."""

    id: str
    mode: str | None
    status: str
    error: str | None
    exit_code: int | None
    created_ms: int
    started_ms: int | None
    ended_ms: int | None
    #: Where the picture ends, but for what came late.
    edge_ms: int
    reconnects: int
    interrupt_requested: bool
    events: int = 0
    #: Events whose own time lies outside the run.
    outside: int = 0
    moments: list[Moment] = field(default_factory=list)
    #: Moments that were not kept.
    moments_left_out: int = 0
    outages: list[Outage] = field(default_factory=list)
    #: When events came; those that tell of trouble and those that were late are in their own.
    ordinary: array[int] = field(default_factory=lambda: array("q"))
    trouble: array[int] = field(default_factory=lambda: array("q"))
    late: array[int] = field(default_factory=lambda: array("q"))

    @property
    def ending(self) -> str:
        """Why it ended and with which exit code, as far as that is known."""
        return ending(self.error, self.exit_code)

    @property
    def unfinished(self) -> bool:
        """Whether it is still pending or running."""
        return self.ended_ms is None

    @property
    def duration_ms(self) -> int:
        """From its making to its end, or to the edge of the picture."""
        return self.edge_ms - self.created_ms

    @property
    def late_until_ms(self) -> int:
        """The newest late event, or the edge."""
        return max(self.late, default=self.edge_ms)


def read(
    session: Session,
    executions: Sequence[str] | None,
    limit: int,
    now_ms: int,
    progress: Callable[[int], object] | None,
    *,
    owned: bool = True,
) -> tuple[tuple[Run, ...], int]:
    """The runs, oldest first, and how many older ones at least were left out."""
    if executions is not None:
        known = [session.execution(one) for one in dict.fromkeys(executions)]
        left_out = 0
    else:
        # One more than is drawn tells that there are more.
        known = session.executions(limit=limit + 1)
        left_out = max(0, len(known) - limit)
        known = known[:limit]
    known.sort(key=lambda one: (one.created_at, one.id))
    runs = {one.id: _frame(one, now_ms) for one in known}
    done = 0
    if runs:
        last_heard: dict[str, int] = {}
        for event in session.events(executions=list(runs)):
            if event.execution_id is not None:
                _take(runs[event.execution_id], event, last_heard)
            done += 1
            if progress is not None and done % _PROGRESS_EVERY == 0:
                progress(done)
        for one in known:
            _close(runs[one.id], one, last_heard.get(one.id), owned=owned)
    return tuple(runs.values()), left_out


def _frame(one: Execution, now_ms: int) -> Run:
    created = _milliseconds(one.created_at)
    ended = None if one.completed_at is None else _milliseconds(one.completed_at)
    newest = created if one.last_seen_at is None else _milliseconds(one.last_seen_at)
    # The caller of `finish` may name a time of its own (R5), also an impossible one.
    edge = max(created, max(newest, now_ms) if ended is None else ended)
    return Run(
        id=one.id,
        mode=one.mode,
        status=one.status,
        error=one.error,
        exit_code=one.exit_code,
        created_ms=created,
        started_ms=None if one.started_at is None else _milliseconds(one.started_at),
        ended_ms=ended,
        edge_ms=edge,
        reconnects=one.reconnects,
        interrupt_requested=one.interrupt_requested,
    )


def _take(run: Run, event: Event, last_heard: dict[str, int]) -> None:
    run.events += 1
    kind = event.type
    at = event.timestamp_ms
    if event.late:
        # Late by storage; its own time may lie within the run, which is where it is drawn then.
        run.late.append(max(at, run.created_ms))
        if kind in _TERMINAL or kind == "error":
            _mark(run, Moment(at, "late", f"{kind} came late: {_said(_data(event))}"))
        return
    inside = min(max(at, run.created_ms), run.edge_ms)
    if inside != at:
        run.outside += 1
    troubled = kind in ("error", "rejected", "wrapper_disconnected")
    (run.trouble if troubled else run.ordinary).append(inside)
    if kind in _MARKED:
        _MARKED[kind](run, inside, _data(event), last_heard.get(run.id))
    if kind not in ("wrapper_disconnected", "wrapper_reconnected"):
        last_heard[run.id] = inside


def _reconnected(run: Run, at: int, data: Any, _heard: int | None) -> None:
    length = data.get("disconnectedMs") if isinstance(data, dict) else None
    if type(length) is not int or not 0 <= length <= _LONGEST_MS:
        length = 0
    begin = max(run.created_ms, at - length)
    run.outages.append(Outage(begin, at, measured=True, recovered=True))
    _mark(run, Moment(begin, "disconnected", "the wrapper's connection was lost"))
    _mark(run, Moment(at, "resumed", f"the wrapper came back after {duration(length)}"))


def _disconnected(run: Run, at: int, data: Any, heard: int | None) -> None:
    begin = heard if heard is not None else run.started_ms or run.created_ms
    run.outages.append(Outage(min(begin, at), at, measured=False, recovered=False))
    _mark(run, Moment(at, "disconnected", f"the wrapper did not come back: {_said(data)}"))


def _resumed(run: Run, at: int, data: Any, _heard: int | None) -> None:
    fields = data if isinstance(data, dict) else {}
    buffered, lost = _figure(fields.get("bufferedEvents")), _figure(fields.get("lostEvents"))
    if fields.get("eventsLost") is True or lost:
        _mark(run, Moment(at, "lost", f"{lost or 'some'} events were lost, {buffered} kept"))


def _error(run: Run, at: int, data: Any, _heard: int | None) -> None:
    _mark(run, Moment(at, "error", f"error: {_said(data)}"))


def _rejected(run: Run, at: int, data: Any, _heard: int | None) -> None:
    code = data.get("code") if isinstance(data, dict) else None
    said = code[:_LONGEST_TEXT] if isinstance(code, str) and code else "no reason given"
    _mark(run, Moment(at, "rejected", f"a frame was refused: {said}"))


def _interrupted(run: Run, at: int, data: Any, _heard: int | None) -> None:
    _mark(run, Moment(at, "interrupt", f"interrupted: {_said(data)}"))


_MARKED: dict[str, Callable[[Run, int, Any, int | None], None]] = {
    "wrapper_reconnected": _reconnected,
    "wrapper_disconnected": _disconnected,
    "wrapper_resumed": _resumed,
    "error": _error,
    "rejected": _rejected,
    "interrupted": _interrupted,
}


def _close(run: Run, one: Execution, heard: int | None, *, owned: bool) -> None:
    """What the end, or its absence, adds."""
    if run.ended_ms is None and not owned:
        begin = heard if heard is not None else run.started_ms or run.created_ms
        if one.last_seen_at is not None:
            # Heartbeats are no events.
            begin = min(max(begin, _milliseconds(one.last_seen_at)), run.edge_ms)
        if run.started_ms is not None:
            run.outages.append(Outage(begin, run.edge_ms, measured=False, recovered=False))
        _mark(run, Moment(begin, "disconnected", "last heard; its coordinator's process is gone"))
    elif one.grace:
        begin = heard if heard is not None else run.started_ms or run.created_ms
        run.outages.append(Outage(begin, run.edge_ms, measured=False, recovered=False))
        _mark(run, Moment(begin, "disconnected", "last heard; no wrapper is connected now"))
    if run.ended_ms is None:
        if run.interrupt_requested:
            _mark(run, Moment(run.edge_ms, "interrupt", "it was asked to stop"))
        return
    # The end may be later than what a wrong clock says; marks are told in order.
    last = run.moments[-1] if run.moments else None
    if last is not None and last.kind == "interrupt" and run.status == "interrupted":
        # It is the end itself.
        run.moments.pop()
    # The event that ended it may have said why already.
    told = run.error and any(run.error in one.text for one in run.moments[-3:])
    why = ending("" if told else run.error, run.exit_code)
    text = f"{run.status}: {why}" if why else run.status
    run.moments.append(Moment(run.edge_ms, "ended", text))
    run.moments.sort(key=lambda moment: moment.at_ms)


def _mark(run: Run, moment: Moment) -> None:
    if len(run.moments) < _MOST_MOMENTS:
        run.moments.append(moment)
    else:
        run.moments_left_out += 1


def _said(data: Any) -> str:
    """The text of an event for people, whichever of the known fields has it."""
    if not isinstance(data, dict):
        return "no reason given"
    texts = (data.get(name) for name in ("error", "message", "reason"))
    text = next((one for one in texts if isinstance(one, str) and one), "")
    code = data.get("exitCode")
    known = type(code) is int and abs(code) < 2**63
    return ending(text[:_LONGEST_TEXT], code if known else None) or "no reason given"


def _data(event: Event) -> Any:
    """The data; nothing where Python cannot read it, which hides no other event."""
    try:
        return event.data
    except (ValueError, RecursionError):
        return None


def _figure(value: Any) -> int:
    """A number of events; 0 for what is none."""
    return value if type(value) is int and 0 <= value < 2**63 else 0


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def counted(number: int, noun: str) -> str:
    """``1 event``, ``2 events``, with thin spaces between thousands."""
    figure = f"{number:,}".replace(",", "\u202f")
    return f"{figure} {noun}" if number == 1 else f"{figure} {noun}s"


def duration(ms: float) -> str:
    """For people: ``40 ms``, ``4.2 s``, ``12 s``, ``3 min 5 s``, ``2 h 7 min``, ``3 d 4 h``."""
    if ms < 1_000:
        return f"{round(ms)} ms"
    if ms < 9_950:
        return f"{ms / 1000:.1f} s".replace(".0 s", " s")
    seconds = round(ms / 1000)
    parts = [
        (seconds // 86_400, "d"),
        (seconds % 86_400 // 3_600, "h"),
        (seconds % 3_600 // 60, "min"),
        (seconds % 60, "s"),
    ]
    first = next(index for index, (number, _) in enumerate(parts) if number)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2] if number)
