"""What objects say about themselves."""

from __future__ import annotations

import stayline
from stayline import sansio


def test_handles_name_themselves_and_their_state() -> None:
    clock = stayline.ManualClock(1_000)
    coordinator = stayline.Coordinator("memory:", clock=clock)
    session = coordinator.session("it's")
    execution = session.start("e", token="very-secret")
    assert repr(clock) == "ManualClock(now_ms=1000)"
    assert repr(coordinator) == "<stayline.Coordinator 'memory:'>"
    assert repr(session) == '<stayline.Session "it\'s">'
    assert repr(execution) == "<stayline.Execution 'e' pending>"
    assert "secret" not in repr(execution)
    launch = session.launch("f")
    assert repr(launch) == "<stayline.Launch, not entered>"
    link = session.attach("e", trusted=True)
    assert repr(link) == "<stayline.Link to 'e', open>"
    stream = session.stream(after=0)
    assert repr(stream) == '<stayline.Subscription to "it\'s", last_id=0>'
    lease = session.lease("e", "me")
    assert repr(lease) == "Lease(execution_id='e', lease_id='me', expires_at_ms=91000)"
    link.receive('{"streamEventType":"complete","data":{"exitCode":0}}')
    assert repr(execution) == "<stayline.Execution 'e' completed>"
    assert repr(link) == "<stayline.Link to 'e', open>"  # a basic wrapper is let finish (R31)
    clock.advance(5)
    assert repr(link) == "<stayline.Link to 'e', closed 4000 'execution done'>"
    (event,) = session.events()
    assert repr(event) == "Event(id=1, type='complete', execution_id='e', data={\"exitCode\":0})"
    (notification,) = coordinator.notifications(timeout=0)
    assert repr(notification) == (
        "Notification(kind='execution_ended', session_id=\"it's\", execution_id='e', "
        "status='completed', attempt=1)"
    )
    assert repr(session.info()) == (
        'SessionInfo(id="it\'s", active=None, last_event_id=1, branch=None)'
    )
    pending = session.start("f")
    coordinator.close()
    # Nothing can be read any more, and repr does not raise.
    assert repr(pending).startswith("<stayline.Execution 'f'")
    assert repr(execution) == "<stayline.Execution 'e' completed>"


def test_long_data_is_cut_short() -> None:
    with stayline.Coordinator("memory:") as coordinator:
        session = coordinator.session("s")
        session.start("e")
        session.fail("e", "ä" * 1000)
        (event,) = session.events()
        assert len(repr(event)) < 200
        assert repr(event).endswith("…)")


def test_settings_show_what_was_changed() -> None:
    assert repr(stayline.Settings()) == "Settings()"
    changed = stayline.Settings(stale_after_ms=85_000, overflow="block")
    assert repr(changed) == "Settings(stale_after_ms=85000, overflow='block')"


def test_values_compare_match_and_show_their_fields() -> None:
    close = stayline.Close(1006, "gone")
    assert repr(close) == "Close(code=1006, reason='gone')"
    assert close == stayline.Close(code=1006, reason="gone")
    assert close != stayline.Close(1006, "")
    assert close != (1006, "gone")
    assert len({close, stayline.Close(1006, "gone")}) == 1
    match close:
        case stayline.Close(code, reason):
            assert (code, reason) == (1006, "gone")
    assert repr(stayline.Send("{}")) == "Send(text='{}')"
    assert repr(stayline.Kill("SIGTERM")) == "Kill(signal='SIGTERM')"
    assert repr(stayline.Reconnecting(2)) == "Reconnecting(attempt=2)"
    assert repr(stayline.Reconnected()) == "Reconnected()"
    assert repr(stayline.Ended("failed", "x", 0)) == (
        "Ended(status='failed', error='x', unacknowledged=0)"
    )
    assert repr(stayline.RunTask("push")) == "RunTask(name='push')"
    assert repr(stayline.Command({"type": "x"})) == "Command(data={'type': 'x'})"
    assert stayline.Command({"a": 1, "b": 2}) == stayline.Command({"b": 2, "a": 1})
    for value in (stayline.Replaced(), stayline.RestartFeed(), stayline.Drained()):
        assert value == type(value)()
    assert repr(sansio.Write(1, "{}")) == "Write(attempt=1, text='{}')"
    machine = sansio.Wrapper(seed=1)
    assert repr(machine) == "<stayline.sansio.Wrapper idle, attempts=0, producer=None>"
