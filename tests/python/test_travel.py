"""Values go where values go: copied, pickled, sent to another process."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stayline
from stayline import sansio

SETTINGS = stayline.Settings(
    jitter=0,
    disconnect_grace_ms=12_000,
    kill_grace_ms=None,
    volatile_types=["beat"],
    outbox="some/where",
)
VALUES = [
    SETTINGS,
    stayline.Settings(),
    stayline.Send("text"),
    stayline.Close(4000, "execution done"),
    stayline.Kill("SIGTERM"),
    stayline.Reconnecting(2),
    stayline.Reconnected(),
    stayline.Ended("failed", "why", 3),
    stayline.Ended(None, None, 0),
    stayline.Replaced(),
    stayline.RunTask("push"),
    stayline.RestartFeed(),
    stayline.Drained(),
    stayline.Command({"type": "new", "n": [1, 2.5, None, "ä"]}),
    sansio.Connect(1, "e", 1, "p", 5_000, 10_000),
    sansio.Write(1, "text"),
    sansio.CloseAttempt(1, 1_000, "over"),
]

WAYS: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy] + [
    lambda value, protocol=protocol: pickle.loads(pickle.dumps(value, protocol))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_along_whole(value: Any) -> None:
    for way in WAYS:
        moved = way(value)
        assert moved == value
        assert type(moved) is type(value)
        assert repr(moved) == repr(value)


def test_no_value_was_forgotten() -> None:
    def is_value(kind: object) -> bool:
        return isinstance(kind, type) and hasattr(kind, "__match_args__")

    errors = stayline.Error
    kinds = {
        kind
        for module in (stayline, sansio)
        for kind in vars(module).values()
        if is_value(kind) and not (isinstance(kind, type) and issubclass(kind, errors))
    }
    assert kinds <= {type(value) for value in VALUES} | {stayline.Notification}, kinds


def test_a_copy_of_settings_keeps_what_is_a_default_today() -> None:
    _, (_, _, named) = SETTINGS.__reduce__()  # type: ignore[misc]
    assert named == SETTINGS.as_dict()


def test_events_are_values() -> None:
    settings = stayline.Settings(volatile_types=["beat"])
    with stayline.Coordinator("memory:", settings=settings) as coordinator:
        session = coordinator.session("s ä")
        execution = session.start("e")
        link = session.attach(execution_id=execution.id, token=execution.token)
        stream = session.stream(timeout=0.2)
        assert next(stream).control
        for kind, n in [("output", 1), ("beat", 2), ("output", 1)]:
            link.receive(
                f'{{"type": "ingest", "streamEventType": "{kind}", "data": {{"n": {n}.0}}}}'
            )
        session.interrupt()
        streamed = list(stream)
        stored = list(session.events())
    events = [*streamed, *stored]
    assert len(events) >= 5
    for event in events:
        for way in WAYS:
            moved = way(event)
            assert moved == event
            assert hash(moved) == hash(event)
            fields = "id execution_id session_id type timestamp late control data raw_data frame"
            for name in fields.split():
                assert getattr(moved, name) == getattr(event, name), name
            assert repr(moved) == repr(event)
    assert len(set(events)) == len({(event.id, event.type) for event in events})
    assert stored[0] != stored[1]
    assert stored[0] != "stored"


def errors() -> list[stayline.Error]:
    raised: list[stayline.Error] = []
    with stayline.Coordinator("memory:") as coordinator:
        session = coordinator.session("s")
        session.start("e")
        lease = session.lease("e", "one")
        calls: list[Callable[[], object]] = [
            lambda: coordinator.session(""),
            lambda: session.start("other"),
            lambda: session.lease("e", "two"),
            lambda: stayline.Settings(stale_after_ms=1),
            lambda: session.execution("e").wait(timeout=0),
            lambda: session.execution("none"),
        ]
        for number, call in enumerate(calls):
            try:
                call()
            except stayline.Error as error:
                raised.append(error)
            assert len(raised) == number + 1, number
        lease.release()
    with pytest.raises(stayline.Closed) as closed:
        session.start("more")
    return [*raised, closed.value, stayline.Disconnected("by hand")]


def test_errors_come_along_with_their_fields() -> None:
    kinds = set()
    for error in errors():
        kinds.add(type(error))
        for way in WAYS:
            moved = way(error)
            assert type(moved) is type(error)
            assert (str(moved), moved.args) == (str(error), error.args)
            assert (moved.name, moved.number, moved.fields) == (
                error.name,
                error.number,
                error.fields,
            )
            for field in error.fields:
                assert getattr(moved, field) == getattr(error, field)
    assert len(kinds) >= 6, kinds


@pytest.mark.parametrize("make", ["Coordinator", "Session", "Execution"])
def test_what_belongs_to_this_process_says_that_it_does_not_travel(make: str) -> None:
    with stayline.Coordinator("memory:") as coordinator:
        session = coordinator.session("s")
        objects = {
            "Coordinator": coordinator,
            "Session": session,
            "Execution": session.start("e"),
        }
        for way in (copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match=make):
                way(objects[make])


SPAWNED = """
import multiprocessing, stayline

def grace(settings):
    with stayline.Coordinator("memory:", settings=settings) as coordinator:
        return coordinator.settings.disconnect_grace_ms

def refused():
    with stayline.Coordinator("memory:") as coordinator:
        session = coordinator.session("s")
        session.start("e")
        session.start("other")

if __name__ == "__main__":
    settings = stayline.Settings(disconnect_grace_ms=12_000)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.apply_async(grace, (settings,)).get(25))
        try:
            pool.apply_async(refused).get(25)
        except stayline.ExecutionInProgress as error:
            print(error.active)
"""


def test_a_spawned_worker_gets_settings_and_its_errors_come_back(tmp_path: Path) -> None:
    script = tmp_path / "spawned.py"
    script.write_text(SPAWNED)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "12000\ne\n"), done.stderr
