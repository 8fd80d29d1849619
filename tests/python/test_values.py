"""Values that make everything else unreadable, on every way into the module.

Each is either refused by one of the library's own errors, which shows it, or is kept as it is;
Python's own errors are for arguments of a wrong type only.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import stayline
from conftest import eventually, frame
from stayline import aio, sansio

#: Texts that JSON, UTF-8, C or a terminal cannot take as they are.
TEXTS = {
    "half of a pair": "a\ud83d",
    "no UTF-8": os.fsdecode(b"r\xff\xfen"),
    "a NUL": "a\0b",
    "an escape": "a\x1b[31mb",
    "an escape of one byte": "a\x9b31mb",
    "long": "x" * 3_000_000,
    "empty": "",
}
UNREADABLE = ["half of a pair", "no UTF-8"]
TOO_LARGE = {"thousands of digits": 10**5_000, "beyond 64 bits": -(2**70)}

Make = Callable[[stayline.Coordinator, Any], object]


def _wrapper(**changes: Any) -> stayline.Wrapper:
    settings = {"url": "http://127.0.0.1:1", "session_id": "s", "execution_id": "e"}
    return stayline.Wrapper(**(settings | changes), retry_first=True)


def _sans(do: Callable[[sansio.Wrapper], object]) -> object:
    wrapper = sansio.Wrapper(seed=1)
    wrapper.open("e", 0)
    return do(wrapper)


def _link(coordinator: stayline.Coordinator, execution: str) -> stayline.Link:
    session = coordinator.session("s")
    if session.active is None:
        session.start(execution)
    return session.attach(execution, trusted=True)


async def _aio(value: str) -> None:
    async with aio.Coordinator("memory:") as owner:
        await owner.session(value).start(value)


async def _aio_wrapper(value: str) -> None:
    async with aio.Wrapper(
        "http://127.0.0.1:1", session_id="s", execution_id="e", token=value, retry_first=True
    ) as wrapper:
        await wrapper.close()


#: Every way in for a name, a type, a token, an address.
NAMES: dict[str, Make] = {
    "Coordinator": lambda _, value: stayline.Coordinator(value),
    "Coordinator's path": lambda _, value: stayline.Coordinator(f"sqlite:/nowhere/{value}"),
    "session": lambda owner, value: owner.session(value),
    "issue_ticket": lambda owner, value: owner.issue_ticket(value),
    "verify_ticket": lambda owner, value: owner.verify_ticket("s", value),
    "serve's address": lambda owner, value: owner.serve(value).close(),
    "serve's key": lambda owner, value: owner.serve(key=value).close(),
    "serve's origins": lambda owner, value: owner.serve(allowed_origins=[value]).close(),
    "serve's path": lambda owner, value: owner.serve(base_path=value).close(),
    "serve's certificate": lambda owner, value: owner.serve(
        tls_certificate=value, tls_key=value
    ).close(),
    "start": lambda owner, value: owner.session("t").start(value),
    "start's mode": lambda owner, value: owner.session("t").start(mode=value),
    "start's token": lambda owner, value: owner.session("t").start(token=value),
    "attach": lambda owner, value: owner.session("s").attach(value),
    "attach's token": lambda owner, value: owner.session("s").attach("e", token=value),
    "attach's producer": lambda owner, value: owner.session("s").attach(
        "e", trusted=True, acknowledged=True, producer=value, attempt=1
    ),
    "fail": lambda owner, value: owner.session("s").fail(value, "m"),
    "fail's type": lambda owner, value: owner.session("s").fail("e", "m", event_type=value),
    "finish": lambda owner, value: owner.session("s").finish(value),
    "finish's status": lambda owner, value: owner.session("s").finish("e", value),
    "interrupt": lambda owner, value: owner.session("s").interrupt(value),
    "clear_interrupt": lambda owner, value: owner.session("s").clear_interrupt(value),
    "heartbeat": lambda owner, value: owner.session("s").heartbeat(value),
    "lease": lambda owner, value: owner.session("s").lease("e", value),
    "lease's message": lambda owner, value: owner.session("s").lease("e", "l", message_id=value),
    "extend_lease": lambda owner, value: owner.session("s").extend_lease("e", value),
    "release_lease": lambda owner, value: owner.session("s").release_lease(value, "l"),
    "execution": lambda owner, value: owner.session("s").execution(value),
    "executions": lambda owner, value: owner.session("s").executions(status=value),
    "health": lambda owner, value: owner.session("s").health(value),
    "events": lambda owner, value: list(owner.session("s").events(types=["x", value])),
    "count_events": lambda owner, value: owner.session("s").count_events(executions=[value]),
    "stream": lambda owner, value: owner.session("s").stream(until=value).close(),
    "stream's epoch": lambda owner, value: owner.session("s").stream(epoch=value).close(),
    "timeline": lambda owner, value: owner.session("s").timeline(executions=[value]),
    "Wrapper": lambda _, value: _wrapper(url=value).close(),
    "Wrapper's session": lambda _, value: _wrapper(session_id=value).close(),
    "Wrapper's execution": lambda _, value: _wrapper(execution_id=value).close(),
    "Wrapper's token": lambda _, value: _wrapper(token=value).close(),
    "send": lambda _, value: _wrapper().try_send(value, {}),
    "send's raw_data": lambda _, value: _wrapper().try_send("output", raw_data=value),
    "complete's branch": lambda _, value: _wrapper().complete(branch=value, timeout=0),
    "start_job": lambda _, value: _wrapper().start_job(agent_session=value),
    "start_job's tasks": lambda _, value: _wrapper().start_job(tasks=[value]),
    "agent_event": lambda _, value: _wrapper().agent_event(value, {}),
    "task_done": lambda _, value: _wrapper().task_done(value),
    "sansio.open": lambda _, value: sansio.Wrapper(seed=1).open(value, 0),
    "sansio.send": lambda _, value: _sans(lambda w: w.send(value, now_ms=0)),
    "sansio.send's raw_data": lambda _, value: _sans(
        lambda w: w.send("output", raw_data=value, now_ms=0)
    ),
    "sansio.handle_frame": lambda _, value: _sans(lambda w: w.handle_frame(1, value, 0)),
    "sansio.handle_refused": lambda _, value: _sans(
        lambda w: w.handle_refused(
            1, 0, http_status=409, refusal="not_active", execution_status=value
        )
    ),
    "a setting's name": lambda _, value: stayline.Settings(**{value: 1}),
    "a setting": lambda _, value: stayline.Settings(overflow=value),
    "a setting's list": lambda _, value: stayline.Settings(volatile_types=[value]),
    "receive": lambda owner, value: _link(owner, "e").receive(value),
    "receive_many": lambda owner, value: _link(owner, "e").receive_many(["{}", value]),
    "Send": lambda _, value: stayline.Send(value),
    "aio": lambda _, value: asyncio.run(_aio(value)),
    "aio.Wrapper": lambda _, value: asyncio.run(_aio_wrapper(value)),
}


def _refusal(way: Make, owner: stayline.Coordinator, value: Any) -> stayline.Error | None:
    """The error, if it is one of ours; any other is raised."""
    try:
        way(owner, value)
    except stayline.Error as error:
        return error
    return None


@pytest.fixture
def owner() -> Any:
    with stayline.Coordinator("memory:") as owner:
        owner.session("s").start("e")
        yield owner


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("way", NAMES)
def test_a_text_is_kept_or_refused_by_an_error_of_ours(
    owner: stayline.Coordinator, way: str, kind: str
) -> None:
    error = _refusal(NAMES[way], owner, TEXTS[kind])
    if error is None:
        assert kind not in UNREADABLE
        return
    text = str(error)
    assert len(text) < 2_000
    assert text.isprintable()
    if kind in UNREADABLE and way != "serve's certificate":
        assert isinstance(error, stayline.InvalidArgument)
        assert "half of a surrogate pair" in text
        # What may be a secret is never shown.
        secret = any(word in way for word in ("token", "key", "verify", "aio.Wrapper"))
        assert (ascii(TEXTS[kind])[1:-1] in text) != secret


NUMBERS: dict[str, Make] = {
    "sessions": lambda owner, value: owner.sessions(limit=value),
    "executions": lambda owner, value: owner.session("s").executions(limit=value),
    "events": lambda owner, value: owner.session("s").events(after=value),
    "events' limit": lambda owner, value: owner.session("s").events(limit=value),
    "events' time": lambda owner, value: owner.session("s").events(since=value),
    "stream": lambda owner, value: owner.session("s").stream(after=value),
    "stream's timeout": lambda owner, value: owner.session("s").stream(timeout=value),
    "timeline": lambda owner, value: owner.session("s").timeline(limit=value),
    "attach": lambda owner, value: owner.session("s").attach("e", trusted=True, attempt=value),
    "finish": lambda owner, value: owner.session("s").finish("e", completed_at=value),
    "interrupt": lambda owner, value: owner.session("s").interrupt(grace=value),
    "ticket": lambda owner, value: owner.issue_ticket("s", ttl=value),
    "closed": lambda owner, value: _link(owner, "e").closed(value),
    "complete": lambda _, value: _wrapper().complete(value, timeout=0),
    "complete's timeout": lambda _, value: _wrapper().complete(timeout=value),
    "send's time": lambda _, value: _wrapper().send("output", timestamp=value),
    "sansio.complete": lambda _, value: _sans(lambda w: w.complete(value, now_ms=0)),
    "sansio's time": lambda _, value: _sans(lambda w: w.handle_timeout(value)),
    "sansio's attempt": lambda _, value: _sans(lambda w: w.handle_frame(value, "{}", 0)),
    "sansio's code": lambda _, value: _sans(lambda w: w.handle_closed(1, value, "", 0)),
    "a setting": lambda _, value: stayline.Settings(max_nesting=value),
    "a clock": lambda _, value: stayline.ManualClock(value),
    "a clock's advance": lambda _, value: stayline.ManualClock().advance(value),
    "a clock's jump": lambda _, value: stayline.ManualClock().suspend(value),
    "sessions' data": lambda owner, value: owner.session("s").fail("e", "m", payload={"n": value}),
    "send's data": lambda _, value: _wrapper().send("output", {"n": [value]}),
    "agent_event": lambda _, value: _wrapper().agent_event("output", {"n": value}),
}
KEEPS_64_BITS_AND_MORE = {"sessions' data", "send's data", "agent_event"}


@pytest.mark.parametrize("kind", TOO_LARGE)
@pytest.mark.parametrize("way", NUMBERS)
def test_a_number_that_is_too_large_is_an_error_of_ours(
    owner: stayline.Coordinator, way: str, kind: str
) -> None:
    error = _refusal(NUMBERS[way], owner, TOO_LARGE[kind])
    if error is None:
        assert way in KEEPS_64_BITS_AND_MORE
        assert kind == "beyond 64 bits"
    else:
        assert len(str(error)) < 2_000


@pytest.mark.parametrize(
    "value",
    [2**70, -(2**63) - 1, 10**4_000, "a\ud83d", {"k\ud800": ["\udc00"]}, [0.1, 1e-300]],
    ids=lambda value: repr(value)[:20].encode("ascii", "backslashreplace").decode(),
)
def test_what_json_can_say_is_kept_as_it_is(owner: stayline.Coordinator, value: Any) -> None:
    """Whether the coordinator's host says it, or the agent."""
    session = owner.session("s")
    assert session.fail("e", "over", payload={"v": value, "error": "another"})
    (failed,) = session.events(types=["error"])
    assert failed.data == {"v": value, "error": "over", "fatal": True}
    execution = session.start("f")
    with owner.serve() as server:
        with stayline.Wrapper(
            server.url, session_id="s", execution_id="f", token=execution.token
        ) as wrapper:
            wrapper.agent_event("message.updated", {"v": value})
            wrapper.agent_event("message.updated", [value])
    told = [event.data["properties"] for event in session.events(types=["kilocode"])]
    assert told == [{"v": value}, [value]]


@pytest.mark.parametrize("kind", ["nan", "inf", "-inf", "digits"])
def test_what_json_cannot_say_is_an_invalid_event(kind: str) -> None:
    value = 10**5_000 if kind == "digits" else float(kind)
    for data in (value, {"n": value}, [[value]]):
        with pytest.raises(stayline.InvalidEvent):
            _wrapper().send("output", data)
        with pytest.raises(stayline.InvalidEvent):
            stayline.Command(data)


def test_data_with_half_of_a_pair_is_kept_as_it_is(owner: stayline.Coordinator) -> None:
    data = {
        os.fsdecode(b"\xff\xfe"): ["\ud83d", {"path": os.fsdecode(b"/tmp/\xe9")}],
        "é": "\U0001f600",
    }
    with owner.serve() as server:
        token = owner.session("t").start("f").token
        with stayline.Wrapper(server.url, session_id="t", execution_id="f", token=token) as wrapper:
            wrapper.send("output", data)
            wrapper.send("output", {"text": "fine"})
    events = list(owner.session("t").events(types=["output"]))
    assert [event.data for event in events] == [data, {"text": "fine"}]
    for event in events:
        assert json.loads(event.frame)["data"] == event.data
        repr(event).encode()
        event.raw_data.encode()


@pytest.mark.parametrize("kind", TEXTS)
def test_whatever_an_error_says_the_run_is_failed(kind: str) -> None:
    """What cannot be said in UTF-8 is written out; what is too long is the core's to bound."""
    text = TEXTS[kind]
    written = text.encode("utf-8", "backslashreplace").decode()
    with stayline.Coordinator("memory:") as owner:
        session = owner.session("s")
        execution = session.start()
        assert session.fail(execution.id, text)
        assert session.execution(execution.id).status == "failed"
        if len(text) < 100:
            assert session.execution(execution.id).error == written

        with pytest.raises(OSError, match="no such"), session.launch("e"):
            raise OSError(f"no such {text}")
        assert session.execution("e").status == "failed"
        if len(text) < 100:
            assert session.execution("e").error == f"no such {written}"

        finished = session.start()
        session.attach(finished.id, trusted=True)
        session.finish(finished.id, "interrupted", message=text)
        assert session.execution(finished.id).status == "interrupted"

    for end in (stayline.Wrapper.fail, stayline.Wrapper.interrupted):
        with closing(_wrapper()) as wrapper, pytest.raises(stayline.Timeout):
            end(wrapper, text[:1000], timeout=0)
    _sans(lambda w: w.fail(text[:1000], now_ms=0))
    _sans(lambda w: w.handle_closed(1, 1006, text[:1000], 0))


def test_an_integer_that_python_will_not_read_hides_nothing(owner: stayline.Coordinator) -> None:
    digits = "9" * 5_000
    data = f'{{"n":{digits},"m":-{digits},"small":7,"far":1e999,"list":[{digits}]}}'
    link = _link(owner, "e")
    for raw in (data, '{"text":"fine"}'):
        link.receive(f'{{"streamEventType":"output","data":{raw}}}')
    session = owner.session("s")
    first, second = eventually(
        lambda: (found := list(session.events(types=["output"])))[1:] and found
    )
    assert second.data == {"text": "fine"}
    assert first.raw_data == data
    assert first.data == {
        "n": Decimal(digits),
        "m": Decimal(f"-{digits}"),
        "small": 7,
        "far": float("inf"),
        "list": [Decimal(digits)],
    }
    assert type(first.data["small"]) is int
    assert str(first.data["n"]) == digits
    repr(first)
    # The picture of the session is drawn all the same.
    link.receive(frame("error", {"fatal": False, "error": "oh"}))
    link.receive(f'{{"streamEventType":"error","data":{{"error":"far","n":{digits}}}}}')
    link.receive(
        f'{{"streamEventType":"wrapper_reconnected","data":{{"disconnectedMs":{digits}}}}}'
    )
    eventually(lambda: len(list(session.events())) >= 5)
    timeline = session.timeline()
    assert "error: far" in timeline.text()
    timeline.html()


@pytest.mark.skipif(not hasattr(sys, "get_int_max_str_digits"), reason="it has no limit")
def test_the_hosts_own_limit_of_digits_is_the_one_that_counts(owner: stayline.Coordinator) -> None:
    digits = "8" * 5_000
    _link(owner, "e").receive(f'{{"streamEventType":"output","data":{{"n":{digits}}}}}')
    session = owner.session("s")
    (event,) = eventually(lambda: list(session.events(types=["output"])))
    before = sys.get_int_max_str_digits()
    try:
        sys.set_int_max_str_digits(0)
        assert event.data == {"n": int(digits)}
    finally:
        sys.set_int_max_str_digits(before)


def test_a_repr_never_steers_the_terminal(owner: stayline.Coordinator) -> None:
    link = _link(owner, "e")
    link.receive('{"streamEventType":"a\\u001b[31m\\u009b","data":{"text":"\x9b31m\x7f\x85"}}')
    session = owner.session("s")
    (event,) = eventually(lambda: list(session.events(types=["a\x1b[31m\x9b"])))
    assert event.data == {"text": "\x9b31m\x7f\x85"}
    assert repr(event).isprintable()


def test_a_file_that_is_no_utf_8_is_named(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/r\xff.db"
    with pytest.raises(stayline.InvalidArgument, match=r"r\\udcff\.db"):
        stayline.Coordinator(f"sqlite:{os.fsdecode(odd)}")
    assert list(tmp_path.iterdir()) == []
