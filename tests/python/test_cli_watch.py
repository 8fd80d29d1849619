"""`stayline watch`, `events --follow`, `fail`, `interrupt` and `timeline`."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
import stayline
from command import STAYLINE, begin, call, environment, finish, line_of, listed, serving
from test_cli_terminal import Terminal
from timelines import SESSION, everything

KEY = "a key for tests"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one run of each kind, and nobody who owns its file."""
    (tmp_path / ".stayline").mkdir()
    with everything(tmp_path / ".stayline" / "runs.db"):
        pass
    return tmp_path


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[stayline.Session]:
    """A session whose coordinator is at work in this process."""
    (tmp_path / ".stayline").mkdir()
    with stayline.Coordinator(f"sqlite:{tmp_path / '.stayline' / 'runs.db'}") as coordinator:
        yield coordinator.session("s")


def read_until(process: subprocess.Popen[bytes], text: str) -> list[str]:
    lines = [line_of(process)]
    while text not in lines[-1]:
        assert lines[-1], finish(process)
        lines.append(line_of(process))
    return lines


def running(session: stayline.Session) -> tuple[stayline.Execution, stayline.Link]:
    execution = session.start()
    link = session.attach(execution.id, token=execution.token)
    return execution, link


def output(text: str) -> str:
    return json.dumps({"streamEventType": "output", "data": {"text": text}})


# --- watch ----------------------------------------------------------------------------------------


def test_watch_tells_events_and_changes_as_they_come(
    tmp_path: Path, owner: stayline.Session
) -> None:
    execution, link = running(owner)
    link.receive(output("first"))
    process = begin(tmp_path, "watch", "s", "--interval", "0.05", "--until-end")
    assert f"{execution.id} running, healthy" in read_until(process, "running")[-1]
    read_until(process, "output  first")
    link.closed(1006)
    read_until(process, "no wrapper is connected")
    link = owner.attach(execution.id, token=execution.token)
    read_until(process, "wrapper_reconnected")
    link.receive(output("\x1b[31msecond"))
    assert r"\x1b[31msecond" in read_until(process, "second")[-1]
    link.receive('{"streamEventType":"complete","data":{"exitCode":0}}')
    code, out, err = finish(process)
    assert (code, err) == (0, "")
    assert "complete" in out
    assert "\x1b" not in out


def test_watch_until_end_fails_with_the_run(tmp_path: Path, owner: stayline.Session) -> None:
    execution, link = running(owner)
    process = begin(tmp_path, "watch", "s", "--interval", "0.05", "--until-end")
    read_until(process, "running")
    owner.fail(execution.id, "boom")
    code, out, _ = finish(process)
    assert code == 1
    assert "failed (boom)" in out
    assert link.execution_id == execution.id


@pytest.mark.parametrize("through_a_server", [False, True])
def test_watch_until_end_does_not_wait_for_events_that_are_not_kept_any_more(
    tmp_path: Path, through_a_server: bool
) -> None:
    days = 2 * 24 * 3600
    # Not so long ago that a server would take the session away.
    clock = stayline.ManualClock(round(time.time() - days) * 1000)
    settings = stayline.Settings(event_retention_ms=60_000)
    location = f"sqlite:{tmp_path / 'runs.db'}"
    with stayline.Coordinator(location, settings=settings, clock=clock) as coordinator:
        session = coordinator.session("s")
        execution, link = running(session)
        link.receive(output("old"))
        session.finish(execution.id)
        clock.advance(days)
        assert session.count_events() == 0
    place = ("--store", location)
    with serving(tmp_path, *place) if through_a_server else nullcontext("") as url:
        if through_a_server:
            place = ("--to", url)
        answer = call(tmp_path, "watch", "s", "--until-end", "--interval", "0.05", *place)
    assert answer.returncode == 0, answer


def test_watch_as_json_is_events_and_states(tmp_path: Path, owner: stayline.Session) -> None:
    execution, link = running(owner)
    link.receive(output("first"))
    link.receive('{"streamEventType":"complete","data":{"exitCode":0}}')
    execution.wait(20)
    answer = call(tmp_path, "watch", "s", "--json", "--until-end")
    assert answer.returncode == 0
    records = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [record["streamEventType"] for record in records] == ["state", "output", "complete"]
    assert records[0]["data"]["status"] == "completed"
    assert [record["eventId"] for record in records] == [0, 1, 2]


def test_watch_of_all_runs_tells_what_changed(tmp_path: Path, owner: stayline.Session) -> None:
    execution, link = running(owner)
    process = begin(tmp_path, "watch", "--json", "--interval", "0.05")
    told = json.loads(line_of(process))
    assert (told["execution"], told["status"], told["connected"]) == (execution.id, "running", True)
    link.receive('{"streamEventType":"complete","data":{"exitCode":0}}')
    assert json.loads(line_of(process))["status"] == "completed"
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert (code, out, err) == (130, "", "")


def test_watch_waits_where_nothing_ran_yet(tmp_path: Path) -> None:
    process = begin(tmp_path, "watch", "--interval", "0.05")
    call(tmp_path, "run", "--session", "s", "--", "true")
    assert re.search(r"s  exc_\S+  ", line_of(process))
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == 130


def test_watch_and_events_through_a_server(tmp_path: Path) -> None:
    with serving(tmp_path, STAYLINE_KEY=KEY) as url:
        script = "echo one; echo two"
        run = call(
            tmp_path,
            "run",
            "--to",
            url,
            "--session",
            "a/b",
            "--",
            "sh",
            "-c",
            script,
            STAYLINE_KEY=KEY,
        )
        assert run.returncode == 0, run.stderr
        asked = ("--to", url, "--key", KEY)
        watched = call(tmp_path, "watch", "a/b", "--until-end", *asked)
        assert watched.returncode == 0, watched.stderr
        text = watched.stdout.decode()
        assert text.index("output  one") < text.index("output  two") < text.index("complete  exit")
        events = call(tmp_path, "events", "a/b", "--types", "output", *asked)
        assert [line.split()[-1] for line in events.stdout.decode().splitlines()] == ["one", "two"]
        (listed_run,) = listed(tmp_path, *asked)
        assert (listed_run["session"], listed_run["status"]) == ("a/b", "completed")
        refused = call(tmp_path, "watch", "a/b", "--to", url)
        assert refused.returncode == 1
        assert b"STAYLINE_KEY" in refused.stderr
        unknown = call(tmp_path, "watch", "nope", *asked)
        assert unknown.returncode == 1
        # A key on the command line is warned about first.
        assert unknown.stderr.count(b"\n") == 2


def test_a_followed_server_that_restarts_is_read_on_without_repeating(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        call(tmp_path, "run", "--to", url, "--session", "s", "--", "echo", "one")
        process = begin(tmp_path, "events", "s", "--to", url, "--follow")
        read_until(process, "complete")
    with serving(tmp_path, "--listen", url.removeprefix("http://")):
        call(tmp_path, "run", "--to", url, "--session", "s", "--", "echo", "two")
        lines = read_until(process, "complete")
        process.send_signal(signal.SIGINT)
        assert finish(process)[0] == 130
    assert [line.split()[2] for line in lines] == ["output", "complete"]
    assert lines[0].endswith("two")


@pytest.mark.parametrize("columns", ["80", "160"])
def test_on_a_terminal_nothing_is_wider_than_it(
    tmp_path: Path, owner: stayline.Session, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.chdir(tmp_path)
    # Held: a link that nobody holds is closed.
    held = running(owner)
    terminal = Terminal(*STAYLINE, "watch", "s", "--interval", "0.05")
    try:
        terminal.wait_for("─".encode() * int(columns) + b"\x1b[0m\r\n")
        terminal.wait_for(b"running, healthy")
        terminal.type(b"\x03")
        assert terminal.wait() == 130
    finally:
        del held
        terminal.close()


def test_no_color_means_none(
    tmp_path: Path, owner: stayline.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, link = running(owner)
    command = 'NO_COLOR=1 "$@"; echo end'
    terminal = Terminal("sh", "-c", command, "sh", *STAYLINE, "runs")
    try:
        terminal.wait_for(b"SESSION")
        terminal.wait_for(b"end")
        assert b"running" in terminal.passed
        assert b"\x1b" not in terminal.passed
        assert not link.congested
    finally:
        terminal.close()


# --- events ---------------------------------------------------------------------------------------


def test_events_are_followed(tmp_path: Path, owner: stayline.Session) -> None:
    _, link = running(owner)
    link.receive(output("first"))
    process = begin(
        tmp_path, "events", "s", "--follow", "--interval", "0.05", "--json", "--limit", "2"
    )
    assert json.loads(line_of(process))["data"] == {"text": "first"}
    link.receive(output("second"))
    assert json.loads(line_of(process))["data"] == {"text": "second"}
    assert finish(process)[0] == 0


def test_events_of_a_time_and_a_tail(folder: Path) -> None:
    def ids(*arguments: str) -> list[int]:
        answer = call(folder, "events", SESSION, "--json", *arguments)
        assert answer.returncode == 0, answer.stderr
        return [json.loads(line)["eventId"] for line in answer.stdout.splitlines()]

    everything_there = ids()
    assert ids("--tail", "5") == everything_there[-5:]
    at = ids("--since", "2026-03-07T16:14:00Z")
    assert at
    assert set(at) < set(everything_there)
    before = ids("--until", "2026-03-07T16:13:59.999Z")
    assert sorted(before + at) == everything_there
    wrong = call(folder, "events", SESSION, "--since", "yesterday")
    assert wrong.returncode == 2
    assert b"'yesterday'" in wrong.stderr


def test_a_reader_that_leaves_early_ends_a_long_listing_quietly(folder: Path) -> None:
    command = f"{' '.join(STAYLINE)} events '{SESSION}' --json --follow | head -n 3"
    answer = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        capture_output=True,
        cwd=folder,
        env=environment(),
        timeout=30,
    )
    assert answer.stdout.count(b"\n") == 3
    assert answer.stderr == b""


# --- fail and interrupt ---------------------------------------------------------------------------


def test_a_run_that_nobody_owns_is_failed_in_its_file(folder: Path) -> None:
    (run,) = listed(folder, "--status", "running")
    answer = call(folder, "fail", SESSION, "-m", "machine is gone")
    assert answer.stdout.decode() == f"failed {run['execution']}\n", answer.stderr
    again = call(folder, "fail", SESSION, run["execution"], "-m", "again")
    assert (again.returncode, again.stdout.decode()) == (
        0,
        f"{run['execution']} had ended already\n",
    )
    nothing = call(folder, "fail", SESSION, "-m", "again")
    assert nothing.returncode == 1
    assert b"nothing is active" in nothing.stderr
    newest = listed(folder)[0]
    assert (newest["status"], newest["error"]) == ("failed", "machine is gone")


def test_interrupt_through_a_server_reaches_the_program(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"
        program = begin(tmp_path, "run", "--to", url, "--session", "s", "--", "sh", "-c", script)
        assert line_of(program) == "ready"
        # Without --to: the file says who owns it and where that serves.
        answer = call(tmp_path, "interrupt", "s")
        assert answer.stdout == b"sent: its wrapper was told to stop\n", answer.stderr
        finish(program)
        assert listed(tmp_path, "--to", url)[0]["status"] == "interrupted"
        assert call(tmp_path, "interrupt", "s").returncode == 1


def test_the_owner_of_a_run_is_named_when_only_it_can_stop_it(tmp_path: Path) -> None:
    program = begin(tmp_path, "run", "--session", "s", "--", "sh", "-c", "echo ready; sleep 30")
    assert line_of(program) == "ready"
    answer = call(tmp_path, "interrupt", "s")
    assert answer.returncode == 1
    assert f"kill {program.pid}" in answer.stderr.decode()
    program.send_signal(signal.SIGTERM)
    finish(program)


# --- timeline and serve ---------------------------------------------------------------------------


def test_a_timeline_in_a_file_and_in_characters(folder: Path) -> None:
    answer = call(folder, "timeline", SESSION, "-o", "run.html")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith(b"run.html: 4 runs, ")
    assert "<svg" in (folder / "run.html").read_text(encoding="utf-8")
    text = call(folder, "timeline", SESSION, COLUMNS="60").stdout.decode()
    assert "the wrapper came back after 7 s" in text
    assert max(map(len, text.splitlines())) <= 60
    wrong = call(folder, "timeline", SESSION, "-o", "run.png")
    assert (wrong.returncode, wrong.stderr.count(b"\n")) == (2, 1)
    assert call(folder, "timeline", "nope").returncode == 1


def test_serve_takes_its_key_from_a_file_or_makes_one(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\nnot this\n")
    with serving(tmp_path, "--key-file", "key") as url:
        assert call(tmp_path, "runs", "--to", url).returncode == 1
        assert call(tmp_path, "runs", "--to", url, "--key", KEY).returncode == 0
    (tmp_path / "empty").write_text("\n")
    for wrong in ("empty", "none"):
        answer = call(tmp_path, "serve", "--key-file", wrong)
        assert (answer.returncode, answer.stderr.count(b"\n")) == (2, 1)
    process = begin(tmp_path, "serve", "--listen", "127.0.0.1:0", "--new-key")
    banner = read_until(process, "  key ")
    found = re.search(r"key +(\S{20,})", banner[-1])
    url_found = re.search(r"http://\S+", banner[0])
    assert found is not None
    assert url_found is not None
    answer = call(tmp_path, "runs", "--to", url_found.group(), STAYLINE_KEY=found.group(1))
    assert answer.stdout == b"no runs\n"
    process.terminate()
    finish(process)
