"""What people see: the words for events, tables that fit, notes that say whose they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import stayline
from command import STAYLINE, begin, call, finish, line_of
from stayline.cli import console, lines, watch
from stayline.cli.views import Record, Run, State
from test_cli_terminal import Terminal
from timelines import SESSION, everything


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one run of each kind, and nobody who owns its file."""
    (tmp_path / ".stayline").mkdir()
    with everything(tmp_path / ".stayline" / "runs.db"):
        pass
    return tmp_path


@pytest.fixture
def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "movable", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")


def said(event_type: str, data: object) -> str:
    frame = {"eventId": 7, "executionId": "e", "streamEventType": event_type, "timestamp": ""}
    return lines.line(Record(json.dumps({**frame, "data": data}, separators=(",", ":"))))


@pytest.mark.parametrize(
    ("event_type", "data", "told"),
    [
        ("output", {"text": "words"}, "words"),
        ("output", {"text": "words", "of": "it"}, '{"text":"words","of":"it"}'),
        ("complete", {"exitCode": 3}, "exit code 3"),
        ("complete", {"exitCode": 0, "currentBranch": "main"}, "exit code 0, branch main"),
        ("complete", {"exitCode": 0, "cost": 2}, '{"exitCode":0,"cost":2}'),
        ("complete", {"exitCode": True}, '{"exitCode":true}'),
        ("error", {"error": "no luck", "fatal": True}, "no luck (fatal)"),
        ("error", {"error": "no luck", "fatal": False}, "no luck"),
        ("error", {"error": "no luck", "code": 5}, '{"error":"no luck","code":5}'),
        ("error", {"error": "no", "fatal": True, "exitCode": 3}, "no (fatal, exit code 3)"),
        ("error", {"error": "exit code 3", "fatal": True, "exitCode": 3}, "exit code 3 (fatal)"),
        ("error", {"error": "no", "exitCode": "3"}, '{"error":"no","exitCode":"3"}'),
        (
            "error",
            {"error": "no", "exitCode": -9, "fatal": True, "truncated": True, "bytes": 5_000},
            "no (fatal, exit code -9, cut, was 5000 bytes)",
        ),
        ("interrupted", {"reason": "User interrupted"}, "User interrupted"),
        ("interrupted", {"reason": "Ctrl-C", "exitCode": 130}, "Ctrl-C, exit code 130"),
        ("interrupted", {"exitCode": 130}, "exit code 130"),
        (
            "interrupted",
            {"reason": "Ctrl-C", "exitCode": 0.5},
            '{"reason":"Ctrl-C","exitCode":0.5}',
        ),
        ("interrupted", {}, "{}"),
        ("wrapper_reconnected", {"disconnectedMs": 2_200}, "after 2.2s"),
        (
            "wrapper_disconnected",
            {"error": "gone", "wsCloseCode": 1006, "wsCloseReason": ""},
            "did not come back (code 1006)",
        ),
        (
            "wrapper_disconnected",
            {"error": "gone", "wsCloseCode": 1000, "wsCloseReason": "bye"},
            "did not come back (code 1000 bye)",
        ),
        ("gap", {"requested": 5, "earliest": 120}, "asked for 5, there is 120 and later"),
        ("complete", "no object", '"no object"'),
    ],
)
def test_events_are_told_in_words_where_nothing_is_lost_by_it(
    event_type: str, data: object, told: str
) -> None:
    assert said(event_type, data).endswith(f"  {event_type}  {told}")


def test_a_run_that_is_gone_ran_until_it_was_last_seen() -> None:
    gone = replace(RUN, owned=False, started_ms=1_000, seen_ms=4_000)
    assert gone.seconds(3_600_000) == 3.0
    assert replace(gone, owned=True).seconds(3_600_000) == 3_599.0


@pytest.mark.usefixtures("on_a_terminal")
@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 120, 160])
def test_a_table_that_is_drawn_again_fits_every_terminal(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "columns", lambda: width)
    titles = ["session", "execution", "status", "health", "started", "duration", "seen", "error"]
    row = [
        "s" * 33,
        "e" * 40,
        "interrupted",
        "no link",
        "2026-11-25 23:35:09",
        "3.0s",
        "9d04h",
        "x",
    ]
    drawn = console.table_lines(
        titles,
        [row],
        right=["duration", "seen"],
        spare=["error", "started"],
        last=["seen", "health", "duration", "execution"],
        cut=True,
    )
    assert max(console.cells(line) for line in drawn) <= width
    assert "STATUS" in drawn[0]
    # Whether somebody is connected is told down to terminals that nobody has.
    assert ("HEALTH" in drawn[0]) == (width >= 60)


def test_a_column_without_anything_is_left_out() -> None:
    assert console.table_lines(["a", "error"], [["1", ""]], right=[]) == ["A", "1"]
    assert console.table_lines(["a", "error"], [["1", ""], ["2", "why"]], right=[]) == [
        "A  ERROR",
        "1",
        "2  why",
    ]


def test_a_listing_says_why_a_run_failed(folder: Path) -> None:
    listed = call(folder, "runs").stdout.decode().splitlines()
    assert listed[0].endswith("  ERROR")
    (failed,) = [line for line in listed if " failed " in line]
    assert failed.endswith("  Wrapper disconnected")


RUN = Run(
    session="checkout-service:fix-flaky-tests",
    execution="exc_01a21510-1460-7541-9852-25bfcb6c442f",
    status="running",
    error=None,
    exit_code=None,
    mode=None,
    health="healthy",
    created_ms=0,
    started_ms=0,
    completed_ms=None,
    seen_ms=1_000,
    reconnects=2,
    interrupt_requested=True,
    linked=False,
    events=6,
    owned=True,
    place="",
)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 160])
def test_the_last_line_leaves_out_whole_figures_rather_than_cutting_one(width: int) -> None:
    told = watch._summary(State(RUN.session, 9, RUN), 3, 4_000, width)
    assert console.cells(told) <= width
    if width >= 80:
        # Nobody is connected: that it was heard of lately is no comfort.
        assert "running, no wrapper is connected, asked to stop" in told
        assert "healthy" not in told
        assert not told.endswith("\u2026")
    if width == 160:
        assert told.endswith(
            "asked to stop \u00b7 3 behind \u00b7 4.0s \u00b7 6 events \u00b7 2 reconnects"
            " \u00b7 seen 3.0s ago"
        )


def test_a_run_is_named_before_its_first_event(tmp_path: Path) -> None:
    (tmp_path / ".stayline").mkdir()
    location = f"sqlite:{tmp_path / '.stayline' / 'runs.db'}"
    with stayline.Coordinator(location) as coordinator:
        session = coordinator.session("s")
        first = session.start()
        session.attach(first.id, token=first.token).receive(
            '{"streamEventType":"complete","data":{"exitCode":0}}'
        )
        first.wait(20)
        # Looks so seldom that the events of the next run come before it looks by itself.
        process = begin(tmp_path, "watch", "s", "--interval", "2")
        told = [line_of(process) for _ in range(2)]
        assert "complete" in told[1]
        second = session.start()
        link = session.attach(second.id, token=second.token)
        link.receive('{"streamEventType":"output","data":{"text":"hi"}}')
        assert f"{second.id} running" in line_of(process)
        assert line_of(process).endswith("output  hi")
        process.terminate()
        finish(process)


def test_a_terminal_is_told_a_runs_name_once_and_keeps_no_old_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / ".stayline").mkdir()
    location = f"sqlite:{tmp_path / '.stayline' / 'runs.db'}"
    with stayline.Coordinator(location) as coordinator:
        session = coordinator.session("s")
        execution = session.start()
        link = session.attach(execution.id, token=execution.token)
        terminal = Terminal(*STAYLINE, "watch", "s", "--interval", "0.05")
        try:
            terminal.wait_for(f"{execution.id} running, healthy".encode())
            link.closed(1006)
            terminal.wait_for(b"running, no wrapper is connected")
            assert execution.id.encode() not in terminal.passed
            # Clearing from the top of the screen to its bottom at once makes some terminals keep
            # what was there.
            assert b"\x1b[J" not in terminal.passed
            assert b"\x1b[2K" in terminal.passed
            terminal.type(b"\x03")
            assert terminal.wait() == 130
        finally:
            terminal.close()


def test_a_timeline_tells_an_interrupt_once(folder: Path) -> None:
    text = call(folder, "timeline", SESSION).stdout.decode()
    told = [line[16:] for line in text.splitlines() if line.startswith("  +")]
    assert [line for line in told if "interrupted" in line] == ["interrupted: User interrupted"]
