"""Where what is shown comes from: files beside their owners, or a server.

Both answer the same questions. A file is opened for reading only, whoever owns it, and looked at
again every so often: a reader has no way to be told, and a poll of a file nobody writes to costs
next to nothing. A server is asked through REST, and its events come by themselves (`remote`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

import stayline
from stayline.cli import places
from stayline.cli.console import complain
from stayline.cli.remote import RemoteSource
from stayline.cli.rest import Rest
from stayline.cli.views import Query, Record, Run, State, Status, now_ms

#: Sessions looked at in one store; those with the newest activity come first.
_MOST_SESSIONS = 10_000
#: Records taken from a store at once, so that a long past is shown while it is read.
_ROUND = 500
#: Beyond every event's id.
_ALL = 2**63


class Feed(Protocol):
    """A session's records, in order."""

    def take(self, timeout: float) -> list[Record]:
        """What there is; waits up to ``timeout`` seconds for the first. Empty when nothing came."""
        ...

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        ...

    @property
    def caught_up(self) -> bool:
        """Whether all that was stored has been taken."""
        ...

    @property
    def passed(self) -> int:
        """No event up to this id comes any more: it was taken, or is not kept any longer."""
        ...

    @property
    def trouble(self) -> BaseException | None:
        """Why nothing comes at the moment, where its server is away."""
        ...

    def close(self) -> None:
        """Stops it."""
        ...


class Source(Protocol):
    """Whom a command asks."""

    #: Set by a command that asks again by itself: a server that has no room is told of at once.
    impatient: bool

    @property
    def complete(self) -> bool:
        """Whether all that there is could be read."""
        ...

    @property
    def name(self) -> str:
        """For people: the files or the server."""
        ...

    def runs(
        self, session: str | None, status: Status | None, limit: int, *, often: bool
    ) -> list[Run]:
        """Executions, newest first. ``often``: a server is not asked what costs it something."""
        ...

    def state(self, session: str) -> State:
        """One session now. ``NotFound`` for an unknown one."""
        ...

    def feed(self, session: str, query: Query, *, follow: bool) -> Feed:
        """Its records; without ``follow`` those stored up to now."""
        ...


@contextmanager
def opened(options: argparse.Namespace, *, empty: bool = False) -> Iterator[Source]:
    """The source that the options name. ``empty``: a folder where nothing ran yet will do."""
    if options.to is not None:
        yield RemoteSource(Rest.of(options))
        return
    with StoreSource(options.store) as source:
        if not empty and not source.names and not source.unreadable:
            raise stayline.NotFound(
                f"nothing ran here: there is no {places.FOLDER}/*.db; name a file by --store"
            )
        yield source


class StoreSource:
    """Files, read beside their owners."""

    def __init__(self, location: str | None) -> None:
        self._location = location
        self.impatient = False
        self._opened = ExitStack()
        self._stores: dict[str, stayline.Coordinator] = {}
        #: Files that cannot be read. One of them hides none of the others.
        self.unreadable: dict[str, stayline.Error] = {}

    def __enter__(self) -> StoreSource:
        self._look()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._opened.close()

    @property
    def name(self) -> str:
        """The files."""
        return ", ".join(self._stores) or f"{places.FOLDER}/"

    @property
    def complete(self) -> bool:
        """Whether every file could be read."""
        return not self.unreadable

    @property
    def names(self) -> list[str]:
        """The files, one by one."""
        return list(self._stores)

    def runs(
        self, session: str | None, status: Status | None, limit: int, *, often: bool
    ) -> list[Run]:
        """Executions of all files, newest first."""
        del often
        self._look()
        found: list[tuple[stayline.Execution, stayline.Coordinator, str]] = []
        for name, store in list(self._stores.items()):
            try:
                ours = _executions(store, session, status, limit)
            except (stayline.StoreError, stayline.StoreFormat) as error:
                self._set_aside(name, error)
                continue
            found += ((one, store, name) for one in ours)
        found.sort(key=lambda row: row[0].created_at, reverse=True)
        return [_run(one, store, name) for one, store, name in found[:limit]]

    def state(self, session: str) -> State:
        """One session now."""
        store, name = self.locate(session)
        home = store.session(session)
        info = home.info()
        newest = home.executions(limit=1)
        shown = home.execution(info.active) if info.active else newest[0] if newest else None
        run = None if shown is None else _run(shown, store, name)
        return State(session, info.last_event_id, run)

    def locate(self, session: str) -> tuple[stayline.Coordinator, str]:
        """The file that knows the session; ``InvalidArgument`` when several do."""
        known = []
        for name, store in list(self._stores.items()):
            try:
                store.session(session).info()
            except stayline.NotFound:
                continue
            except (stayline.StoreError, stayline.StoreFormat) as error:
                self._set_aside(name, error)
                continue
            known.append((store, name))
        return places.only_one(session, known, self.name)

    def feed(self, session: str, query: Query, *, follow: bool) -> Feed:
        """Its records."""
        store, _ = self.locate(session)
        return _StoreFeed(store.session(session), query, follow=follow)

    def _look(self) -> None:
        for name in places.readable(self._location):
            if name not in self._stores and name not in self.unreadable:
                try:
                    store = self._opened.enter_context(places.reader(name))
                except stayline.NotFound:
                    # Gone again between the look and the opening.
                    if self._location is None:
                        continue
                    raise
                except (stayline.StoreError, stayline.StoreFormat) as error:
                    self._set_aside(name, error)
                    continue
                self._stores[name] = store

    def _set_aside(self, name: str, error: stayline.Error) -> None:
        """A file that cannot be read is told of once; the only one is all that was asked for."""
        if self._location is not None:
            raise places.naming(name, error)
        self._stores.pop(name, None)
        if name not in self.unreadable:
            complain(f"{places.naming(name, error)}; the other files are shown without it")
        self.unreadable[name] = error


class _StoreFeed:
    def __init__(self, session: stayline.Session, query: Query, *, follow: bool) -> None:
        self._session = session
        self._after = query.after
        self._types = query.types
        self._executions = None
        if query.execution is not None:
            # An unknown one is an error rather than an empty answer.
            self._executions = [session.execution(query.execution).id]
        self._since = query.since
        self._until = query.until
        self._follow = follow
        self.over = False
        self.caught_up = False
        self.passed = 0
        self.trouble = None

    def take(self, timeout: float) -> list[Record]:
        """The next round of events."""
        if self.caught_up and self._follow:
            time.sleep(timeout)
        try:
            found = list(
                self._session.events(
                    after=self._after,
                    types=self._types,
                    executions=self._executions,
                    since=self._since,
                    until=self._until,
                    limit=_ROUND,
                )
            )
        except stayline.NotFound:
            self.over = True
            return []
        if found:
            self._after = found[-1].id
        self.caught_up = len(found) < _ROUND
        # Whoever compares has looked before: all that there was then has been taken.
        self.passed = _ALL if self.caught_up else self._after
        self.over = self.caught_up and not self._follow
        return [Record(event.frame) for event in found]

    def close(self) -> None:
        """Nothing to stop."""


def _run(one: stayline.Execution, store: stayline.Coordinator, name: str) -> Run:
    home = store.session(one.session_id)
    newest = None
    if one.status == "running":
        # The session's newest event is the active execution's, unless it came late.
        for event in home.events(after=max(home.info().last_event_id - 1, 0), limit=1):
            if event.execution_id == one.id:
                # A wrapper's clock may be ahead of ours.
                newest = min(event.timestamp_ms, now_ms())
    events = home.count_events(executions=[one.id])
    owned = one.status not in ("pending", "running") or store._is_owned()
    return Run.of(one, name, events, newest, owned=owned)


def _executions(
    store: stayline.Coordinator, session: str | None, status: Status | None, limit: int
) -> list[stayline.Execution]:
    if session is not None:
        try:
            return store.session(session).executions(status=status, limit=limit)
        except stayline.NotFound:
            # In another of the files, or deleted since it was listed.
            return []
    found: list[stayline.Execution] = []
    for one in store.sessions(limit=_MOST_SESSIONS):
        # Nothing in a session began after its newest activity, so that older ones have no say.
        if sum(known.created_at >= one.last_activity_at for known in found) >= limit:
            break
        found += _executions(store, one.id, status, limit)
        found.sort(key=lambda known: known.created_at, reverse=True)
        del found[limit:]
    return found
