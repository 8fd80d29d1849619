"""Hosts with their own sockets: frames in, outputs out."""

from __future__ import annotations

import json
import select
import threading

import pytest
import stayline
from conftest import PATIENCE, eventually, frame


@pytest.fixture
def execution(session: stayline.Session) -> stayline.Execution:
    return session.start("e")


def test_an_acknowledged_link_welcomes_and_acknowledges(
    session: stayline.Session, execution: stayline.Execution
) -> None:
    link = session.attach("e", token=execution.token, acknowledged=True, producer="p", attempt=1)
    assert link.acknowledged
    assert link.execution_id == "e"
    outgoing = link.outgoing(timeout=PATIENCE)
    welcome = json.loads(next(outgoing).text)
    assert (welcome["type"], welcome["lastSeq"], welcome["producer"]) == ("welcome", 0, "p")
    link.receive_many([frame("output", seq=1), frame("output", seq=2)])
    assert json.loads(next(outgoing).text) == {"type": "ack", "seq": 2}
    link.receive(frame("complete", {"exitCode": 0}, seq=3))
    rest = list(outgoing)
    assert rest[-1] == stayline.Close(4000, "execution done")
    assert [json.loads(out.text)["type"] for out in rest[:-1]] == ["ack", "ended"]
    assert link.close_state == stayline.Close(4000, "execution done")
    # The iteration is over, also for another iterator.
    assert list(link.outgoing(timeout=0)) == []
    assert link.try_output() is None
    assert link.finished
    assert execution.exit_code == 0


def test_attaching_checks_in_order(
    session: stayline.Session, execution: stayline.Execution
) -> None:
    with pytest.raises(stayline.NotFound):
        session.attach("unknown", token=execution.token)
    with pytest.raises(stayline.Unauthorized):
        session.attach("e", token="wrong")
    with pytest.raises(stayline.Unauthorized):
        session.attach("e")
    with pytest.raises(stayline.InvalidArgument):
        session.attach("e", trusted=True, acknowledged=True)
    session.fail("e", "x")
    with pytest.raises(stayline.ExecutionNotActive) as ended:
        session.attach("e", trusted=True)
    assert ended.value.status == "failed"


def test_bad_frames_are_answered_and_the_run_goes_on(
    session: stayline.Session, execution: stayline.Execution
) -> None:
    link = session.attach("e", trusted=True)
    for bad in ("no json", "[]", "{}", b"\x00\x01", '{"streamEventType":""}'):
        link.receive(bad)
        error = next(link.outgoing(timeout=PATIENCE))
        assert isinstance(error, stayline.Send)
        assert json.loads(error.text)["code"] == "WS_PROTOCOL_ERROR"
    assert link.try_output() is None
    with pytest.raises(TypeError):
        link.receive(7)  # type: ignore[arg-type]
    assert execution.status == "running"


def test_a_newer_link_replaces_the_older(
    session: stayline.Session, execution: stayline.Execution
) -> None:
    first = session.attach("e", trusted=True)
    session.attach("e", trusted=True)
    assert list(first.outgoing(timeout=PATIENCE)) == [
        stayline.Close(4001, "replaced by a newer link")
    ]
    first.receive(frame("output"))
    assert session.count_events() == 0


def test_a_closed_link_starts_the_grace(session: stayline.Session) -> None:
    execution = session.start("f")
    link = session.attach("f", trusted=True)
    link.closed(1006, "gone")
    link.closed()
    assert link.finished
    assert list(link.outgoing()) == []
    assert eventually(lambda: execution.grace)
    assert session.info().grace
    assert session.info().link_attached is False
    with session.attach("f", trusted=True):
        assert not execution.grace
    assert eventually(lambda: execution.grace)
    assert execution.reconnects == 1


def test_a_dropped_link_counts_as_closed(session: stayline.Session) -> None:
    execution = session.start("f")
    link = session.attach("f", trusted=True)
    assert not execution.grace
    del link
    assert eventually(lambda: execution.grace)


def test_outgoing_ends_quietly_when_nothing_comes(
    session: stayline.Session, execution: stayline.Execution
) -> None:
    link = session.attach("e", trusted=True)
    outgoing = link.outgoing(timeout=0.01)
    assert list(outgoing) == []
    session.interrupt()
    # The same iterator goes on.
    assert len(list(outgoing)) == 1


def test_waiting_threads_do_not_take_each_others_wake_ups(
    session: stayline.Session, execution: stayline.Execution
) -> None:
    link = session.attach("e", trusted=True)
    taken: list[object] = []

    def drain() -> None:
        taken.extend(link.outgoing(timeout=PATIENCE))

    threads = [threading.Thread(target=drain) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        link.receive("bad")
    session.fail("e", "over")
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert len(taken) == 51


def test_the_descriptor_is_readable_until_a_take_says_empty(
    session: stayline.Session, execution: stayline.Execution
) -> None:
    link = session.attach("e", trusted=True)

    def readable() -> bool:
        return bool(select.select([link], [], [], 0)[0])

    assert link.fileno() == link.fileno()
    assert link.try_output() is None
    assert not readable()
    link.receive_many(["bad", "bad"])
    assert eventually(readable)
    assert link.try_output() is not None
    assert readable()
    assert link.try_output() is not None
    assert link.try_output() is None
    assert not readable()
    session.fail("e", "over")
    assert isinstance(link.try_output(), stayline.Close)
    for _ in range(3):
        assert link.try_output() is None
        assert link.finished
        assert readable()
