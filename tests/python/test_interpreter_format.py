"""The format of scenario files: everything that is wrong is told by its name and place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import stayline
from stayline.testing import FormatError, Scenario, load, parse, scenario_files
from stayline.testing.vocabulary import ACTIONS, ERRORS, EXPECTATIONS, SETTINGS, WRAPPER_SETTINGS

SCENARIOS = Path(__file__).parents[1] / "scenarios"


def read(content: Any) -> Scenario:
    """One scenario that is right."""
    (item,) = parse(json.dumps(content))
    assert isinstance(item, Scenario), item
    return item


def wrong(content: Any) -> str:
    """What is wrong with one scenario."""
    (item,) = parse(content if isinstance(content, str) else json.dumps(content), "cases.json")
    assert isinstance(item, FormatError), item
    return str(item)


def wrong_step(step: Any) -> str:
    """What is wrong with one step, without the place."""
    text = wrong({"name": "n", "steps": [{"do": "start"}, step]})
    place = "cases.json: scenario n: step 2: "
    assert text.startswith(place)
    return text.removeprefix(place)


@pytest.mark.parametrize(
    ("step", "what"),
    [
        ({"do": "begin"}, 'unknown do "begin"'),
        ({"expect": "happiness"}, 'unknown expect "happiness"'),
        ({"do": 7}, "unknown do 7"),
        ({"do": "start", "x": 1}, 'unknown field "x" of do start'),
        ({"expect": "active", "x": 1, "execution": None}, 'unknown field "x" of expect active'),
        ({"expect": "active", "error": "NotFound"}, 'unknown field "error" of expect active'),
        ({"expect": "active"}, 'field "execution" of expect active is missing'),
        ({"do": "advance"}, 'field "ms" of do advance is missing'),
        ({"do": "advance", "ms": "1"}, 'field "ms" of do advance is "1", not an integer from 0'),
        ({"do": "advance", "ms": True}, 'field "ms" of do advance is true, not an integer from 0'),
        ({"do": "advance", "ms": -1}, 'field "ms" of do advance is -1, not an integer from 0'),
        (
            {"do": "lease", "op": "steal", "lease_id": "a"},
            'field "op" of do lease is "steal", not "acquire", "extend" or "release"',
        ),
        ({"do": "receive"}, 'do receive takes one of "event", "raw" and "binary"'),
        (
            {"do": "receive", "raw": "x", "binary": True},
            'do receive takes one of "event", "raw" and "binary"',
        ),
        (
            {"do": "receive", "event": {"type": "x", "sequence": 1}},
            'field "event" of do receive is {"type": "x", "sequence": 1}, not an object of type '
            "and optionally data, timestamp, seq",
        ),
        ({"do": "start", "error": "Oops"}, 'unknown error "Oops"'),
        (
            {"do": "start", "error": "ExecutionInProgress", "holder": "a"},
            'unknown field "holder" of do start',
        ),
        ({"do": "start", "error": "NotFound", "returns": 1}, 'has both "error" and "returns"'),
        ({"do": "start", "expect": "active"}, 'has both "do" and "expect"'),
        ({"wait": 1}, 'has neither "do" nor "expect"'),
        ("start", 'is "start", not an object'),
        ({"do": "reopen"}, 'field "settings" of do reopen is missing'),
        ({"do": "reopen", "settings": {"stale": 1}}, 'unknown setting "stale"'),
        (
            {"do": "reopen", "settings": {"jitter": 1}},
            'unknown setting "jitter"; it belongs under "wrapper"',
        ),
        (
            {"expect": "events", "list": [{"kind": "x"}]},
            'field "list" of expect events is [{"kind": "x"}], not a list of objects with fields '
            "from type, id, late, data, execution, timestamp",
        ),
        (
            {"expect": "w_told", "list": ["rebooted"]},
            'field "list" of expect w_told is ["rebooted"], not a list of strings or one-field '
            "objects from reconnecting, reconnected, disconnected, execution_done, replaced, "
            "command, restart_feed, task, abort, drained",
        ),
    ],
)
def test_a_wrong_step_is_told_by_its_words(step: Any, what: str) -> None:
    assert wrong_step(step) == what


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("nonsense", "cases.json: is not JSON: "),
        ('{"name":"a","name":"b"}', 'cases.json: is not JSON: field "name" is given twice'),
        ("[1]", "cases.json: scenario number 1: is 1, not an object"),
        ({"steps": []}, 'cases.json: scenario number 1: field "name" is missing or no string'),
        ({"name": "n"}, 'cases.json: scenario n: field "steps" is missing or no list'),
        ({"name": "n", "steps": [], "note": ""}, 'unknown field "note" of a scenario'),
        ({"name": "n", "steps": [], "settings": {"x": 1}}, 'scenario n: unknown setting "x"'),
        (
            {"name": "n", "steps": [], "settings": {"stale_after_ms": 1}},
            'unknown setting "stale_after_ms"',
        ),
        (
            {"name": "n", "steps": [], "settings": {"jitter": 1}},
            'unknown setting "jitter"; it belongs under "wrapper"',
        ),
        (
            {"name": "n", "steps": [], "settings": {"wrapper": {"x": 1}}},
            'unknown setting "x" of the wrapper',
        ),
        ({"name": "n", "error": {"name": "Oops"}}, 'unknown error "Oops"'),
        (
            {"name": "n", "error": {"name": "InvalidSettings", "third": "x"}},
            'unknown field "third" of error InvalidSettings',
        ),
    ],
)
def test_a_wrong_file_is_told_by_its_words(content: Any, what: str) -> None:
    assert what in wrong(content)


def test_a_wrong_scenario_does_not_hide_its_neighbours() -> None:
    text = json.dumps(
        [
            {"name": "first", "steps": []},
            {"name": "second", "steps": [{"do": "nothing"}]},
            {"name": "third", "steps": []},
        ]
    )
    first, second, third = parse(text)
    assert isinstance(first, Scenario)
    assert isinstance(second, FormatError)
    assert second.scenario == "second"
    assert isinstance(third, Scenario)


def test_fields_of_the_error_stand_beside_those_of_the_action() -> None:
    refused = {"do": "attach", "link": "x", "error": "ExecutionNotActive", "status": "failed"}
    (step,) = read({"name": "n", "steps": [refused]}).steps
    assert step.fields == {"link": "x"}
    assert step.error_fields == {"status": "failed"}
    # `status` is the action's own field here.
    finish = {
        "do": "finish",
        "status": "completed",
        "error": "InvalidTransition",
        "from": "pending",
    }
    (step,) = read({"name": "n", "steps": [finish]}).steps
    assert step.fields == {"status": "completed"}
    assert step.error_fields == {"from": "pending"}


def test_settings_reach_both_ends_under_their_full_names() -> None:
    settings = {
        "stale_after": 1,
        "max_frame_bytes": 400,
        "wrapper": {"acknowledged": True, "ack_timeout": 2, "max_frame_bytes": 50},
    }
    scenario = read({"name": "n", "steps": [], "settings": settings})
    both = {
        "acknowledged": True,
        "jitter": 0,
        "send_timeout_ms": 0,
        "stale_after_ms": 1,
        "ack_timeout_ms": 2,
    }
    assert scenario.settings == {**both, "max_frame_bytes": 400}
    assert scenario.wrapper_settings == {**both, "max_frame_bytes": 50}


def test_reopen_changes_what_it_names_and_nothing_else() -> None:
    settings = {"stale_after": 3, "wrapper": {"ack_timeout": 2}}
    reopen = {"do": "reopen", "settings": settings}
    scenario = read({"name": "n", "steps": [reopen], "settings": {"max_nesting": 5}})
    (step,) = scenario.steps
    changed = {"stale_after_ms": 3, "ack_timeout_ms": 2}
    assert step.fields == {"settings": changed, "wrapper_settings": changed}
    assert scenario.settings["max_nesting"] == 5
    assert "stale_after_ms" not in scenario.settings
    assert scenario.needs_durable_store


def test_the_vocabulary_is_that_of_the_core() -> None:
    settings = {row["name"] for row in stayline.Settings.table()}
    assert {*SETTINGS.values(), *WRAPPER_SETTINGS.values()} == settings
    for name, fields in ERRORS.items():
        error = getattr(stayline, name)
        assert issubclass(error, stayline.Error)
        # What Python cannot write after a dot has an underscore.
        assert error.__match_args__ == tuple(field.replace("from", "from_") for field in fields)


def test_every_word_has_an_implementation() -> None:
    from stayline.testing import actions, expectations

    assert set(actions._ACTIONS) == set(ACTIONS)
    assert set(expectations._EXPECTATIONS) == set(EXPECTATIONS)


def test_every_file_of_this_repository_can_be_read_and_uses_every_word() -> None:
    used: set[tuple[str, str]] = set()
    names: list[str] = []
    for path in scenario_files([SCENARIOS]):
        for scenario in load(path):
            assert isinstance(scenario, Scenario), scenario
            assert scenario.rules, f"{scenario.name} names no rule"
            names.append(scenario.name)
            used.update((step.kind, step.name) for step in scenario.steps)
    assert len(names) == len(set(names)), "two scenarios of one name"
    known = {("do", name) for name in ACTIONS} | {("expect", name) for name in EXPECTATIONS}
    assert used == known
