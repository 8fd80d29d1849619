"""The picture in characters, for a terminal: a bar of what happened when, and the moments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stayline.timeline.drawing import clock
from stayline.timeline.model import Run, counted, duration
from stayline.timeline.scale import Scale, bins

__all__ = ["draw"]

_LEVELS = " \u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
#: Moments of a run that are told; the page has them all.
_MOST_MOMENTS = 12
_LABEL = 8


def draw(session_id: str, runs: Sequence[Run], left_out: int, width: int) -> str:
    """All runs, oldest first, one below the other."""
    lines = [_fitted(f"session {session_id}", width)]
    if left_out:
        lines.append(_fitted("older runs are not drawn", width))
    if not runs:
        lines.append("no runs")
    for run in runs:
        lines.append("")
        lines += (_fitted(line, width) for line in _run(run, width))
    return "\n".join(lines)


def _run(run: Run, width: int) -> Iterator[str]:
    told = f" ({run.ending})" if run.ending else ""
    yield f"{run.id}  {run.status}{told}"
    yield (
        f"{clock(run.created_ms)}, {duration(run.duration_ms)}, "
        f"{counted(run.events, 'event')}, {counted(run.reconnects, 'reconnect')}"
    )
    columns = max(width - _LABEL, 10)
    scale = Scale(run.created_ms, run.edge_ms, run.edge_ms, 0.0, float(columns))
    yield f"{'link':<{_LABEL}}{_link(run, scale, columns)}"
    counts = bins([*run.ordinary, *run.trouble], scale, columns)
    peak = max(max(counts), 1)
    bars = "".join(_LEVELS[-(-number * 8 // peak)] for number in counts)
    yield f"{'events':<{_LABEL}}{bars}".rstrip()
    for moment in run.moments[:_MOST_MOMENTS]:
        after = duration(max(moment.at_ms - run.created_ms, 0))
        yield f"  +{after:<12} {moment.text}"
    more = len(run.moments) - _MOST_MOMENTS
    if more > 0:
        yield f"  and {more + run.moments_left_out} more"
    if run.late:
        yield f"  {counted(len(run.late), 'event')} came late"


def _link(run: Run, scale: Scale, columns: int) -> str:
    """Dots while pending, a line while connected, crosses where it was cut."""
    started = columns if run.started_ms is None else int(scale.place(run.started_ms))
    cells = ["\u00b7"] * started + ["\u2501"] * (columns - started)
    for outage in run.outages:
        first = min(int(scale.place(outage.begin_ms)), columns - 1)
        last = max(int(scale.place(outage.end_ms)), first + 1)
        for index in range(first, min(last, columns)):
            cells[index] = "\u2573"
    return "".join(cells)


def _fitted(line: str, width: int) -> str:
    plain = "".join(one if one.isprintable() else "\ufffd" for one in line)
    return plain if len(plain) <= width else f"{plain[: max(width - 1, 0)]}\u2026"
