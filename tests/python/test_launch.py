"""`with session.launch(…)`: the host's launch code fails the run when it raises (R10)."""

from __future__ import annotations

import pytest
import stayline
from conftest import PATIENCE, frame


def test_an_exception_before_the_wrapper_came_fails_the_run(
    coordinator: stayline.Coordinator, session: stayline.Session
) -> None:
    with pytest.raises(RuntimeError, match="no sandbox left"), session.launch() as execution:
        raise RuntimeError("no sandbox left")
    assert (execution.status, execution.error) == ("failed", "no sandbox left")
    assert session.active is None
    (notification,) = coordinator.notifications(timeout=0)
    assert notification.error == "no sandbox left"


def test_an_exception_without_words_is_told_by_its_name(session: stayline.Session) -> None:
    with pytest.raises(KeyboardInterrupt), session.launch() as execution:
        raise KeyboardInterrupt
    assert execution.error == "KeyboardInterrupt"


def test_once_a_wrapper_has_attached_nothing_is_done(session: stayline.Session) -> None:
    with pytest.raises(RuntimeError), session.launch() as execution:
        link = session.attach(execution.id, token=execution.token)
        raise RuntimeError("the host changed its mind")
    assert execution.status == "running"
    link.receive(frame("complete", {"exitCode": 0}))
    assert execution.wait(PATIENCE).status == "completed"


def test_leaving_in_peace_leaves_the_run_pending(session: stayline.Session) -> None:
    with session.launch("e1", mode="ask", token="secret") as execution:
        assert execution.token == "secret"
    assert (execution.id, execution.status) == ("e1", "pending")


def test_the_notification_may_be_suppressed(
    coordinator: stayline.Coordinator, session: stayline.Session
) -> None:
    with pytest.raises(ValueError, match="x"), session.launch(suppress_notification=True):
        raise ValueError("x")
    assert list(coordinator.notifications(timeout=0)) == []


def test_a_failure_of_failing_does_not_hide_the_exception() -> None:
    coordinator = stayline.Coordinator("memory:")
    with pytest.raises(ValueError, match="x") as raised, coordinator.session("s").launch():
        coordinator.close()
        raise ValueError("x")
    notes = getattr(raised.value, "__notes__", None)
    # Notes exist from Python 3.11 on.
    assert notes is None or "could not be failed" in notes[0]


def test_a_launch_is_entered_once_and_starts_only_then(session: stayline.Session) -> None:
    launch = session.launch("e1")
    with pytest.raises(stayline.NotFound):
        session.info()
    with launch:
        with pytest.raises(stayline.InvalidArgument), launch:
            pytest.fail("entered twice")
        with pytest.raises(stayline.ExecutionInProgress), session.launch("e2"):
            pytest.fail("started while another one is active")
