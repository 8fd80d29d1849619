"""Every driver answers as the Rust one does, also to requests that no scenario makes.

`requests.jsonl` is a session of requests: wrong ones of every kind, the lists and texts at the edge
(empty, with a NUL, beyond the basic plane), and a few that go well so that there is something to
ask about. Words for people may differ, and what the core makes up.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE, ROOT

REQUESTS = Path(__file__).with_name("requests.jsonl")
RUST = ROOT / "target" / "debug" / "stayline-driver"
DRIVERS = {name: ROOT / "target" / "drivers" / f"stayline-driver-{name}" for name in ("c", "cpp")}
MADE_UP = {"epoch", "notification_id", "driver"}
# Errors of the driver protocol itself, each worded by its driver.
DRIVERS_OWN = {"BadArgument", "UnknownOperation"}


@pytest.mark.parametrize("name", DRIVERS)
def test_every_driver_answers_as_the_rust_one(name: str) -> None:
    requests = REQUESTS.read_text().splitlines()
    wanted, found = answers(RUST), answers(DRIVERS[name])
    assert len(wanted) == len(found) == len(requests) > 100
    names = {answer["error"]["name"] for answer in wanted if "error" in answer}
    assert names >= {"BadArgument", "UnknownOperation", "InvalidArgument", "NotFound", "Closed"}
    for request, want, have in zip(requests, wanted, found, strict=True):
        assert have == want, request


def answers(driver: Path) -> list[Any]:
    """What a driver answers to all of them, without what may differ."""
    if not driver.exists():
        pytest.fail(f"there is no {driver}; run `make test-capi`", pytrace=False)
    ended = subprocess.run(
        [driver], input=REQUESTS.read_bytes(), capture_output=True, timeout=PATIENCE
    )
    assert ended.returncode == 0, ended.stderr
    return [comparable(json.loads(line)) for line in ended.stdout.splitlines()]


def comparable(value: Any) -> Any:
    """Numbers stay what they are: 1 is not 1.0."""
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if isinstance(value, (bool, int, float)):
        return (type(value).__name__, value)
    if not isinstance(value, dict):
        return value
    hidden = MADE_UP | ({"message"} if value.get("name") in DRIVERS_OWN else set())
    return {name: comparable(item) for name, item in value.items() if name not in hidden}
