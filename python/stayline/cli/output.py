"""Stdout as this command line uses it: whatever is printed gets out, in any encoding.

A text may hold what the terminal's encoding cannot say, and half of a surrogate pair, which no
encoding can. It is written as JSON writes it, ``\\u00e9``: in a JSON string, the only place of a
JSON text where it can stand, that is the same text.
"""

from __future__ import annotations

import codecs
import io
import os
import re
import sys

_HANDLER = "stayline"

#: What may stand in a JSON text as it is, and means something to terminals or to readers of lines.
_LOUD = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_BREAKS = re.compile("[\r\n]+ *")


def prepare() -> None:
    """Makes stdout take every text. A stdout that was closed from the start takes them, too."""
    codecs.register_error(_HANDLER, _escaped)
    _fill_up()
    if sys.stdout is None:
        sys.stdout = _Nowhere()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=_HANDLER)


class _Nowhere(io.TextIOBase):
    """In the place of a stdout that there is not."""

    def write(self, text: str, /) -> int:
        return len(text)


def _fill_up() -> None:
    """A descriptor of 0 to 2 that was closed from the start would be the next file's that is
    opened, and what is meant for a terminal would be written into it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest that is free is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def give_up() -> None:
    """What is still to be written goes nowhere: nothing may be flushed into a broken pipe or a full
    disk at exit."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        # No descriptor of its own: nothing to keep from being flushed.
        pass


def say(text: str) -> None:
    """Prints a line for whoever reads it; that nobody does any more ends no server."""
    try:
        print(text, flush=True)
    except OSError:
        give_up()


def give_up_if_stuck() -> None:
    """The same where stdout takes nothing any more: a full disk, a terminal that is gone."""
    try:
        sys.stdout.flush()
    except OSError:
        give_up()


def json_line(text: str) -> str:
    """A JSON text on one line, which it need not have come on, without what steers a terminal."""
    return _LOUD.sub(lambda found: f"\\u{ord(found.group()):04x}", _BREAKS.sub(" ", text))


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = zip(units[::2], units[1::2], strict=True)
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in pairs), error.end
