"""`stayline run` with a coordinator of its own: output, exit codes, signals, events."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import stayline
from command import (
    PATIENCE,
    STAYLINE,
    UP,
    begin,
    call,
    closing_line,
    environment,
    finish,
    line_of,
    listed,
    stored,
)
from stayline.cli import main, run
from stayline.cli.supervisor import Supervisor


def test_output_passes_through_byte_for_byte(tmp_path: Path) -> None:
    output = b'text\r\n\xff\xfe bytes\n\n{"a": 1}\nlast without an end'
    source = f"import os, sys; os.write(1, {output!r}); os.write(2, b'\\xfe err\\n'); sys.exit(3)"
    answer = call(tmp_path, "run", "--session", "s", "--", sys.executable, "-c", source)
    assert answer.stdout == output
    assert answer.stderr.startswith(b"\xfe err\n")
    assert answer.returncode == 3
    expected = "stayline: failed (exit code 3), 6 events, 0 reconnects, session s"
    assert closing_line(answer.stderr) == expected
    err = ("output", {"text": "\ufffd err", "base64": "/iBlcnI=", "stream": "stderr"})
    events = stored(tmp_path, "s")
    # The two are read side by side.
    events.remove(err)
    assert events == [
        ("output", {"text": "text"}),
        ("output", {"text": "\ufffd\ufffd bytes", "base64": "//4gYnl0ZXM="}),
        ("output", {"text": ""}),
        ("output", {"a": 1}),
        ("output", {"text": "last without an end"}),
        ("error", {"error": "exit code 3", "fatal": True, "exitCode": 3}),
    ]


def test_json_lines_are_events_but_no_program_ends_its_own_run(tmp_path: Path) -> None:
    lines = [
        '{"streamEventType": "status", "data": {"message": "half"}}',
        '{"streamEventType": "complete", "data": {"exitCode": 0}}',
        '{"streamEventType": ""}',
    ]
    script = "".join(f"echo '{line}';" for line in lines)
    assert call(tmp_path, "run", "--session", "s", "--", "sh", "-c", script).returncode == 0
    events = stored(tmp_path, "s")
    assert events[0] == ("status", {"message": "half"})
    assert [name for name, _ in events] == ["status", "output", "output", "complete"]
    assert events[1][1]["streamEventType"] == "complete"


def test_output_is_passed_on_while_the_program_runs(tmp_path: Path) -> None:
    process = begin(tmp_path, "run", "--", "sh", "-c", "echo ready; read answer; echo $answer")
    assert line_of(process) == "ready"
    assert process.stdin is not None
    process.stdin.write(b"typed\n")
    process.stdin.flush()
    assert line_of(process) == "typed"
    assert finish(process)[0] == 0


def test_a_program_killed_by_a_signal_is_told_as_a_shell_does(tmp_path: Path) -> None:
    answer = call(tmp_path, "run", "--session", "s", "--", "sh", "-c", "kill -KILL $$")
    assert answer.returncode == 137
    told = {"error": "exit code 137", "fatal": True, "exitCode": 137}
    assert stored(tmp_path, "s") == [("error", told)]
    assert closing_line(answer.stderr).startswith("stayline: failed (exit code 137, SIGKILL)")


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGINT, "User interrupted"),
        (signal.SIGTERM, "Stopped by SIGTERM"),
        (signal.SIGHUP, "Stopped by SIGHUP"),
    ],
)
def test_a_stop_reaches_the_program_and_interrupts_the_run(
    tmp_path: Path, number: signal.Signals, reason: str
) -> None:
    process = begin(tmp_path, "run", "--session", "s", "--", *UP)
    assert line_of(process) == "up"
    process.send_signal(number)
    code, _, err = finish(process)
    assert code == 128 + number
    assert closing_line(err).startswith(f"stayline: interrupted ({reason}), 1 event,")
    told = {"reason": reason, "exitCode": 128 + number}
    assert stored(tmp_path, "s")[-1] == ("interrupted", told)
    (run,) = listed(tmp_path)
    assert (run["status"], run["error"]) == ("interrupted", reason)


def test_a_program_may_clean_up_after_a_stop(tmp_path: Path) -> None:
    script = "trap 'echo cleaned; exit 5' TERM; echo up; while :; do sleep 0.05; done"
    process = begin(tmp_path, "run", "--session", "s", "--", "sh", "-c", script)
    assert line_of(process) == "up"
    process.send_signal(signal.SIGTERM)
    code, out, err = finish(process)
    assert (code, out) == (5, "cleaned\n")
    assert closing_line(err).startswith("stayline: interrupted")
    assert ("output", {"text": "cleaned"}) in stored(tmp_path, "s")


def test_a_program_that_cannot_be_run_is_told_as_a_shell_does(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program")
    for name, code in [("no-such-program", 127), (str(plain), 126)]:
        answer = call(tmp_path, "run", "--", name)
        assert answer.returncode == code
        assert answer.stderr.count(b"\n") == 1
        assert name.encode() in answer.stderr
    assert not (tmp_path / ".stayline").exists()


def test_a_program_that_fails_to_start_fails_its_run(tmp_path: Path) -> None:
    # It may be run, says its file, but there is no interpreter for it.
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    answer = call(tmp_path, "run", "--session", "s", "--", str(script))
    assert answer.returncode == 127
    (run,) = listed(tmp_path)
    assert run["status"] == "failed"
    assert run["error"].startswith(f"cannot start {script}")


class GoneWrapper:
    """One that is over in its own way whenever it is to say how a run ended."""

    def __init__(self, error: stayline.Error) -> None:
        self._error = error

    def fail(self, *_said: object, **_how: object) -> None:
        raise self._error

    complete = interrupted = fail

    def close(self) -> int:
        return 0


GONE = [stayline.Timeout("late"), stayline.Disconnected("gone"), stayline.Superseded("another")]


@pytest.mark.parametrize("error", GONE, ids=lambda error: error.name)
def test_a_program_that_fails_to_start_is_told_so_whatever_the_coordinator_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: stayline.Error
) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "_wrapper", lambda *_: GoneWrapper(error))
    monkeypatch.setattr(run, "_connect", lambda *_: None)
    assert main(["run", "--", str(script)]) == 127


@pytest.mark.parametrize("error", GONE, ids=lambda error: error.name)
def test_a_wrapper_that_is_over_just_then_takes_no_exit_code_away(error: stayline.Error) -> None:
    supervisor = object.__new__(Supervisor)
    vars(supervisor).update(
        _wrapper=GoneWrapper(error),
        _child=SimpleNamespace(exit_code=5, pty=None),
        _replaced=False,
        _gave_up=None,
        _killed=False,
        _ended=None,
        _stop=None,
    )
    supervisor._send_ending()


def test_somebody_left_behind_does_not_keep_the_run_open(tmp_path: Path) -> None:
    answer = call(tmp_path, "run", "--session", "s", "--", "sh", "-c", "sleep 60 2>&- & echo $!")
    assert answer.returncode == 0
    os.kill(int(answer.stdout), signal.SIGKILL)
    assert [name for name, _ in stored(tmp_path, "s")] == ["output", "complete"]


def test_a_reader_that_goes_away_ends_the_program_as_in_any_pipe(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*STAYLINE, "run", "--", "sh", "-c", "while :; do echo y; done"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == b"y\n"
    process.stdout.close()
    assert process.wait(PATIENCE) == 128 + signal.SIGPIPE
    process.stderr.close()


def test_programs_side_by_side_have_a_file_each_and_are_listed_together(tmp_path: Path) -> None:
    first = begin(tmp_path, "run", "--session", "one", "--", "sh", "-c", "echo up; read wait")
    assert line_of(first) == "up"
    assert call(tmp_path, "run", "--session", "two", "--", "echo", "second").returncode == 0
    found = {run["session"]: run["status"] for run in listed(tmp_path)}
    assert found == {"one": "running", "two": "completed"}
    assert call(tmp_path, "events", "two").stdout.endswith(b"complete  exit code 0\n")
    assert finish(first)[0] == 1
    names = sorted(path.name for path in (tmp_path / ".stayline").glob("*.db"))
    assert names == ["runs-2.db", "runs.db"]


def test_a_run_whose_process_was_killed_is_failed_by_the_next_one(tmp_path: Path) -> None:
    script = "echo $$; exec sleep 60"
    process = begin(tmp_path, "run", "--session", "s", "--", "sh", "-c", script)
    program = int(line_of(process))
    process.kill()
    os.kill(program, signal.SIGKILL)
    finish(process)
    assert [run["status"] for run in listed(tmp_path)] == ["running"]
    assert call(tmp_path, "run", "--session", "s", "--", "true").returncode == 0
    runs = [(run["status"], run["error"]) for run in listed(tmp_path)]
    assert runs == [("completed", None), ("failed", "The process that ran it is gone")]


def test_quiet_leaves_out_the_closing_line_when_all_went_well(tmp_path: Path) -> None:
    assert call(tmp_path, "run", "--quiet", "--", "true").stderr == b""


def test_the_folder_keeps_itself_out_of_version_control(tmp_path: Path) -> None:
    call(tmp_path, "run", "--", "true")
    assert (tmp_path / ".stayline" / ".gitignore").read_text() == "*\n"
