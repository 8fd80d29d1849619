"""Time to pixels: where a moment lies, which ticks there are, how events fall into bins."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Scale", "bins", "ticks"]

#: A late part longer than this share of the run gets a scale of its own.
_LATE_SHARE = 0.25
#: The width that it then has, as a share of the whole.
_LATE_WIDTH = 0.16

_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000
_STEPS = [
    *(step * power for power in (1, 10, 100) for step in (1, 2, 5)),
    *(step * _SECOND for step in (1, 2, 5, 10, 15, 30)),
    *(step * _MINUTE for step in (1, 2, 5, 10, 15, 30)),
    *(step * _HOUR for step in (1, 2, 3, 6, 12)),
]


@dataclass(frozen=True)
class Scale:
    """A run's time on a stretch of pixels. What came late lies behind ``edge_ms``; when that is
    much, it is squeezed, and ``broken`` says so."""

    begin_ms: int
    edge_ms: int
    late_ms: int
    left: float
    right: float

    @property
    def broken(self) -> bool:
        """Whether the late part has a scale of its own."""
        return self.late_ms - self.edge_ms > _LATE_SHARE * (self.edge_ms - self.begin_ms)

    @property
    def edge(self) -> float:
        """Where the run itself ends, in pixels."""
        if self.broken:
            return self.right - _LATE_WIDTH * (self.right - self.left)
        return self.place(self.edge_ms)

    def place(self, at_ms: float) -> float:
        """Where a moment lies, in pixels, within the stretch."""
        if self.broken:
            if at_ms > self.edge_ms:
                return _between(at_ms, self.edge_ms, self.late_ms, self.edge, self.right)
            return _between(at_ms, self.begin_ms, self.edge_ms, self.left, self.edge)
        return _between(
            at_ms, self.begin_ms, max(self.edge_ms, self.late_ms), self.left, self.right
        )


def _between(at: float, begin: int, end: int, left: float, right: float) -> float:
    share = (at - begin) / max(end - begin, 1)
    return left + min(max(share, 0.0), 1.0) * (right - left)


def ticks(span_ms: int, most: int) -> list[int]:
    """Round offsets from the begin of a span, 0 first, at most ``most`` and one."""
    step = next((step for step in _STEPS if span_ms / step <= most), None)
    if step is None:
        days = 1
        while span_ms / (days * _DAY) > most:
            days *= 2
        step = days * _DAY
    return list(range(0, span_ms + 1, step))


def bins(times: array[int] | Sequence[int], scale: Scale, count: int) -> list[int]:
    """How many events fall into each of ``count`` equal parts of the stretch."""
    found = [0] * count
    width = (scale.right - scale.left) / count
    if len(times) <= 4 * count:
        for at in times:
            found[min(int((scale.place(at) - scale.left) / width), count - 1)] += 1
        return found
    # The other way round for many: where the bins lie among the sorted times.
    ordered = array("q", sorted(times))
    before = 0
    for index in range(count):
        if index == count - 1:
            upto = len(ordered)
        else:
            upto = bisect_right(ordered, _moment_before(scale, scale.left + (index + 1) * width))
        found[index] = upto - before
        before = upto
    return found


def _moment_before(scale: Scale, x: float) -> int:
    """The newest moment, in ms, that lies left of ``x``."""
    low, high = scale.begin_ms - 1, max(scale.edge_ms, scale.late_ms)
    while low < high:
        middle = (low + high + 1) // 2
        if scale.place(middle) < x:
            low = middle
        else:
            high = middle - 1
    return low
