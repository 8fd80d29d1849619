"""The names of ``stayline.aio`` are those of ``stayline``, and so are their members."""

from __future__ import annotations

import inspect

import pytest
import stayline
from stayline import aio

# Descriptors are what the views wait on; there is no use for them beside one.
WITHOUT = {"fileno", "changes_fileno"}

VIEWS = [
    name
    for name in stayline.__all__
    if isinstance(getattr(aio, name), type) and getattr(aio, name) is not getattr(stayline, name)
]


def members(thing: type) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_the_names_are_the_same() -> None:
    assert aio.__all__ == stayline.__all__
    # Errors, values and settings are the same objects.
    assert {"Event", "Settings", "NotFound", "Kill", "ManualClock"}.isdisjoint(VIEWS)
    assert {"Coordinator", "Session", "Link", "Wrapper", "Notification"} <= set(VIEWS)


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_has_every_member(name: str) -> None:
    sync, view = getattr(stayline, name), getattr(aio, name)
    assert members(sync) - WITHOUT <= members(view)
    # And every one is documented.
    assert view.__doc__
    for member in members(view):
        assert inspect.getdoc(getattr(view, member)), member
    for special, awaited in (
        ("__iter__", "__aiter__"),
        ("__next__", "__anext__"),
        ("__enter__", "__aenter__"),
        ("__exit__", "__aexit__"),
    ):
        assert hasattr(sync, special) == hasattr(view, awaited), awaited
        assert not hasattr(view, special), special


@pytest.mark.parametrize("name", VIEWS)
def test_arguments_are_the_same(name: str) -> None:
    sync, view = getattr(stayline, name), getattr(aio, name)
    for member in members(sync) - WITHOUT:
        method = getattr(sync, member)
        if not callable(method):
            continue
        theirs = list(inspect.signature(method).parameters.values())[1:]
        ours = list(inspect.signature(getattr(view, member)).parameters.values())[1:]
        assert [(p.name, p.kind) for p in ours] == [(p.name, p.kind) for p in theirs], member
