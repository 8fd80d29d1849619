"""``stayline runs``: which executions there are and how they ended."""

from __future__ import annotations

import argparse
import json

from stayline.cli.console import duration, moment, movable, paint, table, too_wide, visible
from stayline.cli.output import json_line
from stayline.cli.source import opened
from stayline.cli.views import Run, now_ms

TITLES = [
    *("session", "execution", "status", "exit", "health", "started"),
    *("duration", "events", "reconnects", "seen", "store", "error"),
]
FIGURES = ["exit", "duration", "events", "reconnects", "seen"]
#: What a narrow terminal can do without, first to go first.
SPARE = ["error", "started", "reconnects", "events", "exit"]
#: A health that nobody may miss: such a run only seems to go on.
_ALARMING = ("gone", "no link", "stale")


def main(options: argparse.Namespace) -> int:
    """Prints a table, or one JSON object a line."""
    with opened(options) as source:
        found = source.runs(options.session, options.status, options.limit, often=False)
        complete = source.complete
    now = now_ms()
    if options.names:
        for name in dict.fromkeys(run.session for run in found):
            # In a pipe as it is, for whoever passes it on; an id has no control characters.
            print(visible(name) if movable() else name)
    elif options.json:
        for run in found:
            print(json_line(json.dumps(run.record(now), ensure_ascii=False)))
    elif found:
        rows = [row(run, now, stores=_ambiguous(found)) for run in found]
        alarming = any(cells[TITLES.index("health")] in _ALARMING for cells in rows)
        spare = SPARE if alarming else [*SPARE, "health"]
        if too_wide(TITLES, rows, spare):
            _stack(found, rows)
        else:
            table(TITLES, rows, right=FIGURES, spare=spare)
    else:
        print("no runs")
    return 0 if complete else 1


def _stack(found: list[Run], rows: list[list[str]]) -> None:
    """Some lines a run: an id cut short is of no use, and one that is wrapped hard to copy."""
    for run, cells in zip(found, rows, strict=True):
        named = dict(zip(TITLES, cells, strict=True))
        status, health = named["status"], named["health"]
        said = paint(status, status) + ("" if health == "-" else f", {paint(health, health)}")
        if run.ending:
            said += f" ({visible(run.ending)})"
        print(f"{said}  {named['started']}  for {named['duration']}")
        print(f"    {named['session']}")
        print(f"    {named['execution']}")
        if named["store"]:
            print(f"    {named['store']}")
        print(
            f"    events {named['events']}, reconnects {named['reconnects']}, "
            f"seen {named['seen']} ago"
        )


def _health(run: Run) -> str:
    if not run.owned:
        return "gone"
    return "no link" if run.linked is False else run.health or "-"


def _ambiguous(found: list[Run]) -> bool:
    """Whether a session's id does not say which file it is in."""
    places: dict[str, str] = {}
    return any(places.setdefault(run.session, run.place) != run.place for run in found)


def row(run: Run, now: int, *, stores: bool = False) -> list[str]:
    """One run in the columns of ``TITLES``."""
    return [
        visible(run.session),
        visible(run.execution),
        run.status,
        "-" if run.exit_code is None else str(run.exit_code),
        _health(run),
        # When it was started by the host, which is where its life begins.
        moment(run.created_ms),
        duration(run.seconds(now)),
        "-" if run.events is None else str(run.events),
        str(run.reconnects),
        duration(run.silent(now)),
        visible(run.place) if stores else "",
        visible(run.error or ""),
    ]
