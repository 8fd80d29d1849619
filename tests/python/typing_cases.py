"""Checked by mypy, not run: what a type checker makes of the public names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

import stayline
from stayline import sansio
from typing_extensions import assert_type


def host(coordinator: stayline.Coordinator) -> None:
    with stayline.Coordinator("memory:", settings=stayline.Settings(jitter=0.0)) as opened:
        assert_type(opened, stayline.Coordinator)
    session = coordinator.session("s")
    assert_type(session.active, str | None)
    with session.launch(mode="code") as execution:
        assert_type(execution, stayline.Execution)
        assert_type(execution.token, str | None)
    # The block may have ended by an exception that went on, so this line is reached without one.
    assert_type(execution.wait(timeout=1.5), stayline.Execution)
    link = session.attach(execution.id, token=execution.token)
    for out in link.outgoing(timeout=None):
        match out:
            case stayline.Send(text):
                assert_type(text, str)
            case stayline.Close(code, reason):
                assert_type(code, int)
                assert_type(reason, str)
    for event in session.stream(until=execution.id):
        assert_type(event, stayline.Event)
        assert_type(event.data, Any)
    for notification in coordinator.notifications(timeout=0):
        assert_type(notification.kind, Literal["execution_ended", "session_idle", "late_result"])
    assert_type(session.interrupt(), Literal["sent", "latched", "already_terminal"])
    assert_type(session.fail("e", "x"), bool)


def results(session: stayline.Session, execution: stayline.Execution) -> None:
    assert_type(
        execution.status, Literal["pending", "running", "completed", "failed", "interrupted"]
    )
    assert_type(execution.health, Literal["healthy", "unknown", "stale"] | None)
    assert_type(execution.created_at, datetime)
    assert_type(execution.completed_at, datetime | None)
    assert_type(session.info().latest, stayline.Execution | None)
    assert_type(session.executions(status="failed"), list[stayline.Execution])
    assert_type(session.count_events(since=datetime.now(timezone.utc), until=1), int)
    assert_type([event.id for event in session.events(types=["output"])], list[int])
    with session.lease(execution.id, "me") as lease:
        assert_type(lease.expires_at_ms, int)
        assert_type(lease.extend(), stayline.Lease)
    settings = stayline.Settings(stale_after_ms=timedelta(seconds=85), outbox=Path("outbox.db"))
    assert_type(settings.stale_after_ms, int)
    assert_type(settings.interrupt_grace_ms, int | None)
    assert_type(settings.volatile_types, frozenset[str])


def refused(session: stayline.Session) -> None:
    try:
        session.start()
    except stayline.ExecutionInProgress as busy:
        assert_type(busy.active, str)
        assert_type(busy.number, int)
    except stayline.StoreInUse as in_use:
        assert_type(in_use.url, str | None)


def agent(wrapper: stayline.Wrapper) -> stayline.Ended:
    signals: Iterator[stayline.Signal] = wrapper.signals()
    for signal in signals:
        match signal:
            case stayline.Kill(name):
                assert_type(name, str)
            case stayline.Disconnected(reason):
                assert_type(reason, str)
            case stayline.Ended(status):
                assert_type(status, Literal["completed", "failed", "interrupted"] | None)
            case _:
                pass
    wrapper.on_kill(lambda kill: print(kill.signal))
    return wrapper.complete(exit_code=0, branch="main")


def machine(wrapper: sansio.Wrapper) -> str | None:
    match wrapper.poll_action():
        case sansio.Connect(attempt, execution_id, protocol):
            assert_type(attempt, int)
            assert_type(execution_id, str)
            assert_type(protocol, int | None)
        case sansio.Write(_, text):
            return text
        case _:
            pass
    return None


def wrong(session: stayline.Session) -> None:
    session.finish("e", "pending")  # type: ignore[arg-type]
    stayline.Settings(stale_after=1)  # type: ignore[call-arg]
    session.active = "e"  # type: ignore[misc]
    session.start(mode=1)  # type: ignore[arg-type]
    session.executions(status="over")  # type: ignore[arg-type]
    session.interrupt("e", True)  # type: ignore[call-arg]
