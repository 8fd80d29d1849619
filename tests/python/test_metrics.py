"""What the coordinator counts, as Prometheus reads it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import stayline
from conftest import eventually, frame
from stayline.testing import WrapperPair
from test_server import get

CAUSES = {
    "caller",
    "launch",
    "wrapper",
    "disconnected",
    "stale",
    "never_connected",
    "interrupt_not_honoured",
    "deleted",
}


def read(page: str) -> dict[str, float]:
    """The values of a page, by name and labels."""
    values = {}
    for line in page.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            assert re.fullmatch(r"stayline_[a-z_]+(\{[a-z]+=\"[^\"]*\"\})?", name), name
            assert name not in values
            values[name.removeprefix("stayline_")] = float(value)
    return values


def count(coordinator: stayline.Coordinator, name: str) -> float:
    return read(coordinator.metrics())[name]


def test_events_commits_and_subscribers(
    coordinator: stayline.Coordinator, session: stayline.Session
) -> None:
    session.start("e")
    subscription = session.stream()
    link = session.attach("e", trusted=True)
    link.receive_many([frame("output")] * 5 + [frame("heartbeat")])
    assert eventually(lambda: count(coordinator, 'events_total{kind="volatile"}') == 1)
    # Off the books only after that.
    assert eventually(lambda: count(coordinator, "link_bytes_under_way") == 0)
    values = read(coordinator.metrics())
    assert values['events_total{kind="stored"}'] == 5
    assert values["commit_events_sum"] == 5
    assert values["commit_events_count"] == values['commits_total{outcome="kept"}']
    assert values['commit_events_bucket{le="+Inf"}'] == values["commit_events_count"]
    assert values['executions{status="running"}'] == 1
    assert (values['links{mode="basic"}'], values['links{mode="acknowledged"}']) == (1, 0)
    lags = ("subscribers", "subscriber_lag_events", "subscriber_lag_events_max")
    assert [values[name] for name in lags] == [1, 5, 5]
    while subscription.try_next() is not None:
        pass
    values = read(coordinator.metrics())
    assert [values[name] for name in lags] == [1, 0, 0]
    subscription.close()
    link.closed()
    assert eventually(lambda: count(coordinator, "subscribers") == 0)
    assert count(coordinator, 'links{mode="basic"}') == 0


def test_commit_times_are_measured_where_there_is_a_disk(tmp_path: Path) -> None:
    with stayline.Coordinator(f"sqlite:{tmp_path / 'runs.db'}") as coordinator:
        coordinator.session("s").start("e")
        values = read(coordinator.metrics())
        assert values["commit_seconds_count"] == values['commits_total{outcome="kept"}'] >= 1
        assert 0 < values["commit_seconds_sum"] < 60
        coordinator.close()
        with pytest.raises(stayline.Closed):
            coordinator.metrics()
    with stayline.Coordinator("memory:") as coordinator:
        coordinator.session("s").start("e")
        assert count(coordinator, "commit_seconds_count") == 0


def test_failures_by_cause(clock: stayline.ManualClock) -> None:
    coordinator = stayline.Coordinator("memory:", clock=clock)

    def failed() -> dict[str, float]:
        values = read(coordinator.metrics())
        causes = {cause: values[f'failures_total{{cause="{cause}"}}'] for cause in CAUSES}
        assert sum(causes.values()) == values['executions_ended_total{status="failed"}']
        return {cause: count for cause, count in causes.items() if count}

    def pair(number: int) -> WrapperPair:
        return WrapperPair(coordinator, clock, session_id=f"s{number}")

    assert failed() == {}
    pair(1).session.fail("execution", "the host gave up")
    with pytest.raises(RuntimeError), coordinator.session("s2").launch():
        raise RuntimeError("no sandbox")
    away = pair(3)
    away.refuse(100)
    away.cut()
    away.advance(11)
    assert failed() == {"caller": 1, "launch": 1, "disconnected": 1}
    ended = pair(4)
    ended.fail("out of memory")
    ended.advance(0)
    deaf = coordinator.session("s5")
    deaf.start("e")
    link = deaf.attach("e", trusted=True)
    deaf.interrupt()
    clock.advance(41)
    link.closed()
    pair(6).session.delete()
    assert failed()["interrupt_not_honoured"] == failed()["wrapper"] == failed()["deleted"] == 1
    silent = pair(7)
    silent.black_hole()
    silent.advance(95)
    coordinator.session("s8").start()
    clock.advance(301)
    assert failed() == dict.fromkeys(CAUSES, 1)
    done = pair(9)
    done.cut()
    done.advance(1)
    done.complete()
    done.advance(0)
    assert count(coordinator, 'executions_ended_total{status="completed"}') == 1
    assert count(coordinator, "reconnects_total") == 1


def test_a_step_that_is_not_kept_is_not_counted(clock: stayline.ManualClock) -> None:
    coordinator = stayline.Coordinator("memory:", clock=clock, _faults=True)
    session = coordinator.session("s")
    session.start("e")
    coordinator._fail_next_commit("lost")
    with pytest.raises(stayline.StoreError):
        session.fail("e", "x")
    values = read(coordinator.metrics())
    assert values['commits_total{outcome="failed"}'] == 1
    assert values['executions_ended_total{status="failed"}'] == 0
    assert values['events_total{kind="stored"}'] == 0


def test_the_server_answers_at_metrics() -> None:
    coordinator = stayline.Coordinator("memory:")
    with coordinator.serve(key="secret") as server:
        assert get(f"{server.url}/metrics")[0] == 401
        status, body = get(f"{server.url}/metrics", "secret")
        assert status == 200
        assert read(body.decode()).keys() == read(coordinator.metrics()).keys()
    with coordinator.serve(base_path="/agents") as server:
        assert get(f"{server.url}/metrics")[0] == 200


def test_the_page_lists_every_name_and_cause() -> None:
    page = (Path(__file__).parents[2] / "docs" / "rest.md").read_text()
    listed = set(re.findall(r"^\| `(stayline_[a-z_]+)", page, flags=re.MULTILINE))
    text = stayline.Coordinator("memory:").metrics()
    assert listed == set(re.findall(r"^# TYPE (\S+)", text, flags=re.MULTILINE))
    causes = page[page.index("| cause |") :]
    assert set(re.findall(r"^\| `([a-z_]+)` \|", causes, flags=re.MULTILINE)) == CAUSES
    assert set(re.findall(r'cause="([a-z_]+)"', text)) == CAUSES
