"""`Settings` and the core's table."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import stayline


def test_every_row_of_the_table_is_an_attribute_with_its_default() -> None:
    defaults = stayline.Settings()
    table = stayline.Settings.table()
    assert len(table) == len(defaults.as_dict())
    for row in table:
        value = getattr(defaults, row["name"])
        expected = frozenset(row["default"]) if row["name"] == "volatile_types" else row["default"]
        assert value == expected, row["name"]
        assert row["about"]
        assert row["shape"]
        # What is shown can be given back.
        assert stayline.Settings(**{row["name"]: value}) == defaults


def test_settings_are_values() -> None:
    one = stayline.Settings(stale_after_ms=85_000, volatile_types={"beat"})
    two = stayline.Settings(volatile_types=["beat"]).replace(stale_after_ms=85_000)
    assert one == two
    assert hash(one) == hash(two)
    assert one != stayline.Settings()
    assert one.replace(stale_after_ms=90_000) == stayline.Settings(volatile_types=("beat",))
    with pytest.raises(AttributeError):
        one.stale_after_ms = 1  # type: ignore[misc]


def test_a_timedelta_and_a_path_will_do() -> None:
    assert stayline.Settings(lease_ttl_ms=timedelta(minutes=1)).lease_ttl_ms == 60_000
    assert stayline.Settings(outbox=Path("some") / "where").outbox == "some/where"
    assert stayline.Settings(interrupt_grace_ms=None).interrupt_grace_ms is None


def test_wrong_ones_are_told() -> None:
    with pytest.raises(stayline.InvalidArgument, match="stale_after"):
        stayline.Settings(stale_after=1)  # type: ignore[call-arg]
    for wrong in (-1, "long", 1.5, True, 10**30):
        with pytest.raises(stayline.InvalidArgument, match="an integer"):
            stayline.Settings(stale_after_ms=wrong)  # type: ignore[arg-type]
    for wrong in (10**30, -(10**30), 10**5_000, float("nan"), float("inf"), -1, timedelta.max):
        for name in ("interrupt_grace_ms", "give_up_after_ms", "reconnect_attempts", "jitter"):
            with pytest.raises(stayline.InvalidArgument, match=name):
                stayline.Settings(**{name: wrong})  # type: ignore[arg-type]
    with pytest.raises(stayline.InvalidSettings) as contradiction:
        stayline.Settings(heartbeat_interval_ms=45_000)
    assert contradiction.value.first == "heartbeat_interval_ms"
    assert contradiction.value.second == "stale_after_ms"


def test_a_coordinator_shows_its_settings() -> None:
    settings = stayline.Settings(lease_ttl_ms=1_000)
    with stayline.Coordinator("memory:", settings=settings) as coordinator:
        assert coordinator.settings == settings
