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
    # An attempt that a newer one of the same wrapper has overtaken is not refused for good.
    links.append(session.attach(**asked, producer="new", attempt=3))
    assert refused(**asked, producer="new", attempt=2) == (409, {})
    assert [web.accept_headers(link) for link in links] == [{"Stayline-Protocol": "2"}] * 3
    session.fail("e", "over")
    ended = {"Stayline-Refusal": "not_active", "Stayline-Status": "failed"}
    assert refused(execution_id="e", token=token) == (409, ended)


def test_a_hosts_own_check_has_three_answers() -> None:
    assert web.refusal_of(True) is None
    denied = web.refusal_of(False)
    assert denied is not None
    assert (denied.status, denied.headers["Stayline-Refusal"]) == (401, "unauthorized")
    # What is not known, and whatever a check raises, is no "no".
    for later in (
        web.refusal_of(None),
        web.refusal(ConnectionError("no database")),
        web.later(),
    ):
        assert later is not None
        assert (later.status, later.headers["Retry-After"]) == (503, "1")
        assert "Stayline-Refusal" not in later.headers
        assert later.text.endswith("\n")
    assert web.refusal(stayline.StoreError("away")).headers["Retry-After"] == "1"
    # What is no answer lets nobody in.
    for wrong in ("denied", 1, object()):
        with pytest.raises(TypeError, match="True, False or None"):
            web.refusal_of(wrong)  # type: ignore[arg-type]


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
    day = web.stream_arguments({"startTime": "2026-03-07"})["since"]
    assert day == datetime(2026, 3, 7, tzinfo=timezone.utc)
    assert web.stream_arguments({"startTime": "2026-03-07T10:00"})["since"] is None


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


def test_line_breaks_that_only_python_knows_stay_in_a_server_sent_event(
    session: stayline.Session,
) -> None:
    """A line of the wire ends with a line feed or a carriage return, and with nothing else."""
    session.start("e")
    text = "a\u2028b\x85c\x1cd"
    with session.attach("e", trusted=True) as link, session.stream() as events:
        link.receive('{"streamEventType":"output","data":{"text":"a\u2028b\x85c\\u001cd",\n"n":1}}')
        record = next(event for event in events if event.type == "output")
    lines = web.server_sent_event(record, "ep").rstrip("\n").split("\n")
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    assert len(data) == 2
    assert json.loads("\n".join(data))["data"] == {"text": text, "n": 1}


def test_a_time_beyond_64_bits_is_ignored(session: stayline.Session) -> None:
    session.start("e")
    asked = web.stream_arguments({"startTime": "9" * 19, "fromId": "9" * 5_000})
    assert (asked["since"], asked["after"]) == (None, 0)
    session.stream(**asked).close()
