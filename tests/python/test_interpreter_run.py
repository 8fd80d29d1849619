"""The interpreter: what it says when a case fails, and in which order it lets things happen."""

from __future__ import annotations

import json
from typing import Any

import pytest
from scripted_driver import ScriptedDriver
from stayline.testing import OperationError, Result, Scenario, parse, run
from stayline.testing.format import WRAPPER_DEFAULTS

START = 1_700_000_000_000


def result(steps: list[Any], answers: dict[str, Any] | None = None, **more: Any) -> Result:
    """How a case ends with a driver that gives these answers."""
    return run(scenario(steps, **more), ScriptedDriver(answers))


def scenario(steps: list[Any], **more: Any) -> Scenario:
    """A case that is right."""
    (item,) = parse(json.dumps({"name": "case", "steps": steps, **more}))
    assert isinstance(item, Scenario), item
    return item


EVENT = {"execution": "e", "type": "output", "timestamp": START, "late": False}
NOTIFICATION = {"notification_id": "ntf_1", "kind": "execution_ended", "session_id": "s"}


@pytest.mark.parametrize(
    ("steps", "answers", "line"),
    [
        (
            [{"do": "start"}, {"expect": "execution", "status": "failed"}],
            {},
            "FAIL case: step 2 (expect execution): status is running, expected failed",
        ),
        (
            [{"expect": "execution", "message_contains": "gone"}],
            {},
            "FAIL case: step 1 (expect execution): message is null, expected to contain gone",
        ),
        (
            [{"expect": "execution", "has_completed_at": True}],
            {},
            "FAIL case: step 1 (expect execution): has_completed_at is false, expected true",
        ),
        (
            [{"expect": "execution"}],
            {"execution": OperationError("NotFound", "no", {"what": "e"})},
            "FAIL case: step 1 (expect execution): there is no execution e",
        ),
        (
            [{"expect": "active", "execution": "e"}],
            {},
            "FAIL case: step 1 (expect active): execution is null, expected e",
        ),
        (
            [{"expect": "session", "exists": True}],
            {"session": OperationError("NotFound", "no", {})},
            "FAIL case: step 1 (expect session): exists is false, expected true",
        ),
        (
            [{"expect": "events", "count": 2}],
            {"events": [{"id": 1, "data": {}, **EVENT}]},
            "FAIL case: step 1 (expect events): count is 1, expected 2",
        ),
        (
            [{"expect": "events", "list": [{"id": 1, "data": {"n": 2}}]}],
            {"events": [{"id": 1, "data": {"n": 1, "m": 5}, **EVENT}]},
            "FAIL case: step 1 (expect events): list[0].data.n is 1, expected 2",
        ),
        (
            [{"expect": "events", "list": []}],
            {"events": [{"id": 1}]},
            'FAIL case: step 1 (expect events): list is [{"id": 1}], expected []',
        ),
        (
            [{"expect": "deadline", "in_ms": None}],
            {"next_deadline": START + 7},
            "FAIL case: step 1 (expect deadline): in_ms is 7, expected null",
        ),
        (
            [{"expect": "link", "open": True}],
            {},
            "FAIL case: step 1 (expect link): open is false, expected true",
        ),
        (
            [{"expect": "stream", "name": "r", "list": []}],
            {},
            "FAIL case: step 1 (expect stream): there is no subscriber r",
        ),
        (
            [{"do": "fail", "message": "x", "returns": True}],
            {"fail": False},
            "FAIL case: step 1 (do fail): result is false, expected true",
        ),
        (
            [{"do": "take_notification", "returns": {"attempt": 2}}],
            {"take_notification": {**NOTIFICATION, "attempt": 1}},
            "FAIL case: step 1 (do take_notification): result.attempt is 1, expected 2",
        ),
        (
            [{"do": "start", "error": "AlreadyExists"}],
            {},
            "FAIL case: step 1 (do start): it succeeded, expected AlreadyExists",
        ),
        (
            [{"do": "start"}],
            {"start": OperationError("AlreadyExists", "it is there", {})},
            "FAIL case: step 1 (do start): AlreadyExists: it is there",
        ),
        (
            [{"do": "start", "error": "ExecutionInProgress", "active": "a"}],
            {"start": OperationError("ExecutionInProgress", "busy", {"active": "b"})},
            "FAIL case: step 1 (do start): ExecutionInProgress.active is b, expected a",
        ),
        (
            [{"do": "start", "error": "NotFound"}],
            {"start": OperationError("Closed", "closed", {})},
            "FAIL case: step 1 (do start): error is Closed: closed, expected NotFound",
        ),
        (
            [{"do": "w_job"}, {"expect": "w_state", "state": "idle"}],
            {},
            "FAIL case: step 2 (expect w_state): state is connected, expected idle",
        ),
        (
            [{"do": "receive", "raw": "x"}],
            {},
            "FAIL case: step 1 (do receive): NotFound: the scenario has no link l",
        ),
    ],
)
def test_a_failure_names_the_step_and_the_difference(
    steps: list[Any], answers: dict[str, Any], line: str
) -> None:
    assert result(steps, answers).line == line


def test_true_is_not_one_and_null_is_absent() -> None:
    events = {"events": [{"id": 1, "data": {"n": 1, "flag": True}, **EVENT}]}
    fits = {"expect": "events", "list": [{"data": {"flag": True, "other": None}}]}
    assert result([fits], events).outcome == "ok"
    wrong = {"expect": "events", "list": [{"data": {"flag": 1}}]}
    assert result([wrong], events).reason.endswith("list[0].data.flag is true, expected 1")


def test_what_a_host_was_told_matches_by_name_or_by_content() -> None:
    told = [{"tell": {"reconnecting": 1}}, {"tell": {"abort": {"signal": "SIGTERM"}}}]
    polls = [told]
    answers = {"w_poll": lambda wrapper: polls.pop() if polls else []}
    fits = [{"do": "w_job"}, {"expect": "w_told", "list": [{"reconnecting": 1}, "abort"]}]
    assert result(fits, answers).outcome == "ok"
    polls.append(told)
    wrong = [{"do": "w_job"}, {"expect": "w_told", "list": [{"reconnecting": 2}, "abort"]}]
    assert result(wrong, answers).reason == (
        'step 2 (expect w_told): list is [{"reconnecting": 1}, {"abort": {"signal": "SIGTERM"}}], '
        'expected [{"reconnecting": 2}, "abort"]'
    )


def test_a_look_takes_everything_even_what_it_filters_out() -> None:
    outputs = [[{"send": '{"type":"ack","seq":1}'}, {"send": '{"type":"kill"}'}]]
    answers = {"link_outputs": lambda link: outputs.pop() if outputs else []}
    steps = [
        {"do": "start"},
        {"do": "attach"},
        {"expect": "frames", "types": ["ack"], "list": [{"seq": 1}]},
        {"expect": "frames", "types": ["kill"], "list": []},
    ]
    assert result(steps, answers).outcome == "ok"


def test_settings_that_are_meant_to_be_refused() -> None:
    refused = OperationError(
        "InvalidSettings", "no", {"first": "stale_after_ms", "second": "link_timeout_ms"}
    )

    def line(error: Any, answers: dict[str, Any]) -> str:
        return result([], answers, error=error).line

    named = {"name": "InvalidSettings", "first": "link_timeout", "second": "stale_after"}
    assert line(named, {"open": refused}) == "ok case"
    # Where only the wrapper looks at them, it is the wrapper that refuses.
    assert line({"name": "InvalidSettings"}, {"w_new": refused}) == "ok case"
    other = {"name": "InvalidSettings", "first": "jitter"}
    assert line(other, {"open": refused}) == (
        "FAIL case: settings: InvalidSettings.first is stale_after, expected jitter"
    )
    assert line({"name": "InvalidSettings"}, {}) == (
        "FAIL case: settings: they are accepted, expected InvalidSettings"
    )
    assert line({"name": "InvalidArgument"}, {"open": refused}) == (
        "FAIL case: settings: error is InvalidSettings: no, expected InvalidArgument"
    )
    assert result([], {"open": refused}).line == "FAIL case: settings: InvalidSettings: no"


def test_reopen_opens_the_same_store_with_other_settings() -> None:
    driver = ScriptedDriver()
    steps: list[Any] = [
        {"do": "w_job"},
        {"do": "reopen", "settings": {"stale_after": 3, "wrapper": {"ack_timeout": 2}}},
        {"do": "w_crash"},
        {"do": "w_job"},
        {"do": "restart"},
    ]
    case = scenario(steps, settings={"stale_after": 1, "max_nesting": 5})
    assert run(case, driver, "sqlite").line == "ok case"
    opened = driver.arguments("open")
    before = {**WRAPPER_DEFAULTS, "stale_after_ms": 1, "max_nesting": 5}
    after = {**before, "stale_after_ms": 3, "ack_timeout_ms": 2}
    assert [call["settings"] for call in opened] == [before, after, after]
    assert [call["fresh"] for call in opened] == [True, False, False]
    assert len({call["location"] for call in opened}) == 1
    assert [call["settings"] for call in driver.arguments("w_new")] == [before, after]


def test_what_cannot_be_run_is_skipped_and_says_why() -> None:
    assert result([{"do": "restart"}]).line == "skip case: needs a durable store"
    reopen = {"do": "reopen", "settings": {"stale_after": 3}}
    assert result([reopen]).line == "skip case: needs a durable store"
    durable = {"wrapper": {"outbox": "durable"}}
    assert result([], settings=durable).line == (
        "skip case: needs a durable outbox, which this driver does not have"
    )
    driver = ScriptedDriver()
    driver.capabilities = frozenset({"durable_outbox"})
    assert run(scenario([{"do": "w_job"}], settings=durable), driver).line == "ok case"
    (made,) = driver.arguments("w_new")
    assert made["settings"]["outbox"].endswith("/w.outbox")


def test_time_goes_from_one_due_moment_to_the_next_wrappers_first() -> None:
    wrapper = [START + 5, START + 20]
    coordinator = [START + 5, START + 9, START + 100]
    log: list[str] = []

    def next_of(moments: list[int]) -> int | None:
        return moments[0] if moments else None

    def fire(name: str, moments: list[int]) -> None:
        log.append(f"{name} {moments.pop(0) - START}")

    answers = {
        "w_next_deadline": lambda wrapper: next_of(wrapper_moments),
        "w_timeout": lambda wrapper, now: fire("wrapper", wrapper_moments),
        "next_deadline": lambda: next_of(coordinator),
        "handle_due": lambda: fire("coordinator", coordinator),
        "set_time": lambda now: log.append(f"time {now - START}"),
    }
    wrapper_moments = wrapper
    assert result([{"do": "w_job"}, {"do": "advance", "ms": 50}], answers).outcome == "ok"
    assert log == [
        "time 5",
        "wrapper 5",
        "coordinator 5",
        "time 9",
        "coordinator 9",
        "time 20",
        "wrapper 20",
        "time 50",
    ]


def test_a_deadline_that_never_goes_away_is_told() -> None:
    stuck = result([{"do": "advance", "ms": 1}], {"next_deadline": START})
    assert stuck.reason == (
        f"step 1 (do advance): Panic: something is due again and again at {START}"
    )


def test_suspending_is_noticed_at_the_end_while_wrappers_run_on() -> None:
    moments = [START + 10, START + 30]
    log: list[str] = []
    answers = {
        "w_next_deadline": lambda wrapper: moments[0] if moments else None,
        "w_timeout": lambda wrapper, now: log.append(f"wrapper {moments.pop(0) - START}"),
        "next_deadline": START + 1,
        "handle_due": lambda: log.append("coordinator"),
        "suspend": lambda ms: log.append(f"suspend {ms}"),
    }
    steps = [{"do": "w_job"}, {"do": "suspend", "ms": 30}]
    assert result(steps, answers).outcome == "ok"
    assert log == ["wrapper 10", "wrapper 30", "suspend 30"]


def test_tokens_and_attempt_numbers_are_filled_in() -> None:
    driver = ScriptedDriver({"start": {"execution_id": "e", "token": "secret"}})
    steps = [
        {"do": "start"},
        {"do": "attach"},
        {"do": "attach", "acknowledged": True},
        {"do": "attach", "acknowledged": True, "attempt": 7},
        {"do": "attach", "acknowledged": True, "producer": "q", "token": None},
        {"do": "attach", "acknowledged": True},
        {"do": "attach", "execution": "unknown"},
    ]
    assert run(scenario(steps), driver).outcome == "ok"
    asked = [
        (made["token"], made["acknowledged"], made["producer"], made["attempt"])
        for made in driver.arguments("attach")
    ]
    assert asked == [
        ("secret", False, None, None),
        ("secret", True, "p", 1),
        ("secret", True, "p", 7),
        (None, True, "q", 1),
        ("secret", True, "p", 8),
        (None, False, None, None),
    ]


def test_every_case_begins_and_ends_with_nothing() -> None:
    driver = ScriptedDriver()
    run(scenario([{"do": "start"}]), driver)
    names = [name for name, _ in driver.asked]
    assert names[0] == "reset"
    assert names[-1] == "reset"
    assert driver.arguments("open") == [
        {
            "location": "memory:",
            "settings": {"acknowledged": False, "jitter": 0, "send_timeout_ms": 0},
            "now": START,
            "fresh": True,
        }
    ]
