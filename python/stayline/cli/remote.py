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
from contextlib import suppress
from typing import Any

import stayline
from stayline.cli.rest import Rest, segment
from stayline.cli.views import Query, Record, Run, State, Status

#: Sessions a server lists at most.
_MOST_SESSIONS = 1_000
_QUEUE = 1_000
#: Seconds. The server says something every ping interval, ten seconds unless set.
_SILENCE = 60.0
#: Seconds between two attempts to connect again.
_AGAIN = 1.0


class RemoteSource:
    """A server."""

    def __init__(self, url: str, key: str | None) -> None:
        self._rest = Rest(url, key)
        self.name = self._rest.base

    def runs(
        self, session: str | None, status: Status | None, limit: int, *, often: bool
    ) -> list[Run]:
        """Executions, newest first."""
        asked: dict[str, Any] = {"limit": limit}
        if status is not None:
            asked["status"] = status
        if not often:
            # It looks them up in the log.
            asked["events"] = "true"
        if session is not None:
            return self._executions(session, asked)
        found: list[Run] = []
        known = self._rest.get("", {"limit": _MOST_SESSIONS})["sessions"]
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
            told = self._rest.get(f"{segment(session)}/executions", asked)
        except stayline.NotFound:
            return []
        return [Run.of_json(one, self.name, linked=None) for one in told["executions"]]


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
        # The first connection is made here: what is wrong with it is told at once.
        self._stream = rest.open(self._path, self._asked, timeout=_SILENCE)
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
            with suppress(OSError, http.client.HTTPException, ValueError):
                self._read_one()
            time.sleep(_AGAIN)
            if self._stopped.is_set() or not self._again():
                return

    def _again(self) -> bool:
        """Connects again, as long as it takes; false when the server refuses."""
        headers = {} if self._last_id is None else {"Last-Event-ID": self._last_id}
        while not self._stopped.is_set():
            try:
                self._stream = self._rest.open(
                    self._path, self._asked, headers=headers, timeout=_SILENCE
                )
            except ConnectionError:
                time.sleep(_AGAIN)
            except stayline.NotFound:
                # Deleted meanwhile.
                self._records.put(None)
                return False
            except Exception as error:
                self._records.put(error)
                return False
            else:
                return True
        return False

    def _read_one(self) -> None:
        last_id: str | None = None
        data: list[str] = []
        with self._stream as stream:
            for raw in stream:
                line = raw.decode("utf-8", "replace").rstrip("\r\n")
                if line.startswith("data: "):
                    data.append(line[6:])
                elif line.startswith("id: "):
                    last_id = line[4:]
                elif not line and data:
                    self._records.put(Record("\n".join(data)))
                    self._last_id = last_id or self._last_id
                    last_id, data = None, []
                if self._stopped.is_set():
                    return


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
