"""Virtual time: what happens on the way from one moment to a later one, and in which order.

Time goes from one due moment to the next. At each, wrappers come first, then the network until it
is still, then the coordinator, round and round until nothing is due any more.
"""

from __future__ import annotations

from collections.abc import Callable

from .drivers import OperationError
from .world import World

__all__ = ["advance", "restart", "suspend"]

#: More rounds than this at one moment mean that something is due again and again.
_MOST_ROUNDS = 10_000

#: More moments than this in one step mean that something wakes up without end.
_MOST_MOMENTS = 2_000_000


def advance(world: World, ms: int) -> None:
    """Time passes for everybody."""
    target = world.now + ms
    for _ in range(_MOST_MOMENTS):
        _settle(world)
        moments = [_wrappers_deadline(world), world.driver.call("next_deadline")]
        world.now = min((at for at in moments if at is not None and at <= target), default=target)
        world.driver.call("set_time", now=world.now)
        if world.now == target:
            _settle(world)
            return
    raise OperationError("Panic", "time does not go on", {})


def suspend(world: World, ms: int) -> None:
    """The coordinator is frozen: wrappers run on, what they send waits, and at the end the
    coordinator notices how much it has lost (R18b)."""
    _pass_for_wrappers(world, world.now + ms, lambda: False)
    world.driver.call("suspend", ms=ms)
    world.collect()


def restart(world: World, down_ms: int) -> None:
    """The coordinator dies, is away for that long, and opens its store again (R23), with the
    settings that the world has now."""
    world.lose_coordinator()
    _pass_for_wrappers(world, world.now + down_ms, world.network.deliver)
    world.network.down = False
    world.open(fresh=False)
    world.collect()


def _pass_for_wrappers(world: World, target: int, deliver: Callable[[], bool]) -> None:
    """Time passes for wrappers alone."""
    for _ in range(_MOST_MOMENTS):
        for _ in range(_MOST_ROUNDS):
            due = _handle_wrappers(world)
            if not deliver() and not due:
                break
        else:
            raise _restless(world)
        deadline = _wrappers_deadline(world)
        if deadline is None or deadline > target:
            world.now = target
            return
        world.now = deadline
    raise OperationError("Panic", "time does not go on", {})


def _settle(world: World) -> None:
    """All that is due at this moment."""
    for _ in range(_MOST_ROUNDS):
        busy = _handle_wrappers(world)
        busy = world.network.deliver() or busy
        deadline = world.driver.call("next_deadline")
        if deadline is not None and deadline <= world.now:
            world.driver.call("handle_due")
            world.collect()
            busy = True
        if not busy:
            return
    raise _restless(world)


def _handle_wrappers(world: World) -> bool:
    """Fires what is due in each wrapper, in the order in which they came into being."""
    busy = False
    for end in list(world.wrappers.values()):
        if end.handle is None:
            continue
        deadline = world.driver.call("w_next_deadline", wrapper=end.handle)
        if deadline is not None and deadline <= world.now:
            world.wrapper_call(end, "w_timeout")
            busy = True
    return busy


def _wrappers_deadline(world: World) -> int | None:
    deadlines = [
        world.driver.call("w_next_deadline", wrapper=end.handle)
        for end in world.wrappers.values()
        if end.handle is not None
    ]
    return min((at for at in deadlines if at is not None), default=None)


def _restless(world: World) -> OperationError:
    return OperationError("Panic", f"something is due again and again at {world.now}", {})
