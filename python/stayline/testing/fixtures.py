"""The pytest fixtures of `stayline.testing.pytest_plugin`.

A test that names one gets its own, fresh, on virtual time. What they are made of is a fixture too,
so that a module or a directory changes it by defining one of the same name::

    @pytest.fixture
    def stayline_settings() -> stayline.Settings:
        return stayline.Settings(jitter=0.0, disconnect_grace_ms=60_000)
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import stayline

from .pair import WrapperPair

__all__ = ["clock", "coordinator", "stayline_location", "stayline_settings", "wrapper_pair"]


@pytest.fixture
def stayline_settings() -> stayline.Settings:
    """The settings of `coordinator` and `wrapper_pair`: the defaults, without jitter."""
    return stayline.Settings(jitter=0.0)


@pytest.fixture
def stayline_location() -> str:
    """Where `coordinator` keeps its runs: in memory."""
    return "memory:"


@pytest.fixture
def clock() -> stayline.ManualClock:
    """The time of `coordinator` and `wrapper_pair`; it stands still until it is advanced."""
    return stayline.ManualClock()


@pytest.fixture
def coordinator(
    stayline_location: str, stayline_settings: stayline.Settings, clock: stayline.ManualClock
) -> Iterator[stayline.Coordinator]:
    """A coordinator without runs, on `clock`."""
    with stayline.Coordinator(
        stayline_location, settings=stayline_settings, clock=clock
    ) as coordinator:
        yield coordinator


@pytest.fixture
def wrapper_pair(
    coordinator: stayline.Coordinator,
    clock: stayline.ManualClock,
    stayline_settings: stayline.Settings,
) -> WrapperPair:
    """A wrapper that is connected to `coordinator` through a network that can be made to fail."""
    return WrapperPair(coordinator, clock, settings=stayline_settings)
