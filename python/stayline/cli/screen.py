"""A block at the bottom of the terminal that is drawn again in place, with lines going by above.

What scrolled by stays where terminals keep it; only the block's own lines are ever erased. Where
stdout is no terminal there is no block, and lines are just printed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from stayline.cli.console import movable


class Screen:
    """Where a command that goes on prints."""

    def __init__(self) -> None:
        self.live = movable()
        self._drawn = 0
        self._last: list[str] = []

    def line(self, text: str) -> None:
        """Prints one line above the block."""
        self._erase()
        sys.stdout.write(f"{text}\n")

    def block(self, lines: Sequence[str]) -> None:
        """Draws the block anew, and shows what was printed. The lines must fit the terminal."""
        if self.live and (self._drawn == 0 or list(lines) != self._last):
            self._erase()
            sys.stdout.write("\n".join(lines))
            self._drawn = len(lines)
            self._last = list(lines)
        sys.stdout.flush()

    def leave(self) -> None:
        """Lets the block stay, and goes below it."""
        if self._drawn:
            sys.stdout.write("\n")
            self._drawn = 0
        sys.stdout.flush()

    def _erase(self) -> None:
        if self._drawn:
            # Line by line: some terminals keep what one order clears from the top to the bottom,
            # and their history would fill with every picture there was.
            sys.stdout.write("\r\x1b[2K" + "\x1b[A\x1b[2K" * (self._drawn - 1))
            self._drawn = 0
