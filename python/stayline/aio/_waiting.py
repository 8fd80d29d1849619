"""Waiting on an event loop, without threads and without looking again and again.

Every wait hangs up a descriptor of its own at the object (``Waiting``) and gives it to
``loop.add_reader``; the core makes it readable when there may be something. So several tasks of
one loop, several loops in several threads and the waiting calls of ``stayline`` can wait at one
object, and nobody takes anybody's wake-up. What there is is taken by the task that waits, after
its last ``await``: a wait that is cancelled has taken nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from stayline._internal import InvalidArgument

if TYPE_CHECKING:
    from stayline._internal import Waiting

T = TypeVar("T")

Seconds: TypeAlias = float | timedelta

# A hundred years, as everywhere the most that counts as a time; beyond it is for ever.
_LONGEST = 100 * 366 * 24 * 3600.0
# After so many takes in a row that did not have to wait the other tasks get their turn.
_TAKES_A_TURN = 64


def seconds(timeout: Seconds | None) -> float | None:
    """A time-out in seconds; ``None``: for ever."""
    if timeout is None:
        return None
    value = timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout)
    if math.isnan(value) or value < 0:
        raise InvalidArgument(f"{value} seconds; a time is not negative, and None means for ever")
    return value if value < _LONGEST else None


async def found(
    hang_up: Callable[[], Waiting],
    look: Callable[[], T | None],
    timeout: Seconds | None = None,
    *,
    at_least_every: float | None = None,
) -> T | None:
    """Looks, waits until there is something, and looks again; ``None``: the time is over.

    ``at_least_every`` bounds a single wait, in seconds, for conditions that ring for others only.
    """
    thing = look()
    if thing is not None:
        return thing

    async def look_again() -> T | None:
        return look()

    return await found_later(hang_up, look_again, timeout, at_least_every=at_least_every)


async def found_later(
    hang_up: Callable[[], Waiting],
    look: Callable[[], Awaitable[T | None]],
    timeout: Seconds | None = None,
    *,
    at_least_every: float | None = None,
) -> T | None:
    """The same for a look that itself has to be awaited."""
    limit = seconds(timeout)
    if limit == 0:
        return await look()
    loop = asyncio.get_running_loop()
    deadline = None if limit is None else loop.time() + limit
    place = hang_up()
    try:
        while True:
            place.clear()
            thing = await look()
            if thing is not None:
                return thing
            left = None if deadline is None else deadline - loop.time()
            if left is not None and left <= 0:
                return None
            if left is None or (at_least_every is not None and at_least_every < left):
                left = at_least_every
            await _rung(loop, place, left)
    finally:
        place.close()


async def _rung(loop: asyncio.AbstractEventLoop, place: Waiting, limit: float | None) -> None:
    """Waits for a ring, at most ``limit`` seconds."""
    ring: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ring.done():
            ring.set_result(None)

    descriptor = place.fileno()
    loop.add_reader(descriptor, wake)
    alarm = None if limit is None else loop.call_later(limit, wake)
    try:
        await ring
    finally:
        if alarm is not None:
            alarm.cancel()
        if not loop.is_closed():
            loop.remove_reader(descriptor)


class Turns:
    """Lets the other tasks run while an iteration never has to wait."""

    def __init__(self) -> None:
        self._takes = 0

    async def turn(self) -> None:
        """To be awaited before each take, so that being cancelled here loses nothing."""
        self._takes += 1
        if self._takes % _TAKES_A_TURN == 0:
            await asyncio.sleep(0)
