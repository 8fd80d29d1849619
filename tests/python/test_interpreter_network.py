"""The simulated network, between this module's own two ends: what arrives, and when."""

from __future__ import annotations

import json
from typing import Any

import pytest
from stayline.testing import Scenario, open_driver, parse, run

ACKNOWLEDGED = {"wrapper": {"acknowledged": True}}
PAIRED: list[Any] = [{"do": "start"}, {"do": "pair"}, {"do": "w_open"}]


def send(number: int) -> dict[str, Any]:
    """A wrapper sends an event."""
    return {"do": "w_send", "type": "output", "data": {"n": number}}


def stored(*numbers: int) -> dict[str, Any]:
    """These have arrived, in this order."""
    listed = [{"data": {"n": number}} for number in numbers]
    return {"expect": "events", "types": ["output"], "list": listed}


def state(name: str, **more: Any) -> dict[str, Any]:
    """The wrapper is in this state."""
    return {"expect": "w_state", "state": name, **more}


NOW = {"do": "advance", "ms": 0}

CASES: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "handshakes and frames wait for the next advance": (
        ACKNOWLEDGED,
        [
            *PAIRED,
            state("connecting"),
            {"expect": "execution", "status": "pending"},
            NOW,
            state("connected"),
            {"expect": "execution", "status": "running"},
            send(1),
            stored(),
            state("connected", unacknowledged=1),
            NOW,
            stored(1),
            state("connected", unacknowledged=0),
        ],
    ),
    "a cut loses the last frames, and the coordinator learns of it behind the others": (
        {},
        [
            *PAIRED,
            NOW,
            send(1),
            send(2),
            send(3),
            {"do": "cut", "lose": 1},
            state("reconnecting"),
            stored(),
            {"expect": "session", "grace": False},
            NOW,
            stored(1, 2),
            {"expect": "session", "grace": True},
            {"expect": "link", "link": "w", "open": False, "code": 1006},
        ],
    ),
    "a cut that loses everything is known to both ends at once": (
        {},
        [
            *PAIRED,
            NOW,
            send(1),
            {"do": "cut", "code": 1001},
            state("reconnecting"),
            {"expect": "session", "grace": True},
            {"expect": "link", "link": "w", "open": False, "code": 1001},
            NOW,
            stored(),
        ],
    ),
    "a cut loses what was under way to the wrapper": (
        {},
        [
            *PAIRED,
            NOW,
            {"do": "w_job"},
            {"do": "w_turn"},
            {"do": "interrupt", "returns": "sent"},
            {"do": "cut"},
            {"expect": "w_told", "list": [{"reconnecting": 1}]},
            {"do": "advance", "ms": 1000},
            {"expect": "w_told", "list": ["reconnected", "abort"]},
        ],
    ),
    "a cut handshake never arrives": (
        {},
        [
            *PAIRED,
            {"do": "cut"},
            {"expect": "w_told", "list": ["disconnected"]},
            NOW,
            {"expect": "execution", "status": "pending"},
        ],
    ),
    "a black hole swallows what is under way and tells nobody": (
        ACKNOWLEDGED,
        [
            *PAIRED,
            NOW,
            {"do": "w_job"},
            {"do": "w_turn"},
            send(1),
            {"do": "interrupt", "returns": "sent"},
            {"do": "black_hole", "on": True},
            {"do": "black_hole", "on": False},
            NOW,
            stored(),
            {"expect": "w_told", "list": []},
            state("connected", unacknowledged=1),
            {"expect": "link", "link": "w", "open": True},
            {"expect": "session", "grace": False},
            {"do": "advance", "ms": 16000},
            {"expect": "w_told", "list": [{"reconnecting": 1}, "reconnected", "abort"]},
            state("connected", unacknowledged=0),
            stored(1),
        ],
    ),
    "attempts into a black hole time out": (
        {},
        [
            *PAIRED,
            NOW,
            {"do": "black_hole", "on": True},
            {"do": "cut"},
            {"do": "advance", "ms": 5000},
            {"expect": "w_attempts", "count": 2},
            state("reconnecting"),
            {"expect": "w_told", "list": [{"reconnecting": 1}]},
        ],
    ),
    "refusals are counted, and carry their header": (
        {},
        [
            {"do": "start"},
            {"do": "pair"},
            {"do": "w_open"},
            NOW,
            {"do": "refuse", "status": 503, "times": 1},
            {"do": "cut"},
            {"do": "advance", "ms": 1000},
            {"expect": "w_told", "list": [{"reconnecting": 1}, {"reconnecting": 2}]},
            {"do": "refuse", "status": 401, "refusal": "unauthorized", "times": 1},
            {"do": "advance", "ms": 2000},
            {"expect": "w_told", "list": ["disconnected"]},
            {"expect": "session", "grace": True},
        ],
    ),
    "the coordinator's own refusal reaches the wrapper": (
        {},
        [
            *PAIRED,
            NOW,
            {"do": "cut"},
            {"do": "finish", "status": "completed"},
            {"do": "advance", "ms": 1000},
            {
                "expect": "w_told",
                "list": [{"reconnecting": 1}, {"execution_done": {"status": "completed"}}],
            },
            {"expect": "link", "link": "w", "open": False},
        ],
    ),
    "what was written before a close arrives": (
        {},
        [
            *PAIRED,
            NOW,
            send(1),
            {"do": "w_close"},
            {"expect": "link", "link": "w", "open": True},
            NOW,
            stored(1),
            {"expect": "link", "link": "w", "open": False},
            {"expect": "session", "grace": True},
        ],
    ),
    "what was written before a crash arrives": (
        {},
        [
            *PAIRED,
            NOW,
            send(1),
            {"do": "w_crash"},
            state("idle"),
            NOW,
            stored(1),
            {"expect": "link", "link": "w", "open": False, "code": 1006},
            {"do": "w_opened", "attempt": 1},
            {"do": "w_open"},
            {"expect": "w_attempts", "count": 2},
            NOW,
            state("connected"),
            {"expect": "session", "grace": False},
        ],
    ),
    "while the coordinator is frozen nothing arrives": (
        {},
        [
            *PAIRED,
            NOW,
            {"do": "suspend", "ms": 45000},
            {"expect": "w_sent", "list": [{}, {}]},
            {"expect": "deadline", "in_ms": 90001},
            {"do": "advance", "ms": 1000},
            {"expect": "deadline", "in_ms": 89001},
        ],
    ),
    "a link that a terminal step closes is closed for the wrapper by the next advance": (
        {},
        [
            *PAIRED,
            NOW,
            send(1),
            {"do": "fail", "message": "x", "returns": True},
            {"expect": "link", "link": "w", "open": False, "code": 4000},
            state("connected"),
            NOW,
            state("closed"),
            {"expect": "events", "types": ["output"], "list": [{"late": True}]},
        ],
    ),
    "two wrappers have two connections": (
        {},
        [
            {"do": "start", "session": "a"},
            {"do": "start", "session": "b"},
            {"do": "pair", "session": "a", "wrapper": "w"},
            {"do": "pair", "session": "b", "wrapper": "v"},
            {"do": "w_open"},
            {"do": "w_open", "wrapper": "v"},
            NOW,
            {"do": "cut", "wrapper": "v"},
            state("connected"),
            state("reconnecting", wrapper="v"),
            {"expect": "session", "session": "a", "grace": False},
            {"expect": "session", "session": "b", "grace": True},
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_network(name: str) -> None:
    settings, steps = CASES[name]
    (scenario,) = parse(json.dumps({"name": name, "settings": settings, "steps": steps}))
    assert isinstance(scenario, Scenario), scenario
    driver = open_driver("python")
    try:
        assert run(scenario, driver).line == f"ok {name}"
    finally:
        driver.close()


RESTART: list[Any] = [
    *PAIRED,
    NOW,
    send(1),
    {"do": "subscribe", "name": "r"},
    {"do": "restart", "down_ms": 5000},
    {"expect": "link", "link": "w", "open": False, "code": 1006},
    {"expect": "w_told", "list": [{"reconnecting": 1}, {"reconnecting": 2}, {"reconnecting": 3}]},
    {"expect": "stream", "name": "r", "list": [{"type": "connected"}]},
    stored(),
    {"do": "advance", "ms": 2000},
    {"expect": "w_told", "list": ["reconnected"]},
    {"expect": "session", "grace": False},
]


def test_what_is_under_way_at_a_restart_is_lost_and_attempts_fail_until_it_is_back() -> None:
    (scenario,) = parse(json.dumps({"name": "restart", "steps": RESTART}))
    assert isinstance(scenario, Scenario), scenario
    driver = open_driver("python")
    try:
        assert run(scenario, driver, "sqlite").line == "ok restart"
        assert run(scenario, driver, "memory").outcome == "skip"
    finally:
        driver.close()
