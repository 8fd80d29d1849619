"""Waiting for descriptors, whatever their numbers: ``select`` knows none above 1 023."""

from __future__ import annotations

import os
import select
from collections.abc import Mapping, Sequence
from typing import Protocol


class HasFileno(Protocol):
    """Something to wait for."""

    def fileno(self) -> int:
        """Its descriptor."""


#: What ``poll`` tells besides: the other end has gone, or there is no such descriptor.
_OVER = select.POLLHUP | select.POLLERR | select.POLLNVAL


def readable(sources: Sequence[int | HasFileno], timeout: float | None) -> list[int]:
    """Waits until something can be read, or has ended, at most ``timeout`` seconds; the places in
    ``sources`` of those that can."""
    ready = _poll({_number(source): select.POLLIN for source in sources}, timeout)
    return [place for place, source in enumerate(sources) if _number(source) in ready]


def writable(target: int, timeout: float | None, unless: int | None = None) -> bool:
    """Waits until something can be written there, or nobody reads it any more; false when
    ``unless`` can be read, or has ended, or ``timeout`` seconds are over."""
    wanted = {target: select.POLLOUT}
    if unless is not None:
        wanted[unless] = select.POLLIN
    ready = _poll(wanted, timeout)
    return target in ready and unless not in ready


def write_all(target: int, data: bytes) -> None:
    """Writes it, and waits for room as long as that takes."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(target, view) :]
        except BlockingIOError:
            # An output shared with somebody who made it non-blocking.
            writable(target, None)


def _poll(wanted: Mapping[int, int], timeout: float | None) -> set[int]:
    poll = select.poll()
    for number, events in wanted.items():
        poll.register(number, events)
    # Rounded up: a wait of less than a millisecond is one, and not a busy loop.
    milliseconds = None if timeout is None else max(0, -int(-timeout * 1000 // 1))
    return {number for number, told in poll.poll(milliseconds) if told & (wanted[number] | _OVER)}


def _number(source: int | HasFileno) -> int:
    return source if isinstance(source, int) else source.fileno()
