"""The picture as SVG: a panel a run, each with its own time.

A panel has a head in words, then four tracks over one scale: the status, the wrapper's connection,
marks for what happened, and the events as bars. Outages shade all of them, because no event comes
while nobody is connected.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from html import escape

from stayline.timeline.model import Moment, Outage, Run, counted, duration
from stayline.timeline.palette import GLYPHS, STYLE
from stayline.timeline.scale import Scale, bins, ticks

__all__ = ["BINS", "clock", "shown", "story", "svg"]

WIDTH = 960
#: Bars at most, whatever the number of events.
BINS = 217

_LEFT, _RIGHT = 78.0, 946.0
_HEAD, _PANEL, _FOOT = 46.0, 212.0, 36.0
_STATUS, _LINK, _MARKS, _BARS = 44.0, 70.0, 84.0, 102.0
_BAR_HEIGHT = 68.0
_AXIS = _BARS + _BAR_HEIGHT

#: Marks nearer to each other than this are drawn as one with a number.
_MARK_GAP = 13.0
_CHARACTER = 6.4

_IMPOSSIBLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def svg(session_id: str, runs: Sequence[Run], left_out: int) -> str:
    """A document of its own."""
    height = _HEAD + max(len(runs), 0.3) * _PANEL + _FOOT
    # Several pictures may share a page; what they refer to within themselves must not.
    name = f"s{zlib.crc32(repr((session_id, [run.id for run in runs])).encode()):08x}"
    parts = [
        f'<svg class="stayline-timeline" xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="0 0 {WIDTH} {height:g}" width="100%" style="max-width:{WIDTH * 1.25:g}px" '
        f'role="img" aria-labelledby="{name}-title {name}-story">',
        f'<title id="{name}-title">{shown(f"Timeline of session {session_id}")}</title>',
        f'<desc id="{name}-story">{shown(" ".join(story(run) for run in runs) or "No runs.")}'
        "</desc>",
        f"<style>{STYLE}</style>",
        f'<defs><pattern id="{name}-hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><path class="hatch" d="M1 0V6"/></pattern></defs>',
        f'<rect class="paper" width="{WIDTH}" height="{height:g}" rx="6"/>',
        _text(14, 28, _short(session_id, 70), "head"),
        _text(_RIGHT, 28, _summary(runs, left_out), "dim", "end"),
    ]
    for index, run in enumerate(runs):
        parts.append(f'<g transform="translate(0 {_HEAD + index * _PANEL:g})">')
        parts += _panel(run, name)
        parts.append("</g>")
    if not runs:
        parts.append(_text(14, _HEAD + 30, "no runs", "dim"))
    parts += _legend(height - 14, name)
    parts.append("</svg>")
    return "".join(parts)


def story(run: Run) -> str:
    """A run in one or two sentences, for those who hear the picture."""
    verb = "is" if run.unfinished else "was"
    said = [f"Run {run.id} {verb} {run.status} after {duration(run.duration_ms)}"]
    said.append(f"with {counted(run.events, 'event')} and {counted(run.reconnects, 'reconnect')}")
    if run.ending:
        said.append(f"({run.ending})")
    if run.late:
        said.append(f"and {counted(len(run.late), 'event')} came late")
    return " ".join(said) + "."


def clock(at_ms: int) -> str:
    """A moment as text, in UTC, which is the same for every reader."""
    try:
        at = datetime.fromtimestamp(at_ms / 1000, timezone.utc)
    except (OverflowError, ValueError, OSError):
        return f"{at_ms} ms"
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def shown(value: str) -> str:
    """Text for a document: escaped, without what XML cannot hold."""
    return escape(_IMPOSSIBLE.sub("\ufffd", value), quote=True)


# --- one panel ------------------------------------------------------------------------------------


def _panel(run: Run, name: str) -> Iterator[str]:
    scale = Scale(run.created_ms, run.edge_ms, run.late_until_ms, _LEFT, _RIGHT)
    yield f'<path class="rule" d="M14 0H{_RIGHT:g}"/>'
    yield from _head(run)
    for label, y in (("status", _STATUS + 14), ("link", _LINK + 9), ("events", _BARS + 12)):
        yield _text(14, y, label, "dim")
    yield from _axis(run, scale)
    for outage in run.outages:
        yield _shade(outage, scale)
    yield from _status(run, scale)
    yield from _link(run, scale, name)
    yield from _bars(run, scale)
    yield from _marks(run, scale)
    if run.late_until_ms > run.edge_ms:
        yield from _late(run, scale)


def _head(run: Run) -> Iterator[str]:
    yield _text(14, 20, _short(run.id, 46), "name")
    told = [f"{duration(run.duration_ms)}", counted(run.events, "event")]
    told.append(counted(run.reconnects, "reconnect"))
    if run.mode:
        told.insert(0, _short(run.mode, 24))
    yield _text(_RIGHT, 20, f"{clock(run.created_ms)}  ·  {'  ·  '.join(told)}", "dim", "end")
    line = run.status
    if run.ending:
        line += f" — {run.ending}"
    elif run.interrupt_requested:
        line += " — asked to stop"
    elif run.outages and not run.outages[-1].recovered:
        line += " — no wrapper is connected"
    yield _text(14, 36, _short(line, 118), run.status, title=line)
    if run.outside:
        text = f"{counted(run.outside, 'event')} dated outside the run"
        yield _text(_RIGHT, 36, text, "dim", "end")


def _status(run: Run, scale: Scale) -> Iterator[str]:
    begin, edge = scale.place(run.created_ms), scale.edge
    started = edge if run.started_ms is None else scale.place(run.started_ms)
    waited = (run.started_ms if run.started_ms is not None else run.edge_ms) - run.created_ms
    yield _band(begin, started, "pending", f"pending for {duration(waited)}", "pending")
    if run.started_ms is not None:
        ran = duration(run.edge_ms - run.started_ms)
        yield _band(started, edge, "running", f"running for {ran}", "running")
    if run.unfinished:
        yield (
            f'<path class="{run.status}" d="M{edge:.1f} {_STATUS:g}l8 10l-8 10z"/>'
            if edge + 8 <= WIDTH
            else ""
        )
        return
    # A cap in the colour of the ending, wide enough to be seen however long the run was.
    yield (
        f'<rect class="{run.status}" x="{edge - 5:.1f}" y="{_STATUS - 3:g}" width="10" '
        f'height="26" rx="2"><title>{shown(run.status)}</title></rect>'
    )


def _band(left: float, right: float, kind: str, title: str, label: str) -> str:
    width = max(right - left, 1.5)
    drawn = (
        f'<rect class="{kind}" x="{left:.1f}" y="{_STATUS:g}" width="{width:.1f}" height="20" '
        f'rx="3"><title>{shown(title)}</title></rect>'
    )
    if width > len(label) * _CHARACTER + 16:
        shade = "on-pending" if kind == "pending" else "on"
        drawn += _text(left + 8, _STATUS + 14, label, shade)
    return drawn


def _link(run: Run, scale: Scale, name: str) -> Iterator[str]:
    y = _LINK
    edge = scale.edge - scale.place(run.created_ms)
    yield (
        f'<rect class="track" x="{_LEFT:g}" y="{y:g}" width="{max(edge, 1):.1f}" height="10" '
        'rx="2"/>'
    )
    if run.started_ms is not None:
        left = scale.place(run.started_ms)
        yield (
            f'<rect class="completed" x="{left:.1f}" y="{y + 2:g}" '
            f'width="{max(scale.edge - left, 1):.1f}" height="6" rx="2">'
            "<title>a wrapper was connected</title></rect>"
        )
    for outage in run.outages:
        left, width = _extent(outage, scale)
        length = duration(outage.end_ms - outage.begin_ms)
        what = f"no link for {length}" if outage.measured else f"last heard {length} before"
        yield (
            f'<rect class="paper" x="{left:.1f}" y="{y - 1:g}" width="{width:.1f}" height="12"/>'
            f'<rect fill="url(#{name}-hatch)" x="{left:.1f}" y="{y - 1:g}" width="{width:.1f}" '
            f'height="12"><title>{shown(what)}</title></rect>'
        )


def _extent(outage: Outage, scale: Scale) -> tuple[float, float]:
    left = scale.place(outage.begin_ms)
    return left, max(scale.place(outage.end_ms) - left, 3.0)


def _shade(outage: Outage, scale: Scale) -> str:
    left, width = _extent(outage, scale)
    drawn = (
        f'<rect class="shade" x="{left:.1f}" y="{_STATUS - 4:g}" width="{width:.1f}" '
        f'height="{_AXIS - _STATUS + 4:g}"/>'
    )
    length = duration(outage.end_ms - outage.begin_ms)
    label = length if outage.measured else f"silent {length}"
    # Between the two marks at its ends.
    if width > len(label) * _CHARACTER + 18:
        drawn += _text(left + width / 2, _MARKS + 12, label, "dim", "middle")
    return drawn


def _bars(run: Run, scale: Scale) -> Iterator[str]:
    stacks = [
        (kind, bins(times, scale, BINS))
        for kind, times in (("ordinary", run.ordinary), ("failed", run.trouble), ("late", run.late))
        if times
    ]
    totals = [sum(column) for column in zip(*(found for _, found in stacks), strict=True)]
    peak = max(totals, default=0)
    if peak == 0:
        yield _text(_LEFT + 6, _BARS + 40, "no events", "dim")
        return
    width = (_RIGHT - _LEFT) / BINS
    base = [_AXIS] * BINS
    for kind, found in stacks:
        path = []
        for index, number in enumerate(found):
            if number:
                # One event among thousands is still to be seen.
                height = max(number / peak * (_BAR_HEIGHT - 4), 2.5)
                base[index] -= height
                path.append(
                    f"M{_LEFT + index * width:.1f} {base[index]:.1f}h{width - 0.8:.1f}"
                    f"v{height:.1f}h-{width - 0.8:.1f}z"
                )
        yield f'<path class="{kind}" d="{"".join(path)}"/>'
    yield _text(14, _BARS + 28, f"peak {peak:,}".replace(",", "\u202f"), "dim")
    per = (scale.edge_ms - scale.begin_ms) / max(scale.edge - _LEFT, 1) * width
    yield _text(14, _BARS + 42, f"in {duration(max(per, 1))}", "dim")


def _axis(run: Run, scale: Scale) -> Iterator[str]:
    y = _AXIS
    yield f'<path class="rule" d="M{_LEFT:g} {y:g}H{_RIGHT:g}"/>'
    room = max(int((scale.edge - _LEFT) / 100), 1)
    for offset in ticks(run.edge_ms - run.created_ms, room):
        x = scale.place(run.created_ms + offset)
        if x > scale.edge + 0.1:
            break
        yield f'<path class="rule" d="M{x:.1f} {y:g}v5"/>'
        anchor = "end" if x > _RIGHT - 30 else "middle"
        label = "0" if offset == 0 else duration(offset)
        yield _text(x, y + 17, label, "dim number", anchor)


def _late(run: Run, scale: Scale) -> Iterator[str]:
    """What lies behind the end: its own stretch, torn off where its scale is another."""
    x = scale.edge
    if scale.broken:
        yield (
            f'<path class="paper" d="M{x + 3:.1f} {_AXIS - 3:g}h8v6h-8z"/>'
            f'<path class="torn" d="M{x + 3:.1f} {_AXIS + 5:g}l3 -10M{x + 8:.1f} {_AXIS + 5:g}'
            'l3 -10"/>'
        )
    length = duration(run.late_until_ms - run.edge_ms)
    title = f"{counted(len(run.late), 'event')} came late"
    yield (
        f'<rect class="late" opacity=".3" x="{x + 7:.1f}" y="{_STATUS + 7:g}" '
        f'width="{max(_RIGHT - x - 7, 1):.1f}" height="6" rx="3">'
        f"<title>{shown(title)}</title></rect>"
    )
    yield _text(_RIGHT, _AXIS + 17, f"+ {length}", "dim number", "end")
    if _RIGHT - x > 60:
        yield _text(_RIGHT, _STATUS + 3, "late", "dim", "end")


# --- marks ----------------------------------------------------------------------------------------


def _marks(run: Run, scale: Scale) -> Iterator[str]:
    group: list[Moment] = []
    at = 0.0
    for moment in run.moments:
        if moment.kind not in GLYPHS:
            continue
        x = scale.place(moment.at_ms)
        if group and x - at >= _MARK_GAP:
            yield _mark(group, at, run)
            group = []
        if not group:
            at = x
        group.append(moment)
    if group:
        yield _mark(group, at, run)


def _mark(group: Sequence[Moment], x: float, run: Run) -> str:
    order = list(GLYPHS)
    worst = max(group, key=lambda moment: (_WEIGHT[moment.kind], -order.index(moment.kind)))
    path, colour = GLYPHS[worst.kind]
    told = [f"+{duration(max(one.at_ms - run.created_ms, 0))}  {one.text}" for one in group[:12]]
    if len(group) > len(told):
        told.append(f"and {len(group) - len(told)} more")
    shape = "outline" if worst.kind == "late" else colour
    drawn = (
        f'<path class="{shape}" d="{path}" transform="translate({x:.1f} {_MARKS + 8:g})">'
        f"<title>{shown(chr(10).join(told))}</title></path>"
    )
    if len(group) > 1:
        drawn += _text(x + 6, _MARKS + 5, str(len(group)), "count")
    return drawn


#: Which of several marks at one place is shown.
_WEIGHT = {
    "interrupt": 6,
    "lost": 5,
    "error": 4,
    "rejected": 3,
    "disconnected": 2,
    "resumed": 1,
    "late": 0,
}


def _legend(y: float, name: str) -> Iterator[str]:
    x = 14.0
    for kind, (path, colour) in GLYPHS.items():
        shape = "outline" if kind == "late" else colour
        yield f'<path class="{shape}" d="{path}" transform="translate({x + 6:.1f} {y - 4:g})"/>'
        yield _text(x + 16, y, kind, "dim")
        x += 16 + len(kind) * _CHARACTER + 18
    yield f'<rect fill="url(#{name}-hatch)" x="{x:.1f}" y="{y - 10:g}" width="16" height="11"/>'
    yield _text(x + 22, y, "no link", "dim")
    x += 80
    for kind, label in (("ordinary", "events"), ("failed", "trouble"), ("late", "late")):
        yield f'<rect class="{kind}" x="{x:.1f}" y="{y - 10:g}" width="10" height="11"/>'
        yield _text(x + 16, y, label, "dim")
        x += 16 + len(label) * _CHARACTER + 16


# --- words ----------------------------------------------------------------------------------------


def _text(x: float, y: float, value: str, kind: str, anchor: str = "", title: str = "") -> str:
    anchored = f' text-anchor="{anchor}"' if anchor else ""
    tip = f"<title>{shown(title)}</title>" if title and title != value else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{anchored}>{tip}{shown(value)}</text>'


def _short(value: str, most: int) -> str:
    value = " ".join(value.split())
    return value if len(value) <= most else f"{value[: most - 1]}\u2026"


def _summary(runs: Sequence[Run], left_out: int) -> str:
    more = " (older ones not drawn)" if left_out else ""
    return counted(len(runs), "run") + more
