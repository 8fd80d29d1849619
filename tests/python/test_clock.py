"""Times that a host tells: forward only, and not beyond all calendars."""

from __future__ import annotations

import pytest
import stayline
from stayline import sansio

FURTHEST = 2**61 - 1
BEYOND = [FURTHEST + 1, -FURTHEST - 1, 2**63 - 1, -(2**63)]


@pytest.mark.parametrize("now_ms", BEYOND)
def test_a_time_beyond_all_calendars_is_refused(now_ms: int) -> None:
    with pytest.raises(stayline.InvalidArgument, match=f"now_ms cannot be {now_ms}"):
        stayline.ManualClock(now_ms)
    clock = stayline.ManualClock()
    with pytest.raises(stayline.InvalidArgument):
        clock.set(now_ms)
    assert clock.now_ms == 1_700_000_000_000
    wrapper = sansio.Wrapper()
    with pytest.raises(stayline.InvalidArgument, match=f"now_ms cannot be {now_ms}"):
        wrapper.open("exc_1", now_ms)
    assert wrapper.state == "idle"


@pytest.mark.parametrize("now_ms", [FURTHEST, -FURTHEST])
def test_a_clock_at_the_edge_works_and_does_not_leave_it(now_ms: int) -> None:
    clock = stayline.ManualClock(now_ms)
    with stayline.Coordinator("memory:", clock=clock) as coordinator:
        coordinator.session("s").start()
        assert coordinator.now_ms == now_ms
        if now_ms > 0:
            with pytest.raises(stayline.InvalidArgument):
                clock.advance(1)
            with pytest.raises(stayline.InvalidArgument):
                clock.suspend(1)
        else:
            clock.advance(1)
            assert coordinator.now_ms == now_ms + 1_000


@pytest.mark.parametrize("ms", [-1, 101 * 365 * 86_400_000, 2**63 - 1])
def test_a_jump_that_is_none_is_refused(ms: int) -> None:
    clock = stayline.ManualClock()
    with pytest.raises(stayline.InvalidArgument, match=f"jump by {ms} ms"):
        clock.suspend(ms)
    assert clock.now_ms == 1_700_000_000_000
