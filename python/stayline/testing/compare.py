"""Comparing what is with what was expected, and saying the difference in one line.

Objects are compared as subsets, lists whole and in order. An expected null also stands for a
field that is not there.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["difference", "show", "told_difference"]

_LONGEST = 400


def difference(path: str, actual: Any, expected: Any) -> str | None:
    """The first difference, as `status is running, expected failed`; `None`: it fits."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for name, wanted in expected.items():
            found = difference(f"{path}.{name}", actual.get(name), wanted)
            if found is not None:
                return found
        return None
    if isinstance(expected, list) and isinstance(actual, list):
        if len(actual) != len(expected):
            return f"{path} is {show(actual)}, expected {show(expected)}"
        for index, (item, wanted) in enumerate(zip(actual, expected, strict=True)):
            found = difference(f"{path}[{index}]", item, wanted)
            if found is not None:
                return found
        return None
    return (
        None if _equal(actual, expected) else f"{path} is {show(actual)}, expected {show(expected)}"
    )


def told_difference(actual: list[Any], expected: list[Any]) -> str | None:
    """As `difference` for what a host was told, where `"abort"` matches `{"abort": …}` too."""
    whole = f"list is {show(actual)}, expected {show(expected)}"
    if len(actual) != len(expected):
        return whole
    for item, wanted in zip(actual, expected, strict=True):
        if isinstance(wanted, str):
            name = next(iter(item)) if isinstance(item, dict) else item
            fits = name == wanted
        else:
            fits = isinstance(item, dict) and difference("", item, wanted) is None
            fits = fits and next(iter(item)) == next(iter(wanted))
        if not fits:
            return whole
    return None


def show(value: Any) -> str:
    """A value for people: strings bare, all else as JSON, long ones cut."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _equal(actual: Any, expected: Any) -> bool:
    # In Python true equals 1, in JSON it does not.
    if isinstance(actual, bool) or isinstance(expected, bool):
        return actual is expected
    return bool(actual == expected)
