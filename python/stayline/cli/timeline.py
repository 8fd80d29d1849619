"""``stayline timeline``: one picture of how a session's runs went."""

from __future__ import annotations

import argparse
import sys
import time

from stayline.cli.console import columns, count, visible
from stayline.cli.source import StoreSource
from stayline.timeline import Timeline

#: Seconds after which people are told what takes so long.
_PATIENCE = 1.0


def main(options: argparse.Namespace) -> int:
    """Draws it into a file, or in characters."""
    with StoreSource(options.store) as source:
        store, _ = source.locate(options.session)
        session = store.session(options.session)
        progress = _Progress(session.info().last_event_id)
        drawn = Timeline(
            session,
            now_ms=store.now_ms,
            executions=options.execution,
            limit=options.limit,
            owned=store._is_owned(),
            progress=progress.told,
        )
        progress.over()
    if options.output is None:
        print(drawn.text(columns()))
        return 0
    path = drawn.save(options.output)
    events = sum(run.events for run in drawn.runs)
    print(f"{visible(str(path))}: {count(len(drawn.runs), 'run')}, {count(events, 'event')}")
    return 0


class _Progress:
    """A line on the terminal that says how far it is, when it takes long."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._began = time.monotonic()
        self._shown = False

    def told(self, done: int) -> None:
        if sys.stderr.isatty() and time.monotonic() - self._began > _PATIENCE:
            sys.stderr.write(f"\rreading events: {done} of at most {self._most}")
            sys.stderr.flush()
            self._shown = True

    def over(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
