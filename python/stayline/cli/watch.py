"""``stayline watch``: all runs as a table, or one session as it goes.

What a reader is told beside the events are *changes*: of the status, of the health, of the
connection. They come from looking at the run's row every so often, so that two changes between two
looks are one; the events are all there, in order.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from contextlib import closing
from dataclasses import replace

from stayline.cli import lines, runs
from stayline.cli.again import Again
from stayline.cli.console import (
    cells,
    columns,
    complain,
    count,
    duration,
    fit,
    paint,
    shorten,
    table_lines,
    visible,
)
from stayline.cli.output import json_line
from stayline.cli.screen import Screen
from stayline.cli.source import Feed, Source, opened
from stayline.cli.views import Query, Record, Run, State, iso, now_ms

_SEPARATOR = " \u00b7 "
#: A session's name gives way to figures down to so many columns.
_SHORTEST_NAME = 24


def main(options: argparse.Namespace) -> int:
    """Goes on until Ctrl-C, or with ``--until-end`` until the active run has ended."""
    with opened(options, empty=options.session is None) as source:
        if options.session is None:
            return _Table(source, options).run()
        state = source.state(options.session)
        after = max(0, state.last_event_id - options.tail)
        with closing(
            source.feed(options.session, Query(after, options.types), follow=True)
        ) as feed:
            source.impatient = True
            return _Session(source, feed, options, after).run()


# --- one session ----------------------------------------------------------------------------------


class _Session:
    def __init__(self, source: Source, feed: Feed, options: argparse.Namespace, after: int) -> None:
        self._source = source
        self._feed = feed
        self._options = options
        self._screen = Screen()
        self._again = Again(self._tell)
        self._seen = after
        self._told: tuple[object, ...] | None = None
        #: Executions that were looked at because of an event of theirs.
        self._looked: set[str] = set()
        #: When the newest event of an execution came; a server's rows know it only roughly (R14).
        self._heard: tuple[str, int] = ("", 0)

    def run(self) -> int:
        try:
            while True:
                # Looked at first: a run that has ended has stored all its events by then, so that
                # what is taken next is complete.
                state = self._again.ask(self._state)
                if state is None:
                    # Events may come all the same, and the end of it all.
                    self._take(self._again.pause)
                    self._status(None)
                    continue
                self._tell_changes(state)
                self._status(state)
                wait = self._options.interval
                while True:
                    records = self._take(wait)
                    # What is not kept any more is not waited for.
                    self._seen = max(self._seen, min(self._feed.passed, state.last_event_id))
                    if not records or self._feed.over:
                        break
                    self._status(state)
                    wait = 0.0
                    if self._feed.caught_up and self._seen >= state.last_event_id:
                        break
                if self._feed.over:
                    return 0 if self._options.until_end is False else 1
                if self._finished(state):
                    return 0 if state.run is not None and state.run.status == "completed" else 1
        finally:
            self._screen.leave()

    def _state(self) -> State:
        state = self._source.state(self._options.session)
        execution, heard = self._heard
        if state.run is None or state.run.execution != execution or not state.run.active:
            return state
        return replace(state, run=replace(state.run, seen_ms=max(state.run.seen_ms or 0, heard)))

    def _finished(self, state: State) -> bool:
        if not self._options.until_end or not self._feed.caught_up:
            return False
        if self._seen < state.last_event_id and not self._options.types:
            # On its way from the server.
            return False
        return state.run is None or not state.run.active

    def _take(self, wait: float) -> list[Record]:
        """Shows what comes. Only what comes after the past was shown is a sign of life of now."""
        live = self._feed.caught_up
        records = self._feed.take(wait)
        for record in records:
            self._show(record, live=live)
        return records

    def _show(self, record: Record, *, live: bool) -> None:
        self._look_first(record)
        self._seen = max(self._seen, record.id)
        if live and not record.control:
            self._heard = (str(record.fields.get("executionId")), now_ms())
        self._screen.line(json_line(record.frame) if self._options.json else lines.line(record))

    def _look_first(self, record: Record) -> None:
        """The first event of a run comes behind what is said about the run itself."""
        if self._told is None or not self._feed.caught_up or record.control:
            return
        execution, (known, status, *_) = str(record.fields.get("executionId")), self._told
        if (execution != known or status == "pending") and execution not in self._looked:
            self._looked.add(execution)
            state = self._again.ask(self._state)
            if state is not None:
                self._tell_changes(state)

    def _tell(self, text: str) -> None:
        """Something about the server: among the lines, or beside them where those are data."""
        if self._options.json:
            complain(text)
        else:
            self._screen.line(lines.note(now_ms(), text, "warning"))

    def _tell_changes(self, state: State) -> None:
        run = state.run
        if run is None:
            return
        told = (
            *(run.execution, run.status, run.health, run.linked, run.owned),
            run.interrupt_requested,
        )
        if told == self._told:
            return
        before = None if self._told is None else self._told[0]
        self._told = told
        now = now_ms()
        if self._options.json:
            record = json.dumps(_state_record(run, now), ensure_ascii=False)
            self._screen.line(json_line(record))
        else:
            # People see at once whose it is; who reads a pipe should not have to look back.
            named = run.execution != before or not self._screen.live
            plain = lines.note(now, _noted(run, named=named), "")
            if named and self._screen.live and cells(plain) > columns():
                # A line of its own rather than one that is broken anywhere.
                self._screen.line(lines.note(now, run.execution, _style(run)))
                named = False
            self._screen.line(lines.note(now, _noted(run, named=named), _style(run)))

    def _status(self, state: State | None) -> None:
        if self._options.json or not self._screen.live:
            sys.stdout.flush()
            return
        width = columns()
        rule = paint("\u2500" * width, "dim")
        if state is None:
            told = fit(f"{visible(self._options.session)}  the server is away; trying again", width)
            self._screen.block([rule, paint(told, "warning")])
            return
        if self._options.types and self._feed.caught_up:
            # What is not asked for does not come.
            self._seen = max(self._seen, state.last_event_id)
        behind = max(state.last_event_id - self._seen, 0)
        self._screen.block([rule, _painted(_summary(state, behind, now_ms(), width), state.run)])


def _noted(run: Run, *, named: bool) -> str:
    condition = _condition(run)
    return f"{run.execution} {condition}" if named else condition


def _condition(run: Run) -> str:
    """The status in words, with what is out of the ordinary."""
    parts = [run.status]
    if run.ending:
        parts[0] += f" ({run.ending})"
    # Healthy is who was heard of lately; a reader takes it for more while nobody is connected.
    if run.health and not (run.linked is False and run.health == "healthy"):
        parts.append(run.health)
    if not run.owned:
        parts.append("its coordinator's process is gone")
    elif run.linked is False:
        parts.append("no wrapper is connected")
    if run.interrupt_requested:
        parts.append("asked to stop")
    return ", ".join(parts)


def _style(run: Run) -> str:
    if run.linked is False or not run.owned:
        return "trouble"
    return run.health if run.health in ("unknown", "stale") else run.status


def _summary(state: State, behind: int, now: int, width: int) -> str:
    """One line within the terminal: the status comes first, then the name, then the figures."""
    run = state.run
    name = visible(state.session)
    parts = ["nothing ran"] if run is None else [_condition(run), *_figures(run, now)]
    if behind:
        parts.insert(1, f"{behind} behind")
    room = width - min(cells(name), _SHORTEST_NAME) - 2
    while len(parts) > 1 and cells(visible(_SEPARATOR.join(parts))) > room:
        # What is cut in its middle would only puzzle.
        parts.pop()
    told = visible(_SEPARATOR.join(parts))
    return fit(f"{shorten(name, max(width - cells(told) - 2, 12))}  {told}", width)


def _figures(run: Run, now: int) -> list[str]:
    figures = []
    if run.seconds(now) is not None:
        figures.append(duration(run.seconds(now)))
    if run.events is not None:
        figures.append(count(run.events, "event"))
    if run.reconnects:
        figures.append(count(run.reconnects, "reconnect"))
    if run.active and run.silent(now) is not None:
        figures.append(f"seen {duration(run.silent(now))} ago")
    return figures


def _painted(text: str, run: Run | None) -> str:
    return text if run is None else paint(text, _style(run))


def _state_record(run: Run, now: int) -> dict[str, object]:
    return {
        "eventId": 0,
        "executionId": run.execution,
        "sessionId": run.session,
        "streamEventType": "state",
        "timestamp": iso(now),
        "data": run.record(now),
    }


# --- all runs -------------------------------------------------------------------------------------

#: What the table can do without before its ids are cut, and what only then.
_SPARE = ["error", "started", "reconnects", "events"]
_SPARE_LAST = ["seen", "exit", "health", "duration", "execution"]


class _Table:
    def __init__(self, source: Source, options: argparse.Namespace) -> None:
        self._source = source
        self._options = options
        self._screen = Screen()
        self._again = Again(self._tell)
        self._found: list[Run] | None = None
        self._told: dict[str, tuple[object, ...]] = {}

    def run(self) -> int:
        try:
            while True:
                found = self._ask()
                if found is None:
                    if self._drawing:
                        self._screen.block(self._drawn(self._found or [], away=True))
                    self._again.wait()
                    continue
                self._found = found
                self._source.impatient = True
                if self._drawing:
                    self._screen.block(self._drawn(found))
                else:
                    self._tell_changes(found)
                if self._options.until_end and not any(run.active for run in found):
                    return 0
                time.sleep(self._options.interval)
        finally:
            self._screen.leave()

    def _ask(self) -> list[Run] | None:
        def question() -> list[Run]:
            return self._source.runs(None, None, self._options.limit, often=True)

        if self._found is None:
            # The first time a wrong address is told at once.
            return question()
        return self._again.ask(question)

    def _tell(self, text: str) -> None:
        if self._options.json:
            complain(text)
        else:
            self._screen.line(lines.note(now_ms(), text, "warning"))
            sys.stdout.flush()

    @property
    def _drawing(self) -> bool:
        return self._screen.live and not self._options.json

    def _drawn(self, found: list[Run], *, away: bool = False) -> list[str]:
        now = now_ms()
        width = columns()
        active = sum(run.active for run in found)
        clock = time.strftime("%H:%M:%S")
        head = f"{clock}  {active} active of {len(found)} shown  {visible(self._source.name)}"
        if away:
            head = f"{clock}  as it was; the server is away  {visible(self._source.name)}"
        head = fit(head, width)
        if not found:
            return [head, "no runs yet"]
        # What does not fit the terminal could not be drawn again in place.
        most = _lines() - 3
        rows = [runs.row(run, now) for run in found[: max(most, 1)]]
        drawn = table_lines(
            runs.TITLES, rows, right=runs.FIGURES, spare=_SPARE, last=_SPARE_LAST, cut=True
        )
        return [paint(head, "dim"), *drawn]

    def _tell_changes(self, found: list[Run]) -> None:
        now = now_ms()
        for run in reversed(found):
            told = (
                *(run.status, run.health, run.linked, run.owned),
                *(run.interrupt_requested, run.reconnects),
            )
            if self._told.get(run.execution) == told:
                continue
            self._told[run.execution] = told
            if self._options.json:
                print(json_line(json.dumps(run.record(now), ensure_ascii=False)))
            else:
                print(lines.note(now, f"{run.session}  {run.execution}  {_condition(run)}"))
        sys.stdout.flush()


def _lines() -> int:
    return max(shutil.get_terminal_size().lines, 5)
