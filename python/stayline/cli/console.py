"""What people read: tables, colours, times, and one-line errors.

Colours appear on a terminal only, and never with ``NO_COLOR`` or ``TERM=dumb``. Tables are plain
columns, so that ``grep`` and ``awk`` work on them; a terminal that is too narrow loses the least
needed ones. In a pipe nothing is ever left out.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone

#: SGR numbers: how a status, a health and the rest are shown on a terminal.
_STYLES = {
    "pending": "33",
    "running": "36",
    "completed": "32",
    "failed": "31",
    "interrupted": "35",
    "healthy": "32",
    "unknown": "33",
    "stale": "31",
    "no link": "31",
    "gone": "31",
    "title": "1",
    "dim": "2",
    "trouble": "31",
    "good": "32",
    "warning": "33",
}

#: What stored output must not do to the reader's terminal: steer it, break lines, turn texts
#: around. Halves of surrogate pairs are no characters at all. A tab may stay.
_UNSEEN = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)

#: Of a line on stderr at most so many characters are shown.
_LONGEST_COMPLAINT = 2_000

#: What stands before the host in an address.
_PASSWORDS = re.compile(r"://[^\s'\"]*@")

#: A column is not made narrower than this.
_NARROWEST = 8


def complain(text: str) -> None:
    """Prints one line on stderr: what is wrong, and what to do about it."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(complaint(text), end="", file=sys.stderr, flush=True)


def complaint(text: str) -> str:
    """It as a line with its end. No password in an address that was given comes to light."""
    line = visible(_PASSWORDS.sub("://…@", " ".join(text.split())))
    if len(line) > _LONGEST_COMPLAINT:
        half = _LONGEST_COMPLAINT // 2
        line = f"{line[:half]}\u2026{line[-half:]}"
    return f"stayline: {line}\n"


def fancy() -> bool:
    """Whether stdout is a terminal on which colours are welcome."""
    return not os.environ.get("NO_COLOR") and movable()


def movable() -> bool:
    """Whether stdout is a terminal on which a line can be drawn again."""
    return os.environ.get("TERM") != "dumb" and sys.stdout.isatty()


def columns() -> int:
    """How wide the terminal is."""
    return max(shutil.get_terminal_size().columns, 20)


def paint(text: str, style: str) -> str:
    """The text in a style's colour, where colours are welcome."""
    number = _STYLES.get(style)
    return f"\x1b[{number}m{text}\x1b[0m" if number and fancy() else text


def visible(text: str) -> str:
    """The text with what cannot be seen written out: control characters and their like."""
    return _UNSEEN.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    number = ord(found.group())
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def cells(text: str) -> int:
    """How many columns a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_cells(one) for one in text)


def fit(text: str, width: int) -> str:
    """The text within so many columns; what does not fit gives way to an ellipsis."""
    if cells(text) <= width:
        return text
    taken = 0
    for index, one in enumerate(text):
        taken += _cells(one)
        if taken > width - 1:
            return f"{text[:index]}\u2026" if width > 0 else ""
    return text


def shorten(text: str, width: int) -> str:
    """An id within so many columns: both of its ends, since many begin alike."""
    if cells(text) <= width or width < 5 or not text.isascii():
        return fit(text, width)
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}\u2026{text[-tail:]}"


def table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[str],
    spare: Sequence[str] = (),
) -> None:
    """Prints a table; see ``table_lines``."""
    for line in table_lines(titles, rows, right=right, spare=spare):
        print(line)


def table_lines(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[str],
    spare: Sequence[str] = (),
    last: Sequence[str] = (),
    cut: bool = False,
) -> list[str]:
    """A table's lines. Columns named in ``right`` hold figures and are aligned to the right; on a
    terminal that is too narrow those in ``spare`` are left out, the first one first. ``cut``
    shortens texts so that each line fits, for what is drawn again in place; when even that is not
    enough those in ``last`` are left out too."""
    kept = _said(titles, rows)
    widths = _widths(titles, rows)
    if movable():
        for title in spare:
            if title in kept and _total(kept, widths) > columns():
                kept.remove(title)
        if cut:
            least = {title: min(widths[title], _NARROWEST) for title in titles}
            for title in last:
                if title in kept and _total(kept, least) > columns():
                    kept.remove(title)
            _narrow(kept, widths, columns())
    lines = []
    for number, row in enumerate([[title.upper() for title in titles], *rows]):
        drawn = []
        for title, cell in zip(titles, row, strict=True):
            if title in kept:
                text = shorten(cell, widths[title])
                gap = " " * (widths[title] - cells(text))
                painted = paint(text, "title" if number == 0 else cell)
                drawn.append(gap + painted if title in right else painted + gap)
        lines.append("  ".join(drawn).rstrip())
    return lines


def too_wide(titles: Sequence[str], rows: Sequence[Sequence[str]], spare: Sequence[str]) -> bool:
    """Whether a terminal would have to wrap the table, even without what can be spared."""
    said = _said(titles, rows)
    kept = [title for title in said if title not in spare]
    return movable() and _total(kept, _widths(titles, rows)) > columns()


def moment(value: datetime | int | None) -> str:
    """A moment, given in ms or as it is, in the reader's time zone, to the second."""
    if value is None:
        return "-"
    try:
        if isinstance(value, int):
            value = datetime.fromtimestamp(value / 1000, timezone.utc)
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        # Beyond all calendars.
        return "?"


def duration(seconds: float | None) -> str:
    """A duration for people: ``0.4s``, ``12s``, ``3m05s``, ``2h07m``, ``9d04h``."""
    if seconds is None:
        return "-"
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 100 * 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02}h"


def count(number: int, noun: str) -> str:
    """``1 event``, ``2 events``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _cells(one: str) -> int:
    if unicodedata.combining(one):
        return 0
    return 2 if unicodedata.east_asian_width(one) in "WF" else 1


def _widths(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, int]:
    return {
        title: max([len(title), *(cells(row[index]) for row in rows)])
        for index, title in enumerate(titles)
    }


def _said(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A column in which nothing is said is left out everywhere."""
    return [title for index, title in enumerate(titles) if any(row[index] for row in rows)]


def _total(titles: Sequence[str], widths: dict[str, int]) -> int:
    return sum(widths[title] + 2 for title in titles) - 2


def _narrow(titles: Sequence[str], widths: dict[str, int], most: int) -> None:
    """Takes from the widest column until the table fits."""
    while _total(titles, widths) > most:
        widest = max(titles, key=lambda title: widths[title])
        if widths[widest] <= _NARROWEST:
            return
        widths[widest] -= 1
