"""``stayline runs``: which executions there are and how they ended."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import stayline
from stayline.cli import places
from stayline.cli.console import complain, duration, moment, table

_TITLES = ["session", "execution", "status", "started", "duration", "events", "reconnects"]
_FIGURES = ["duration", "events", "reconnects"]

#: Sessions looked at in one store; the newest come first.
_MOST_SESSIONS = 10_000


@dataclass(frozen=True)
class Run:
    """One execution as it is listed."""

    execution: stayline.Execution
    events: int
    store: str

    @property
    def began(self) -> datetime:
        """When it was started by the host, which is where its life begins."""
        return self.execution.created_at

    def seconds(self, now: datetime) -> float | None:
        """How long it ran, or has been running; none before a wrapper came."""
        since = self.execution.started_at
        if since is None:
            return None
        return ((self.execution.completed_at or now) - since).total_seconds()


def main(options: argparse.Namespace) -> int:
    """Prints a table, or one JSON object a line."""
    locations = places.readable(options.store)
    if not locations:
        complain(f"nothing ran here: there is no {places.FOLDER}/*.db; name a file by --store")
        return 1
    found: list[Run] = []
    for location in locations:
        with places.reader(location) as coordinator:
            found += _runs(coordinator, options)
    found.sort(key=lambda run: run.began, reverse=True)
    del found[options.limit :]
    now = datetime.now(timezone.utc)
    if options.json:
        for run in found:
            print(json.dumps(_record(run, now), ensure_ascii=False))
    elif found:
        table(_TITLES, [_row(run, now) for run in found], right=_FIGURES)
    else:
        print("no runs")
    return 0


def _runs(coordinator: stayline.Coordinator, options: argparse.Namespace) -> list[Run]:
    if options.session is not None:
        sessions = [coordinator.session(options.session)]
    else:
        known = coordinator.sessions(limit=_MOST_SESSIONS)
        sessions = [coordinator.session(one.id) for one in known]
    found: list[Run] = []
    for session in sessions:
        try:
            executions = session.executions(status=options.status, limit=max(options.limit, 1))
        except stayline.NotFound:
            # In another of the stores, or deleted since it was listed.
            continue
        found += [
            Run(one, session.count_events(executions=[one.id]), coordinator.location)
            for one in executions
        ]
    return found


def _row(run: Run, now: datetime) -> list[str]:
    return [
        run.execution.session_id,
        run.execution.id,
        run.execution.status,
        moment(run.began),
        duration(run.seconds(now)),
        str(run.events),
        str(run.execution.reconnects),
    ]


def _record(run: Run, now: datetime) -> dict[str, Any]:
    one = run.execution
    seconds = run.seconds(now)
    return {
        "session": one.session_id,
        "execution": one.id,
        "status": one.status,
        "error": one.error,
        "mode": one.mode,
        "health": one.health,
        "createdAt": _iso(one.created_at),
        "startedAt": _iso(one.started_at),
        "completedAt": _iso(one.completed_at),
        "durationMs": None if seconds is None else round(seconds * 1000),
        "events": run.events,
        "reconnects": one.reconnects,
        "store": run.store,
    }


def _iso(value: datetime | None) -> str | None:
    if value is None:
        return None
    return value.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
