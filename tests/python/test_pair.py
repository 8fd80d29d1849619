"""A wrapper and a coordinator joined by a network that can be made to fail."""

from __future__ import annotations

import pytest
import stayline
from conftest import eventually
from stayline.testing import WrapperPair


@pytest.fixture
def coordinator(location: str, clock: stayline.ManualClock) -> stayline.Coordinator:
    return stayline.Coordinator(location, clock=clock)


@pytest.fixture
def pair(coordinator: stayline.Coordinator, clock: stayline.ManualClock) -> WrapperPair:
    return WrapperPair(coordinator, clock)


def outputs(pair: WrapperPair) -> list[object]:
    return [event.data["n"] for event in pair.events if event.type == "output"]


def test_it_is_connected_and_carries_events_in_order(pair: WrapperPair) -> None:
    assert pair.execution.status == "running"
    assert pair.wrapper.state == "connected"
    for n in range(5):
        pair.send("output", {"n": n})
    assert outputs(pair) == []
    pair.advance(0)
    assert outputs(pair) == [0, 1, 2, 3, 4]
    assert pair.wrapper.unacknowledged == 0


def test_what_was_not_lost_in_a_cut_is_stored_once(pair: WrapperPair) -> None:
    for n in range(4):
        pair.send("output", {"n": n})
    pair.cut(lose=2)
    pair.advance(0)
    assert outputs(pair) == [0, 1]
    pair.advance(1)
    assert outputs(pair) == [0, 1, 2, 3]
    assert pair.execution.reconnects == 1


def test_a_run_through_many_cuts_loses_nothing(pair: WrapperPair) -> None:
    for n in range(40):
        pair.send("output", {"n": n})
        if n % 3 == 0:
            pair.cut(lose=n % 2)
        if n % 4 == 0:
            pair.advance(1.5)
    pair.complete(branch="main")
    pair.advance(20)
    assert outputs(pair) == list(range(40))
    assert (pair.execution.status, pair.session.info().branch) == ("completed", "main")
    assert pair.signals[-2:] == [stayline.Ended("completed", None, 0), stayline.Drained()]


def test_a_crash_loses_memory_and_the_next_process_is_another_producer(pair: WrapperPair) -> None:
    pair.send("output", {"n": 1})
    pair.crash()
    with pytest.raises(RuntimeError, match="no process"):
        pair.send("output", {"n": 2})
    pair.advance(0)
    assert outputs(pair) == [1]
    assert pair.execution.grace
    pair.open()
    with pytest.raises(RuntimeError, match="already"):
        pair.open()
    pair.advance(0)
    pair.send("output", {"n": 3})
    pair.advance(0)
    assert outputs(pair) == [1, 3]
    assert not pair.execution.grace


def test_refusals_are_final_only_with_our_header(pair: WrapperPair) -> None:
    pair.refuse(2)
    pair.cut()
    pair.advance(1 + 2 + 4)
    assert pair.wrapper.state == "connected"
    pair.refuse(refusal="not_active", status=409, execution_status="failed")
    pair.cut()
    pair.advance(8)
    assert pair.wrapper.state == "closed"
    assert any(isinstance(signal, stayline.Ended) for signal in pair.signals)


def test_a_first_connection_that_is_refused_is_told(
    coordinator: stayline.Coordinator, clock: stayline.ManualClock
) -> None:
    pair = WrapperPair(coordinator, clock, connect=False)
    assert pair.execution.status == "pending"
    pair.refuse(times=100)
    pair.open()
    pair.advance(30)
    assert any(isinstance(signal, stayline.Disconnected) for signal in pair.signals)
    pair.advance(271)
    assert pair.execution.error == "Execution timeout - wrapper never connected"


def test_a_coordinator_that_ends_the_run_stops_the_wrapper(pair: WrapperPair) -> None:
    pair.session.fail(pair.execution_id, "the host gave up")
    pair.advance(0)
    kinds = [type(signal) for signal in pair.signals]
    assert stayline.Ended in kinds
    assert stayline.Kill in kinds


def test_time_is_one_for_both_ends(pair: WrapperPair, clock: stayline.ManualClock) -> None:
    before = clock.now_ms
    pair.advance(90 * 60)
    assert clock.now_ms == before + 90 * 60 * 1000
    # The wrapper's heartbeats kept the run alive all the while.
    assert pair.execution.status == "running"
    assert pair.execution.health == "healthy"
    pair.black_hole()
    pair.advance(92)
    assert eventually(lambda: pair.execution.status == "failed")


def test_a_run_ends_with_an_exit_code(
    coordinator: stayline.Coordinator, clock: stayline.ManualClock
) -> None:
    failing = WrapperPair(coordinator, clock)
    failing.fail("exit code 3", exit_code=3)
    failing.advance(0)
    assert (failing.execution.status, failing.execution.exit_code) == ("failed", 3)
    stopped = WrapperPair(coordinator, clock, session_id="other", execution_id="other")
    stopped.interrupted("Ctrl-C", exit_code=130)
    stopped.advance(0)
    assert (stopped.execution.status, stopped.execution.exit_code) == ("interrupted", 130)
