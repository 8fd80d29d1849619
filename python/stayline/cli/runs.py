"""``stayline runs``: which executions there are and how they ended."""

from __future__ import annotations

import argparse
import json

from stayline.cli.console import duration, moment, paint, table, too_wide, visible
from stayline.cli.source import opened
from stayline.cli.views import Run, now_ms

TITLES = [
    *("session", "execution", "status", "health", "started"),
    *("duration", "events", "reconnects", "seen", "error"),
]
FIGURES = ["duration", "events", "reconnects", "seen"]
#: What a narrow terminal can do without, first to go first.
SPARE = ["error", "started", "reconnects", "events", "health"]


def main(options: argparse.Namespace) -> int:
    """Prints a table, or one JSON object a line."""
    with opened(options) as source:
        found = source.runs(options.session, options.status, options.limit, often=False)
    now = now_ms()
    if options.names:
        for name in dict.fromkeys(run.session for run in found):
            print(visible(name))
    elif options.json:
        for run in found:
            print(json.dumps(run.record(now), ensure_ascii=False))
    elif found:
        rows = [row(run, now) for run in found]
        if too_wide(TITLES, rows, SPARE):
            _stack(rows)
        else:
            table(TITLES, rows, right=FIGURES, spare=SPARE)
    else:
        print("no runs")
    return 0


def _stack(rows: list[list[str]]) -> None:
    """Some lines a run: an id cut short is of no use, and one that is wrapped hard to copy."""
    for cells in rows:
        named = dict(zip(TITLES, cells, strict=True))
        status, health = named["status"], named["health"]
        said = paint(status, status) + ("" if health == "-" else f", {paint(health, health)}")
        if named["error"]:
            said += f" ({named['error']})"
        print(f"{said}  {named['started']}  for {named['duration']}")
        print(f"    {named['session']}")
        print(f"    {named['execution']}")
        print(
            f"    events {named['events']}, reconnects {named['reconnects']}, "
            f"seen {named['seen']} ago"
        )


def row(run: Run, now: int) -> list[str]:
    """One run in the columns of ``TITLES``."""
    return [
        visible(run.session),
        visible(run.execution),
        run.status,
        "no link" if run.linked is False else run.health or "-",
        # When it was started by the host, which is where its life begins.
        moment(run.created_ms),
        duration(run.seconds(now)),
        "-" if run.events is None else str(run.events),
        str(run.reconnects),
        duration(run.silent(now)),
        visible(run.error or ""),
    ]
