"""What arguments may be: each reads one text, and says what is wrong with it."""

from __future__ import annotations

import argparse
import json
from datetime import datetime, timezone
from typing import Any

import stayline


def location(text: str) -> str:
    """A store. A bare path is an SQLite file, which is what people mean by it."""
    if text == "memory:" or text.startswith(("sqlite:", "postgresql://", "postgres://")):
        return text
    if not text:
        raise argparse.ArgumentTypeError("empty; write sqlite:PATH or memory:")
    return f"sqlite:{text}"


def setting(text: str) -> tuple[str, Any]:
    """One of docs/settings.md, as ``NAME=VALUE``."""
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    known = {row["name"] for row in stayline.Settings.table()}
    if name not in known:
        close = [one for one in sorted(known) if one.startswith(name) or name in one]
        hint = f"; there are: {', '.join(close)}" if close else "; docs/settings.md lists them"
        raise argparse.ArgumentTypeError(f"there is no setting {name!r}{hint}")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        # Words need no quotes: `overflow=block`.
        return name, value


def number(text: str) -> int:
    """A whole number from 0."""
    found = _whole(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0")
    return found


def positive(text: str) -> int:
    """A whole number from 1."""
    found = _whole(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return found


def _whole(text: str) -> int | None:
    """A whole number that 63 bits hold."""
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        return None
    found = int(text)
    return found if found < 2**63 else None


def seconds(text: str) -> float:
    """Seconds, up to a day."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 86_400.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 86400")
    return value


def interval(text: str) -> float:
    """Seconds between two looks: not so few that looking is all that happens."""
    value = seconds(text)
    if not 0.05 <= value <= 60.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0.05 to 60")
    return value


def moment(text: str) -> int:
    """A moment in ms: ISO 8601, local where no zone is given, or ms since 1970."""
    found = _whole(text)
    if found is not None:
        return found
    try:
        # Python 3.10 does not know the Z.
        at = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)
        return round(at.astimezone(timezone.utc).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; write it like 2026-03-07T12:00:00Z, or in ms since 1970"
        ) from None


def names(text: str) -> list[str]:
    """A list with commas."""
    found = [name.strip() for name in text.split(",")]
    if not all(found):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list like output,error")
    return found
