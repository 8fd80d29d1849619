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
    """One execution as it is listed: read while its store was open."""

    session: str
    execution: str
    status: str
    health: str | None
    error: str | None
    mode: str | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    seconds: float | None
    events: int
    reconnects: int
    store: str


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
    found.sort(key=lambda run: run.created_at, reverse=True)
    del found[options.limit :]
    if options.json:
        for run in found:
            print(json.dumps(_record(run), ensure_ascii=False))
    elif found:
        table(_TITLES, [_row(run) for run in found], right=_FIGURES)
    else:
        print("no runs")
    return 0


def _runs(coordinator: stayline.Coordinator, options: argparse.Namespace) -> list[Run]:
    if options.session is not None:
        sessions = [coordinator.session(options.session)]
    else:
        known = coordinator.sessions(limit=_MOST_SESSIONS)
        sessions = [coordinator.session(one.id) for one in known]
    found: list[tuple[stayline.Session, stayline.Execution]] = []
    for session in sessions:
        try:
            executions = session.executions(status=options.status, limit=max(options.limit, 1))
        except stayline.NotFound:
            # In another of the stores, or deleted since it was listed.
            continue
        found += [(session, one) for one in executions]
    # Counting events is the dear part, and only what is shown needs it.
    found.sort(key=lambda pair: pair[1].created_at, reverse=True)
    return [_run(coordinator, *pair) for pair in found[: options.limit]]


def _run(
    coordinator: stayline.Coordinator, session: stayline.Session, one: stayline.Execution
) -> Run:
    seconds = None
    if one.started_at is not None:
        now = datetime.fromtimestamp(coordinator.now_ms / 1000, timezone.utc)
        seconds = ((one.completed_at or now) - one.started_at).total_seconds()
    return Run(
        session=session.id,
        execution=one.id,
        status=one.status,
        health=one.health,
        error=one.error,
        mode=one.mode,
        created_at=one.created_at,
        started_at=one.started_at,
        completed_at=one.completed_at,
        seconds=seconds,
        events=session.count_events(executions=[one.id]),
        reconnects=one.reconnects,
        store=coordinator.location,
    )


def _row(run: Run) -> list[str]:
    return [
        run.session,
        run.execution,
        # What says nothing any more is told apart: its process may be long gone.
        "running (stale)" if run.health == "stale" else run.status,
        moment(run.created_at),
        duration(run.seconds),
        str(run.events),
        str(run.reconnects),
    ]


def _record(run: Run) -> dict[str, Any]:
    return {
        "session": run.session,
        "execution": run.execution,
        "status": run.status,
        "health": run.health,
        "error": run.error,
        "mode": run.mode,
        "createdAt": _iso(run.created_at),
        "startedAt": _iso(run.started_at),
        "completedAt": _iso(run.completed_at),
        "durationMs": None if run.seconds is None else round(run.seconds * 1000),
        "events": run.events,
        "reconnects": run.reconnects,
        "store": run.store,
    }


def _iso(value: datetime | None) -> str | None:
    if value is None:
        return None
    return value.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
