"""Notifications: leased, acknowledged, coming again (R39)."""

from __future__ import annotations

import select
import threading

import pytest
import stayline
from conftest import PATIENCE


def end(session: stayline.Session, execution_id: str) -> None:
    session.start(execution_id)
    session.fail(execution_id, "boom")


def test_one_is_enqueued_at_each_end(
    coordinator: stayline.Coordinator, session: stayline.Session
) -> None:
    end(session, "e1")
    (notification,) = coordinator.notifications(timeout=0)
    assert notification.kind == "execution_ended"
    assert (notification.session_id, notification.execution_id) == (session.id, "e1")
    assert (notification.status, notification.error) == ("failed", "boom")
    assert (notification.attempt, notification.parked) == (1, False)
    assert notification.created_at.tzinfo is not None
    assert [pending.id for pending in coordinator.pending_notifications()] == [notification.id]
    notification.ack()
    assert coordinator.pending_notifications() == []
    with pytest.raises(stayline.NotFound):
        notification.ack()


def test_in_order_and_one_at_a_time_per_session(
    coordinator: stayline.Coordinator, session: stayline.Session
) -> None:
    end(session, "e1")
    end(session, "e2")
    taken = coordinator.notifications(timeout=0)
    first = next(taken)
    assert first.execution_id == "e1"
    assert taken.try_next() is None
    first.ack()
    second = next(taken)
    assert second.execution_id == "e2"
    second.nack()
    again = next(taken)
    assert (again.execution_id, again.attempt) == ("e2", 2)


def test_unacknowledged_it_comes_again_and_is_parked_in_the_end(
    clock: stayline.ManualClock,
) -> None:
    settings = stayline.Settings(notification_attempts=2)
    with stayline.Coordinator("memory:", settings=settings, clock=clock) as coordinator:
        end(coordinator.session("s"), "e")
        taken = coordinator.notifications(timeout=0)
        assert next(taken).attempt == 1
        clock.advance(60)
        assert next(taken).attempt == 2
        clock.advance(600)
        assert list(taken) == []
        (parked,) = coordinator.pending_notifications(parked_only=True)
        assert parked.parked
        parked.requeue()
        assert next(taken).execution_id == "e"


def test_a_retry_waits_as_long_as_asked(clock: stayline.ManualClock) -> None:
    with stayline.Coordinator("memory:", clock=clock) as coordinator:
        end(coordinator.session("s"), "e")
        taken = coordinator.notifications(timeout=0)
        next(taken).nack(retry_in=5)
        clock.advance(4.999)
        assert list(taken) == []
        clock.advance(0.001)
        assert next(taken).attempt == 2


def test_a_waiting_host_is_woken(
    coordinator: stayline.Coordinator, session: stayline.Session
) -> None:
    got: list[stayline.Notification] = []
    host = threading.Thread(
        target=lambda: got.append(next(coordinator.notifications(timeout=PATIENCE)))
    )
    host.start()
    end(session, "e")
    host.join(PATIENCE)
    assert [notification.execution_id for notification in got] == ["e"]


def test_the_descriptor_fits_an_event_loop(
    coordinator: stayline.Coordinator, session: stayline.Session
) -> None:
    taken = coordinator.notifications()
    poll = select.poll()
    poll.register(taken, select.POLLIN)
    assert taken.try_next() is None
    assert poll.poll(0) == []
    end(session, "e")
    assert poll.poll(PATIENCE * 1000)
    notification = taken.try_next()
    assert notification is not None
    notification.ack()
    assert taken.try_next() is None
    assert poll.poll(0) == []
