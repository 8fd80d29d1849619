"""Reading a session's log: the past, then live."""

from __future__ import annotations

import itertools
import json
import select
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
import stayline
from conftest import PATIENCE, eventually, frame


@pytest.fixture
def link(session: stayline.Session) -> Iterator[stayline.Link]:
    session.start("e")
    with session.attach("e", trusted=True) as link:
        yield link


def stored(events: Iterator[stayline.Event]) -> list[int]:
    return [event.id for event in events if event.id]


def test_events_are_lazy_and_read_in_rounds(session: stayline.Session, link: stayline.Link) -> None:
    text = "x" * 10_000
    link.receive_many([frame("output", {"n": n, "text": text}) for n in range(300)])
    assert eventually(lambda: session.count_events() == 300)
    events = session.events()
    assert next(events).data == {"n": 0, "text": text}
    assert [event.id for event in events] == list(range(2, 301))
    assert session.count_events() == 300


def test_filters(session: stayline.Session, link: stayline.Link) -> None:
    base = datetime(2026, 3, 7, 12, tzinfo=timezone.utc)
    for n in range(10):
        link.receive(
            frame(
                "output" if n % 2 else "status",
                {"n": n},
                timestamp=(base + timedelta(seconds=n)).isoformat(),
            )
        )
    assert eventually(lambda: session.count_events() == 10)
    assert [event.data["n"] for event in session.events(types=["output"])] == [1, 3, 5, 7, 9]
    assert [event.id for event in session.events(after=8)] == [9, 10]
    assert [event.id for event in session.events(limit=3)] == [1, 2, 3]
    until = base + timedelta(seconds=4)
    assert [event.data["n"] for event in session.events(since=base, until=until)] == [0, 1, 2, 3, 4]
    since = int((base + timedelta(seconds=8)).timestamp() * 1000)
    (eighth, _) = session.events(since=since)
    assert eighth.timestamp_ms == since
    assert eighth.timestamp == base + timedelta(seconds=8)
    assert list(session.events(executions=["other"])) == []
    assert session.count_events(types=["status"]) == 5
    with pytest.raises(stayline.InvalidArgument, match="time zone"):
        session.events(since=datetime(2026, 1, 1))
    with pytest.raises(TypeError):
        session.events(types="output")


def test_an_event_gives_its_fields(session: stayline.Session, link: stayline.Link) -> None:
    link.receive('{"streamEventType":"output","data": {"a" : 1.50},"timestamp":1700000000000}')
    (event,) = eventually(lambda: list(session.events()))
    assert event.data is event.data
    assert event.raw_data == '{"a" : 1.50}'
    assert (event.session_id, event.execution_id) == ("user_1:agent_1", "e")
    assert (event.late, event.control) == (False, False)
    assert json.loads(event.frame) == {
        "eventId": 1,
        "executionId": "e",
        "sessionId": "user_1:agent_1",
        "streamEventType": "output",
        "timestamp": "2023-11-14T22:13:20.000Z",
        "data": {"a": 1.5},
    }
    (streamed,) = itertools.islice(session.stream(timeout=0), 1)
    assert json.loads(streamed.frame) == json.loads(event.frame)
    with pytest.raises(AttributeError):
        event.id = 7  # type: ignore[misc]


def test_replay_then_live_across_the_seam(session: stayline.Session, link: stayline.Link) -> None:
    link.receive_many([frame("output", {"n": n}) for n in range(500)])
    seen: list[int] = []
    started = threading.Event()

    def read() -> None:
        for event in session.stream(until="e", timeout=PATIENCE):
            if event.id:
                seen.append(event.id)
            started.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert started.wait(PATIENCE)
    for n in range(500, 1000):
        link.receive(frame("output", {"n": n}))
    link.receive(frame("complete", {"exitCode": 0}))
    reader.join(PATIENCE)
    assert not reader.is_alive()
    assert seen == list(range(1, 1002))


def test_until_ends_with_the_run_and_not_later(
    session: stayline.Session, link: stayline.Link
) -> None:
    link.receive(frame("complete", {"exitCode": 0}))
    session.execution("e").wait(PATIENCE)
    session.start("f")
    session.fail("f", "x")
    stream = session.stream(until="e", timeout=PATIENCE)
    assert [event.id for event in stream if event.execution_id == "e"] == [1]
    assert stream.ended
    assert list(stream) == []


def test_a_timeout_ends_quietly_and_the_stream_goes_on(
    session: stayline.Session, link: stayline.Link
) -> None:
    link.receive(frame("output"))
    stream = session.stream(timeout=0.01)
    assert eventually(lambda: stored(stream)) == [1]
    assert stored(stream) == []
    assert (stream.last_id, stream.ended) == (1, False)
    link.receive(frame("output"))
    assert eventually(lambda: stored(stream)) == [2]
    resumed = session.stream(after=stream.last_id, epoch=stream.epoch, timeout=0)
    link.receive(frame("output"))
    assert eventually(lambda: stored(resumed)) == [3]


def test_another_epoch_is_a_gap(session: stayline.Session, link: stayline.Link) -> None:
    link.receive_many([frame("output")] * 3)
    assert eventually(lambda: session.count_events() == 3)
    events = list(session.stream(after=2, epoch="another", timeout=0))
    assert events[0].type == "gap"
    assert events[0].control
    assert events[0].execution_id is None
    assert events[0].data["requested"] == 2
    assert stored(iter(events)) == [1, 2, 3]


def test_volatile_events_are_live_only(session: stayline.Session, link: stayline.Link) -> None:
    stream = session.stream(live_only=True, timeout=0)
    list(stream)
    link.receive(frame("heartbeat", {"executionId": "e"}))
    (beat,) = eventually(lambda: list(stream))
    assert (beat.id, beat.type, beat.control) == (0, "heartbeat", False)
    assert stream.last_id == 0
    assert session.count_events() == 0


def test_closing_ends_a_waiting_reader(session: stayline.Session, link: stayline.Link) -> None:
    with session.stream(live_only=True) as stream:
        list(itertools.islice(stream, 1))
        reader = threading.Thread(target=lambda: list(stream))
        reader.start()
        stream.close()
        reader.join(PATIENCE)
        assert not reader.is_alive()
    assert stream.ended


def test_the_descriptor_of_a_stream(session: stayline.Session, link: stayline.Link) -> None:
    stream = session.stream(until="e")
    while stream.try_next() is not None:
        pass
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    while stream.try_next() is not None:
        pass
    assert poll.poll(0) == []
    link.receive(frame("output"))
    assert poll.poll(PATIENCE * 1000)
    event = stream.try_next()
    assert event is not None
    assert event.id == 1
    assert stream.try_next() is None
    assert poll.poll(0) == []
    link.receive(frame("complete", {"exitCode": 0}))
    assert poll.poll(PATIENCE * 1000)
    last = stream.try_next()
    assert last is not None
    assert last.type == "complete"
    assert stream.try_next() is None
    assert stream.ended
    assert poll.poll(0)


def test_the_descriptor_of_an_execution(session: stayline.Session, link: stayline.Link) -> None:
    execution = session.execution("e")
    poll = select.poll()
    poll.register(execution, select.POLLIN)
    assert execution.poll() is False
    link.receive(frame("complete", {"exitCode": 0}))
    assert poll.poll(PATIENCE * 1000)
    assert execution.poll() is True


def test_waiting_times_out(session: stayline.Session, link: stayline.Link) -> None:
    with pytest.raises(TimeoutError) as over:
        session.execution("e").wait(0.01)
    assert isinstance(over.value, stayline.Timeout)
    for wrong in (-1, float("nan")):
        with pytest.raises(stayline.InvalidArgument):
            session.execution("e").wait(wrong)
