"""A server as a source: questions through REST, events as they come by server-sent events.

A thread reads the stream into a short queue, so that a slow terminal holds the server back instead
of filling memory. When the connection breaks it is made again behind the last event that came, as
a browser does it; nothing is shown twice.
"""

from __future__ import annotations

import http.client
import queue
import threading
import time
from collections.abc import Mapping
from typing import Any

import stayline
from stayline.cli.again import AGAIN, may_pass, pause_after
from stayline.cli.rest import Rest, segment
from stayline.cli.views import Query, Record, Run, State, Status

#: Sessions a server lists at most.
_MOST_SESSIONS = 1_000
_QUEUE = 1_000
#: Bytes of one record, in however many lines. No server of ours sends any so large.
_LARGEST_RECORD = 64 * 1_048_576
#: Seconds. The server says something every ping interval, ten seconds unless set.
_SILENCE = 60.0


class RemoteSource:
    """A server."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self.name = self._rest.base
        #: A server tells all or refuses.
        self.complete = True

    @property
    def impatient(self) -> bool:
        """Whether a server that has no room is told of at once."""
        return self._rest.impatient

    @impatient.setter
    def impatient(self, value: bool) -> None:
        self._rest.impatient = value

    def runs(
        self, session: str | None, status: Status | None, limit: int, *, often: bool
    ) -> list[Run]:
        """Executions, newest first."""
        asked: dict[str, Any] = {"limit": limit}
        if status is not None:
            asked["status"] = status
        if not often:
            asked["events"] = "true"
        if session is not None:
            return self._executions(session, asked)
        found: list[Run] = []
        known = self._listed("", "sessions", {"limit": _MOST_SESSIONS})
        for one in known:
            # Nothing in a session began after its newest activity, so that older have no say.
            if sum(run.created_ms >= one["lastActivityAt"] for run in found) >= limit:
                break
            found += self._executions(one["sessionId"], asked)
            found.sort(key=lambda run: run.created_ms, reverse=True)
            del found[limit:]
        return found

    def state(self, session: str) -> State:
        """One session now."""
        told = self._rest.get(segment(session))
        run = None
        active = told["activeExecutionId"]
        if active is not None:
            path = f"{segment(session)}/executions/{segment(active)}"
            run = Run.of_json(self._rest.get(path), self.name, linked=told["linkAttached"])
        else:
            newest = self._executions(session, {"limit": 1})
            run = newest[0] if newest else None
        return State(session, told["lastEventId"], run)

    def feed(self, session: str, query: Query, *, follow: bool) -> RemoteFeed:
        """Its records."""
        return RemoteFeed(self._rest, session, query, follow=follow)

    def _executions(self, session: str, asked: dict[str, Any]) -> list[Run]:
        try:
            listed = self._listed(f"{segment(session)}/executions", "executions", asked)
        except stayline.NotFound:
            return []
        return [Run.of_json(one, self.name, linked=None) for one in listed]

    def _listed(self, path: str, name: str, asked: Mapping[str, Any]) -> list[Any]:
        """The first `limit` entries of a list, which come in parts of a bounded size."""
        found: list[Any] = []
        more = dict(asked)
        while True:
            told = self._rest.get(path, more)
            found += told[name]
            left = asked["limit"] - len(found)
            # A server of before gives all that it gives at once.
            if left <= 0 or told.get("cursor") is None:
                return found
            more.update(limit=left, cursor=told["cursor"])


class RemoteFeed:
    """A session's records from a server."""

    def __init__(self, rest: Rest, session: str, query: Query, *, follow: bool) -> None:
        self._rest = rest
        self._path = f"{segment(session)}/events"
        self._asked = _asked(query)
        self._follow = follow
        self._last_id: str | None = None
        self._records: queue.Queue[Record | Exception | None] = queue.Queue(_QUEUE)
        self._stopped = threading.Event()
        self.over = False
        self.caught_up = False
        self.passed = 0
        #: Why nothing comes at the moment, if the server is away.
        self.trouble: BaseException | None = None
        # The first connection is made here: what is wrong with it is told at once.
        self._stream = rest.stream(self._path, self._asked, timeout=_SILENCE)
        threading.Thread(target=self._read, name="stayline-events", daemon=True).start()

    def take(self, timeout: float) -> list[Record]:
        """What has come."""
        found: list[Record] = []
        wait = timeout
        while not self.over and len(found) < _QUEUE:
            try:
                record = self._records.get(timeout=wait) if wait > 0 else self._records.get(False)
            except queue.Empty:
                break
            wait = 0.0
            if record is None:
                self.over = True
            elif isinstance(record, Exception):
                raise record
            elif record.control and record.type == "connected":
                self.caught_up = True
                self.passed = _newest_before(record)
                self.over = not self._follow
            else:
                found.append(record)
                self.over = record.control and record.type == "deleted"
        return found

    def close(self) -> None:
        """Stops reading; the thread ends with the process at the latest."""
        self._stopped.set()

    def _read(self) -> None:
        while not self._stopped.is_set():
            try:
                self._read_one()
            except _Endless as error:
                self._records.put(error)
                return
            except (OSError, http.client.HTTPException, ValueError):
                # It broke; that is seen when it is made again.
                pass
            time.sleep(AGAIN)
            if self._stopped.is_set() or not self._again():
                return

    def _again(self) -> bool:
        """Connects again, as long as it takes; false when the server refuses."""
        headers = {} if self._last_id is None else {"Last-Event-ID": self._last_id}
        while not self._stopped.is_set():
            try:
                self._stream = self._rest.stream(
                    self._path, self._asked, headers=headers, timeout=_SILENCE, patient=False
                )
            except stayline.NotFound:
                # Deleted meanwhile.
                self._records.put(None)
                return False
            except Exception as error:
                if not may_pass(error):
                    self._records.put(error)
                    return False
                self.trouble = error
                time.sleep(pause_after(error))
            else:
                self.trouble = None
                return True
        return False

    def _read_one(self) -> None:
        last_id: str | None = None
        data: list[str] = []
        left = _LARGEST_RECORD
        with self._stream as stream:
            while raw := stream.readline(left + 1):
                left -= len(raw)
                if left < 0:
                    raise _Endless(self._rest.base)
                line = raw.decode("utf-8", "replace").rstrip("\r\n")
                if line.startswith("data: "):
                    data.append(line[6:])
                elif line.startswith("id: "):
                    last_id = line[4:]
                elif not line and data:
                    self._records.put(Record("\n".join(data)))
                    self._last_id = last_id or self._last_id
                    last_id, data = None, []
                if not line:
                    left = _LARGEST_RECORD
                if self._stopped.is_set():
                    return


class _Endless(OSError):
    """What comes is no event of a server of ours, and asking again would bring more of it."""

    def __init__(self, base: str) -> None:
        text = f"{base} sends an event of more than {_LARGEST_RECORD >> 20} MiB; it is not read on"
        super().__init__(None, text)


def _newest_before(connected: Record) -> int:
    """The id up to which everything came before that record."""
    data = connected.fields.get("data")
    found = data.get("lastEventId") if isinstance(data, dict) else None
    return found if type(found) is int else 0


def _asked(query: Query) -> dict[str, Any]:
    asked: dict[str, Any] = {"fromId": query.after}
    if query.types is not None:
        asked["eventTypes"] = ",".join(query.types)
    if query.execution is not None:
        asked["executionIds"] = query.execution
    if query.since is not None:
        asked["startTime"] = query.since
    if query.until is not None:
        asked["endTime"] = query.until
    return asked
