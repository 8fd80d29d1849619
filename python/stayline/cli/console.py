"""What people read: tables, colours, and one-line errors.

Colours and drawn tables only appear on a terminal, only where ``rich`` is installed, and never
with ``NO_COLOR``. Everything else is plain columns, so that ``grep`` and ``awk`` work on it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import datetime

#: How a status is shown on a terminal.
STATUS_STYLES = {
    "pending": "yellow",
    "running": "cyan",
    "completed": "green",
    "failed": "red",
    "interrupted": "magenta",
}


def complain(text: str) -> None:
    """Prints one line on stderr: what is wrong, and what to do about it."""
    line = " ".join(text.split())
    print(f"stayline: {line}", file=sys.stderr, flush=True)


def fancy() -> bool:
    """Whether stdout is a terminal on which colours are welcome."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty()


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str]) -> None:
    """Prints a table. Columns named in ``right`` hold figures and are aligned to the right."""
    if fancy() and _rich_table(titles, rows, right):
        return
    widths = [
        max([len(title), *(len(row[column]) for row in rows)])
        for column, title in enumerate(titles)
    ]
    for row in [[title.upper() for title in titles], *rows]:
        cells = (
            cell.rjust(width) if title in right else cell.ljust(width)
            for title, cell, width in zip(titles, row, widths, strict=True)
        )
        print("  ".join(cells).rstrip())


def moment(value: datetime | None) -> str:
    """A moment in the reader's time zone, to the second."""
    return "-" if value is None else value.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float | None) -> str:
    """A duration for people: ``0.4s``, ``12s``, ``3m05s``, ``2h07m``."""
    if seconds is None:
        return "-"
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"


def count(number: int, noun: str) -> str:
    """``1 event``, ``2 events``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _rich_table(titles: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> bool:
    """Draws it with rich; false where rich is not installed."""
    try:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.measure import Measurement
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for title in titles:
        drawn.add_column(title, justify="right" if title in right else "left", no_wrap=True)
    for row in rows:
        cells = (Text(cell, style=STATUS_STYLES.get(cell, "")) for cell in row)
        drawn.add_row(*cells)
    console = Console()
    # An id cut short is of no use: what is too wide is left to the terminal to wrap.
    endless = console.options.update(width=10_000)
    console.width = max(console.width, Measurement.get(console, endless, drawn).maximum)
    console.print(drawn)
    return True
