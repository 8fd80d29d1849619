"""`…/events`: the stream for whoever has a plain HTTP client."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any
from urllib.parse import quote

import pytest
import stayline
from conftest import PATIENCE, eventually, frame

SESSION = "user_1/agent:1"


@pytest.fixture
def server(coordinator: stayline.Coordinator) -> Iterator[stayline.Server]:
    with coordinator.serve(key="secret") as server:
        yield server


@pytest.fixture
def link(coordinator: stayline.Coordinator) -> stayline.Link:
    session = coordinator.session(SESSION)
    session.start("e")
    return session.attach("e", trusted=True)


class Events:
    """A reader as simple as they come: lines of an endless answer."""

    def __init__(self, url: str, **headers: str) -> None:
        request = urllib.request.Request(url, headers=headers)
        self.answer: HTTPResponse = urllib.request.urlopen(request, timeout=PATIENCE)

    def take(self) -> tuple[str | None, dict[str, Any]]:
        """The next event: its id, and what it holds."""
        event_id, data = None, []
        for raw in self.answer:
            line = raw.decode().rstrip("\n")
            if line.startswith("id: "):
                event_id = line[4:]
            elif line.startswith("data: "):
                data.append(line[6:])
            elif not line and data:
                return event_id, json.loads("\n".join(data))
        raise EOFError("the server ended the stream")

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.close()


def url(server: stayline.Server, **query: str) -> str:
    text = "&".join(f"{name}={quote(value)}" for name, value in query.items())
    return f"{server.url}/sessions/{quote(SESSION, safe='')}/events?{text}"


def kinds_until_connected(events: Events) -> list[tuple[str | None, str]]:
    seen = []
    while True:
        event_id, event = events.take()
        seen.append((event_id, event["streamEventType"]))
        if event["streamEventType"] == "connected":
            return seen


def test_the_past_then_what_is_live(
    coordinator: stayline.Coordinator, server: stayline.Server, link: stayline.Link
) -> None:
    session = coordinator.session(SESSION)
    epoch = session.info().epoch
    link.receive_many([frame("output", {"n": 1}), frame("output", {"n": 2})])
    assert eventually(lambda: session.count_events() == 2)
    ticket = coordinator.issue_ticket(SESSION)
    with Events(url(server, ticket=ticket)) as events:
        assert events.answer.headers["Content-Type"] == "text/event-stream"
        assert kinds_until_connected(events) == [
            (f"{epoch}.1", "output"),
            (f"{epoch}.2", "output"),
            (None, "connected"),
        ]
        link.receive(frame("heartbeat"))
        # Volatile ones carry no id: they move no cursor.
        assert events.take()[0] is None
        link.receive(frame("complete", {"exitCode": 0}))
        event_id, event = events.take()
        assert (event_id, event["eventId"], event["sessionId"]) == (f"{epoch}.3", 3, SESSION)


def test_a_reader_that_comes_back_goes_on_where_it_was(
    coordinator: stayline.Coordinator, server: stayline.Server, link: stayline.Link
) -> None:
    session = coordinator.session(SESSION)
    link.receive_many([frame("output", {"n": n}) for n in range(5)])
    assert eventually(lambda: session.count_events() == 5)
    ticket = coordinator.issue_ticket(SESSION)
    with Events(url(server, ticket=ticket)) as events:
        last_id = [events.take()[0] for _ in range(3)][-1]
    assert last_id is not None
    # A browser sends both the address it was first given and the last id it saw.
    again = url(server, ticket=ticket, fromId="0")
    with Events(again, **{"Last-Event-ID": last_id}) as events:
        kinds = kinds_until_connected(events)
    assert [event_id and event_id.rsplit(".", 1)[1] for event_id, _ in kinds] == ["4", "5", None]


def test_another_epoch_is_told_by_a_gap(
    coordinator: stayline.Coordinator, server: stayline.Server, link: stayline.Link
) -> None:
    link.receive(frame("output"))
    assert eventually(lambda: coordinator.session(SESSION).count_events() == 1)
    ticket = coordinator.issue_ticket(SESSION)
    with Events(url(server, ticket=ticket), **{"Last-Event-ID": "another.7"}) as events:
        _, gap = events.take()
        assert gap["streamEventType"] == "gap"
        assert (gap["data"]["requested"], gap["data"]["earliest"]) == (7, 1)
        assert [kind for _, kind in kinds_until_connected(events)] == ["output", "connected"]


def test_strangers_are_not_let_in(
    coordinator: stayline.Coordinator, server: stayline.Server, link: stayline.Link
) -> None:
    coordinator.session("another session").start("e")
    other = coordinator.issue_ticket("another session")
    for query in ({}, {"ticket": other}, {"ticket": "forged"}):
        with pytest.raises(urllib.error.HTTPError) as refused:
            Events(url(server, **query))
        with refused.value as answer:
            assert answer.code == 401


def test_the_stream_ends_with_the_server(
    coordinator: stayline.Coordinator, server: stayline.Server, link: stayline.Link
) -> None:
    ticket = coordinator.issue_ticket(SESSION)
    with Events(url(server, ticket=ticket)) as events:
        assert kinds_until_connected(events) == [(None, "connected")]
        server.close()
        with pytest.raises(EOFError):
            events.take()
