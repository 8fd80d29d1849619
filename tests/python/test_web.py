"""Handshakes, translated for hosts with sockets of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timezone

import pytest
import stayline
from stayline import web

ERRORS = [kind for kind in vars(stayline).values() if isinstance(kind, type)]
ERRORS = [
    kind for kind in ERRORS if issubclass(kind, stayline.Error) and kind is not stayline.Error
]


def test_a_wrapper_asks_by_query_and_headers() -> None:
    basic = web.attach_arguments({"executionId": "e", "token": "t"}, {})
    assert basic == {
        "execution_id": "e",
        "token": "t",
        "acknowledged": False,
        "producer": None,
        "attempt": None,
    }
    query = {"executionId": "e", "producer": "p", "attempt": "3"}
    headers = {"stayline-protocol": "2", "AUTHORIZATION": "bearer  secret"}
    asked = web.attach_arguments(query, headers)
    assert (asked["acknowledged"], asked["producer"], asked["attempt"]) == (True, "p", 3)
    assert asked["token"] == "secret"
    assert web.attach_arguments(query | {"protocol": "2"}, {})["acknowledged"]
    assert not web.attach_arguments(query, {"Stayline-Protocol": "7"})["acknowledged"]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"executionId": ""},
        {"executionId": "e", "protocol": "2", "producer": "p"},
        {"executionId": "e", "protocol": "2", "producer": "p", "attempt": "x"},
        {"executionId": "e", "protocol": "2", "attempt": "1"},
    ],
)
def test_requests_that_lack_something_are_bad(query: dict[str, str]) -> None:
    with pytest.raises(stayline.InvalidArgument) as bad:
        web.attach_arguments(query, {})
    refused = web.refusal(bad.value)
    assert (refused.status, refused.headers["Stayline-Refusal"]) == (400, "bad_request")
    assert bad.value.what in refused.text


def test_what_attach_raises_is_a_refusal_as_the_built_in_server_gives_it(
    session: stayline.Session,
) -> None:
    def refused(**asked: object) -> tuple[int, dict[str, str]]:
        with pytest.raises(stayline.Error) as error:
            session.attach(**asked)  # type: ignore[arg-type]
        answer = web.refusal(error.value)
        assert answer.text.endswith("\n")
        assert answer.text.count("\n") == 1
        headers = {name: value for name, value in answer.headers.items() if "-T" not in name}
        return answer.status, headers

    assert refused(execution_id="e") == (404, {"Stayline-Refusal": "not_found"})
    token = session.start("e").token
    assert refused(execution_id="e") == (401, {"Stayline-Refusal": "unauthorized"})
    asked = {"execution_id": "e", "token": token, "acknowledged": True}
    links = [session.attach(**asked, producer=name, attempt=1) for name in ("old", "new")]
    superseded = {"Stayline-Refusal": "superseded"}
    assert refused(**asked, producer="old", attempt=2) == (409, superseded)
    assert [web.accept_headers(link) for link in links] == [{"Stayline-Protocol": "2"}] * 2
    session.fail("e", "over")
    ended = {"Stayline-Refusal": "not_active", "Stayline-Status": "failed"}
    assert refused(execution_id="e", token=token) == (409, ended)


def test_a_basic_link_is_granted_nothing(session: stayline.Session) -> None:
    session.start("e")
    assert web.accept_headers(session.attach("e", trusted=True)) == {}


def test_every_error_has_the_status_of_the_table() -> None:
    table = {"NotFound": 404, "Full": 429, "Timeout": 504, "Closed": 503, "Disconnected": 502}
    table |= {"ExecutionInProgress": 409, "WrongHolder": 409, "StoreUnknown": 503, "Panic": 500}
    table |= {"InvalidArgument": 400, "InvalidEvent": 400, "Unauthorized": 401, "StoreInUse": 503}
    assert len(ERRORS) > 20
    for kind in ERRORS:
        error = kind("what happened")
        if kind is stayline.ExecutionNotActive:
            continue
        status = web.refusal(error).status
        assert status == table.get(error.name, status)
        # What may pass by itself is not final for a wrapper.
        assert status < 500 or "Stayline-Refusal" not in web.refusal(error).headers


def test_a_subscriber_asks_by_query() -> None:
    everything = web.stream_arguments(
        {
            "fromId": "7",
            "epoch": "ep",
            "executionIds": "a, b",
            "eventTypes": "output,status",
            "startTime": "2023-11-14T22:13:20Z",
            "replay": "false",
        }
    )
    assert everything == {
        "after": 7,
        "epoch": "ep",
        "executions": ["a", "b"],
        "types": ["output", "status"],
        "since": datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc),
        "live_only": True,
    }
    unreadable = {"fromId": "x", "executionIds": ",", "startTime": "yesterday", "replay": "no"}
    nothing = web.stream_arguments({})
    assert web.stream_arguments(unreadable) == nothing
    assert set(nothing.values()) == {0, None}
    assert web.stream_arguments({"startTime": "5"})["since"] == 5
    offset = web.stream_arguments({"startTime": "2023-11-14T23:13:20 01:00"})["since"]
    assert offset == everything["since"]


def test_the_last_event_id_goes_before_the_query() -> None:
    query = {"fromId": "3", "replay": "false"}
    resumed = web.stream_arguments(query, {"last-event-id": "ep.och.12"})
    assert (resumed["epoch"], resumed["after"], resumed["live_only"]) == ("ep.och", 12, False)
    assert web.stream_arguments(query, {"Last-Event-ID": "garbage"})["after"] == 3


def test_an_event_as_a_server_sent_event(session: stayline.Session) -> None:
    session.start("e")
    session.fail("e", "x")
    stored, connected = list(session.stream(timeout=0))
    epoch = session.info().epoch
    event_id, data, *rest = web.server_sent_event(stored, epoch).split("\n")
    assert (event_id, rest) == (f"id: {epoch}.1", ["", ""])
    assert json.loads(data.removeprefix("data: "))["streamEventType"] == "error"
    assert web.server_sent_event(connected, epoch).startswith("data: ")


def test_importing_stayline_does_not_import_it() -> None:
    code = (
        "import stayline, sys; sys.exit('stayline.web' in sys.modules or 'asyncio' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
