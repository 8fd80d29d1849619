"""The coordinator's side as a host uses it: start, fail, finish, interrupt, lease, delete."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import stayline
from conftest import PATIENCE, frame


def test_a_run_goes_from_start_to_completion(session: stayline.Session) -> None:
    execution = session.start("e1", mode="code")
    assert (execution.id, execution.status, execution.mode) == ("e1", "pending", "code")
    assert execution.token
    assert session.active == "e1"
    with session.attach("e1", token=execution.token) as link:
        assert execution.status == "running"
        assert not execution.terminal
        link.receive(frame("output", {"text": "hi"}))
        link.receive(frame("complete", {"exitCode": 0, "currentBranch": "main"}))
        assert execution.wait(PATIENCE) is execution
    assert execution.status == "completed"
    assert execution.error is None
    assert session.active is None
    assert session.info().branch == "main"
    assert [event.type for event in session.events()] == ["output", "complete"]


def test_a_second_start_and_a_known_id_are_refused(session: stayline.Session) -> None:
    session.start("e1")
    with pytest.raises(stayline.ExecutionInProgress) as busy:
        session.start("e2")
    assert busy.value.active == "e1"
    assert session.fail("e1", "over")
    with pytest.raises(stayline.AlreadyExists) as known:
        session.start("e1")
    assert known.value.execution_id == "e1"


def test_reading_never_creates(coordinator: stayline.Coordinator) -> None:
    session = coordinator.session("nobody")
    for read in (
        lambda: session.active,
        session.info,
        session.events,
        session.stream,
        lambda: session.executions(),
        lambda: session.execution("e"),
        lambda: session.health("e"),
        lambda: session.interrupt(),
        lambda: session.attach("e"),
        lambda: session.fail("e", "x"),
    ):
        with pytest.raises(stayline.NotFound):
            read()
    assert coordinator.sessions() == []


def test_failing_is_idempotent_and_keeps_its_own_fields(session: stayline.Session) -> None:
    session.start("e1")
    assert session.fail(
        "e1", "boom", event_type="launch_failed", payload={"where": "sandbox", "fatal": False}
    )
    assert session.fail("e1", "again") is False
    execution = session.execution("e1")
    assert (execution.status, execution.error) == ("failed", "boom")
    (event,) = session.events()
    assert event.type == "launch_failed"
    assert event.data == {"error": "boom", "fatal": True, "where": "sandbox"}


def test_finish_takes_the_moment_it_ended(session: stayline.Session) -> None:
    session.start("e1")
    link = session.attach("e1", trusted=True)
    ended = datetime(2026, 3, 7, 12, 0, 0, 250_000, tzinfo=timezone.utc)
    session.finish("e1", "interrupted", message="by the user", completed_at=ended)
    execution = session.execution("e1")
    assert execution.completed_at == ended
    assert (execution.status, execution.error) == ("interrupted", "by the user")
    with pytest.raises(stayline.InvalidTransition) as refused:
        session.finish("e1", "completed")
    assert refused.value.to == "completed"
    assert list(link.outgoing())[-1] == stayline.Close(4000, "execution done")


def test_pending_cannot_complete(session: stayline.Session) -> None:
    session.start("e1")
    with pytest.raises(stayline.InvalidTransition) as refused:
        session.finish("e1")
    assert (refused.value.from_, refused.value.to) == ("pending", "completed")
    assert session.execution("e1").status == "pending"


def test_interrupt_answers_with_a_verdict(session: stayline.Session) -> None:
    session.start("e1")
    with pytest.raises(stayline.NotFound):
        session.interrupt("other")
    assert session.interrupt() == "latched"
    link = session.attach("e1", trusted=True)
    assert link.try_output() == stayline.Send('{"signal":"SIGTERM","type":"kill"}')
    assert session.interrupt("e1", escalate=True) == "sent"
    assert session.execution("e1").interrupt_requested
    session.clear_interrupt()
    assert not session.execution("e1").interrupt_requested
    session.fail("e1", "over")
    assert session.interrupt("e1") == "already_terminal"
    with pytest.raises(stayline.NoActiveExecution):
        session.interrupt()


@pytest.mark.parametrize("grace", [5, 5.0, timedelta(seconds=5)])
def test_an_interrupt_that_is_not_honoured_fails_the_run(
    clock: stayline.ManualClock, grace: float | timedelta
) -> None:
    with stayline.Coordinator("memory:", clock=clock) as coordinator:
        session = coordinator.session("s")
        execution = session.start()
        link = session.attach(execution.id, trusted=True)
        session.interrupt(grace=grace)
        clock.advance(5)
        assert [out.text for out in link.outgoing(timeout=0)][-1] == (
            '{"signal":"SIGKILL","type":"kill"}'
        )
        assert execution.status == "running"
        clock.advance(timedelta(seconds=10))
        assert (execution.status, execution.error) == ("failed", "Interrupt not honoured")


def test_an_interrupt_without_grace_waits_for_ever(clock: stayline.ManualClock) -> None:
    settings = stayline.Settings(kill_grace_ms=None, pending_timeout_ms=10**9)
    with stayline.Coordinator("memory:", settings=settings, clock=clock) as coordinator:
        session = coordinator.session("s")
        execution = session.start()
        session.interrupt(grace=None)
        clock.advance(3600)
        assert execution.status == "pending"
        assert execution.interrupt_requested


def test_a_run_nobody_attaches_to_fails_at_its_deadline(clock: stayline.ManualClock) -> None:
    with stayline.Coordinator("memory:", clock=clock) as coordinator:
        execution = coordinator.session("s").start()
        began = clock.now_ms
        assert clock.next_deadline_ms() == coordinator._next_deadline()
        clock.advance(300)
        assert execution.status == "pending"
        clock.advance(0.001)
        assert execution.error == "Execution timeout - wrapper never connected"
        assert clock.now_ms == coordinator.now_ms == began + 300_001


def test_health_follows_the_last_sign_of_life(clock: stayline.ManualClock) -> None:
    with stayline.Coordinator("memory:", clock=clock) as coordinator:
        session = coordinator.session("s")
        execution = session.start()
        assert execution.health is None
        link = session.attach(execution.id, trusted=True)
        assert session.health(execution.id) == "healthy"
        clock.advance(60)
        assert execution.health == "unknown"
        session.heartbeat(execution.id)
        assert execution.health == "healthy"
        assert link.close_state is None


def test_when_it_was_last_seen_is_newer_than_what_is_stored(
    clock: stayline.ManualClock, tmp_path: Path
) -> None:
    store = f"sqlite:{tmp_path / 'runs.db'}"
    with stayline.Coordinator(store, clock=clock) as coordinator:
        session = coordinator.session("s")
        execution = session.start()
        assert execution.last_seen_at is None
        link = session.attach(execution.id, trusted=True)
        attached = execution.last_seen_at
        clock.advance(10)
        session.heartbeat(execution.id)
        assert execution.last_heartbeat_at == attached is not None
        assert execution.last_seen_at == attached + timedelta(seconds=10)
        (listed,) = coordinator.sessions()
        assert listed.latest is not None
        assert listed.latest.last_seen_at == execution.last_seen_at
        # Beside the owner there is only what is stored.
        with stayline.Coordinator(store, read_only=True) as reader:
            assert reader.session("s").execution(execution.id).last_seen_at == attached
        assert link.close_state is None


def test_leases_are_exclusive(clock: stayline.ManualClock) -> None:
    with stayline.Coordinator("memory:", clock=clock) as coordinator:
        session = coordinator.session("s")
        session.start("e")
        lease = session.lease("e", "a", message_id="m1")
        assert (lease.lease_id, lease.message_id, lease.execution_id) == ("a", "m1", "e")
        assert lease.expires_at_ms == clock.now_ms + 90_000
        with pytest.raises(stayline.AlreadyHeld) as held:
            session.lease("e", "b")
        assert (held.value.holder, held.value.expires_at) == ("a", lease.expires_at_ms)
        with pytest.raises(stayline.WrongHolder):
            session.extend_lease("e", "b")
        clock.advance(30)
        assert lease.extend().expires_at_ms == clock.now_ms + 90_000
        lease.release()
        with session.lease("e", "b") as mine:
            assert mine.expires_at.tzinfo is timezone.utc
        with pytest.raises(stayline.NotFound):
            session.release_lease("e", "b")


def test_delete_removes_everything(session: stayline.Session) -> None:
    execution = session.start("e1")
    stream = session.stream(timeout=PATIENCE)
    link = session.attach("e1", trusted=True)
    session.delete()
    assert list(link.outgoing(timeout=PATIENCE)) == [stayline.Close(4000, "execution done")]
    assert [event.type for event in stream][-1] == "deleted"
    assert stream.ended
    with pytest.raises(stayline.NotFound):
        session.info()
    with pytest.raises(stayline.NotFound):
        execution.wait(PATIENCE)


def test_lists_of_sessions_and_executions(coordinator: stayline.Coordinator) -> None:
    for name in ("a", "b"):
        session = coordinator.session(name)
        for index in range(3):
            session.start(f"{name}{index}")
            session.fail(f"{name}{index}", "x")
        session.start(f"{name}3")
    listed = {info.id: info for info in coordinator.sessions()}
    assert set(listed) == {"a", "b"}
    assert listed["a"].active == "a3"
    assert listed["a"].latest == coordinator.session("a").execution("a3")
    assert len(coordinator.sessions(limit=1)) == 1
    session = coordinator.session("b")
    assert [execution.id for execution in session.executions()] == ["b3", "b2", "b1", "b0"]
    failed = session.executions(status="failed", limit=2)
    assert [execution.id for execution in failed] == ["b2", "b1"]


def test_a_file_outlives_its_coordinator(tmp_path: Path) -> None:
    location = f"sqlite:{tmp_path / 'runs.db'}"
    with stayline.Coordinator(location) as coordinator:
        session = coordinator.session("s")
        done = session.start("done")
        session.fail("done", "boom")
        assert done.terminal
        session.start("live")
        with pytest.raises(stayline.StoreInUse) as owned:
            stayline.Coordinator(location)
        assert owned.value.pid > 0
        with stayline.Coordinator(location, read_only=True) as reader:
            assert reader.read_only
            assert reader.session("s").execution("done").error == "boom"
            with pytest.raises(stayline.InvalidArgument):
                reader.session("s").fail("live", "no")
    # What was terminal stays known, and what is closed says so.
    assert done.status == "failed"
    with pytest.raises(stayline.Closed):
        session.start("more")
    with stayline.Coordinator(location) as coordinator:
        session = coordinator.session("s")
        assert session.active == "live"
        assert [event.type for event in session.events()] == ["error"]


def test_a_failing_commit_is_told_and_changes_nothing() -> None:
    with stayline.Coordinator("memory:", _faults=True) as coordinator:
        session = coordinator.session("s")
        session.start("e")
        coordinator._fail_next_commit("lost")
        with pytest.raises(stayline.StoreError):
            session.fail("e", "boom")
        assert session.execution("e").status == "pending"
        coordinator._fail_next_commit("unknown_kept")
        assert session.fail("e", "boom")
        assert session.execution("e").status == "failed"
        with pytest.raises(stayline.InvalidArgument):
            coordinator._fail_next_commit("perhaps")  # type: ignore[arg-type]


def test_handles_keep_their_coordinator_alive() -> None:
    session = stayline.Coordinator("memory:").session("s")
    execution = session.start()
    assert session.fail(execution.id, "x")
    assert execution.wait(PATIENCE).status == "failed"


def test_closing_twice_is_fine_and_waiters_are_told(location: str) -> None:
    coordinator = stayline.Coordinator(location)
    session = coordinator.session("s")
    execution = session.start()
    link = session.attach(execution.id, trusted=True)
    coordinator.close()
    coordinator.close()
    assert list(link.outgoing(timeout=PATIENCE)) == [stayline.Close(1012, "coordinator restarted")]
    with pytest.raises(stayline.Closed):
        execution.wait(PATIENCE)
