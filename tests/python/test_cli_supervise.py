"""`stayline run` around programs as they are: signals, descriptors, what they leave behind."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command import (
    PATIENCE,
    STAYLINE,
    begin,
    call,
    closing_line,
    environment,
    finish,
    line_of,
    listed,
    stored,
)
from programs import ORPHANS, children, needs_proc, until, works

PYTHON = sys.executable


def test_a_program_gets_no_key_and_no_token_and_knows_its_run(tmp_path: Path) -> None:
    script = "echo ${STAYLINE_KEY-none} ${STAYLINE_TOKEN-none} $STAYLINE_EXECUTION_ID"
    answer = call(
        tmp_path, "run", "--", "sh", "-c", script, STAYLINE_KEY="secret", STAYLINE_TOKEN="hidden"
    )
    (run,) = listed(tmp_path)
    assert answer.stdout.decode().split() == ["none", "none", run["execution"]]


@pytest.mark.parametrize("flag", ["--key", "--token"])
def test_a_secret_on_the_command_line_is_warned_about(tmp_path: Path, flag: str) -> None:
    answer = call(tmp_path, "run", flag, "secret", "--", "true")
    assert f"{flag}-file" in answer.stderr.decode().splitlines()[0]
    assert b"secret" not in answer.stderr
    assert answer.returncode == 0


def test_a_key_is_read_from_a_file_and_a_bad_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    answer = call(tmp_path, "runs", "--to", "http://127.0.0.1:1", "--key-file", "empty")
    assert answer.returncode == 2
    assert b"'empty' is empty" in answer.stderr
    answer = call(tmp_path, "runs", "--to", "http://127.0.0.1:1", "--key-file", "missing")
    assert answer.returncode == 2
    assert b"'missing'" in answer.stderr


@needs_proc
def test_a_key_from_a_file_stands_in_no_environment(tmp_path: Path) -> None:
    """Not in ours either, which the program may read."""
    (tmp_path / "key").write_text("very-secret\n")
    program = ("sh", "-c", "cat /proc/$PPID/environ /proc/$$/environ")
    answer = call(tmp_path, "run", "--key-file", "key", "--", *program)
    assert (answer.returncode, b"PATH=" in answer.stdout) == (0, True), answer.stderr
    assert b"very-secret" not in answer.stdout


def test_more_than_a_thousand_descriptors_are_open(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2_048:
        pytest.skip("so many are not allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2_048), hard))
    null = os.open(os.devnull, os.O_RDONLY)
    leaked = [null]
    try:
        while leaked[-1] < 1_100:
            leaked.append(os.dup(null))
            os.set_inheritable(leaked[-1], True)
        answer = subprocess.run(
            [*STAYLINE, "run", "--session", "s", "--", "sh", "-c", "echo hello; exit 3"],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            close_fds=False,
            timeout=PATIENCE,
        )
    finally:
        for number in leaked:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (answer.returncode, answer.stdout) == (3, b"hello\n"), answer.stderr
    assert stored(tmp_path, "s") == [
        ("output", {"text": "hello"}),
        ("error", {"error": "exit code 3", "fatal": True, "exitCode": 3}),
    ]


@pytest.mark.parametrize(
    "name", ["SIGUSR1", "SIGUSR2", "SIGALRM", "SIGPROF", "SIGVTALRM", "SIGXCPU", "SIGRTMIN"]
)
def test_any_signal_reaches_the_program_and_ends_nothing(tmp_path: Path, name: str) -> None:
    number = getattr(signal, name)
    script = (
        "import os, signal, sys\n"
        f"signal.signal({int(number)}, lambda number, frame: os.write(1, b'got %d\\n' % number))\n"
        "os.write(1, b'up\\n')\n"
        "sys.stdin.read()\n"
    )
    process = begin(tmp_path, "run", "--session", "s", "--", PYTHON, "-c", script)
    assert line_of(process) == "up"
    process.send_signal(number)
    assert line_of(process) == f"got {int(number)}"
    code, _, err = finish(process)
    assert code == 0, err
    assert closing_line(err).startswith("stayline: completed")


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_ends_a_program_that_is_just_being_started(tmp_path: Path, number: int) -> None:
    """Before it has become the program: a long way through PATH leaves time for that."""
    path = "/x:" * 20_000 + os.environ["PATH"]
    words = ("run", "--session", "s", "--", "sh", "-c", "sleep 1; echo survived")
    process = begin(tmp_path, *words, PATH=path)
    until(lambda: bool(children(process.pid)), "the program's start")
    os.kill(children(process.pid)[0], number)
    code, out, err = finish(process)
    assert (code, out) == (128 + number, ""), err


def test_quit_ends_both_and_interrupts_the_run(tmp_path: Path) -> None:
    process = begin(tmp_path, "run", "--session", "s", "--", "sh", "-c", "echo up; exec sleep 60")
    assert line_of(process) == "up"
    process.send_signal(signal.SIGQUIT)
    code, _, err = finish(process)
    assert code == 128 + signal.SIGQUIT
    assert closing_line(err).startswith("stayline: interrupted (Stopped by SIGQUIT)")


@needs_proc
def test_a_killed_supervisor_takes_its_program_along(tmp_path: Path) -> None:
    script = "trap '' TERM; echo $$; while :; do sleep 0.1; done"
    process = begin(tmp_path, "run", "--session", "s", "--", "sh", "-c", script)
    program = int(line_of(process))
    process.kill()
    finish(process)
    until(lambda: not works(program), "the program's end")
    assert call(tmp_path, "run", "--session", "s", "--", "true").returncode == 0


@pytest.mark.parametrize(
    "behind", ["sleep 600", "while :; do echo noise; sleep 0.05; done", "yes noise"]
)
def test_it_ends_soon_after_its_program_whoever_holds_the_output(
    tmp_path: Path, behind: str
) -> None:
    script = f"({behind}) & echo $! >left; echo own; exit 4"
    process = begin(tmp_path, "run", "--session", "s", "--", "sh", "-c", script)
    until(lambda: (tmp_path / "left").exists() and (tmp_path / "left").read_text() != "", "it")
    left = int((tmp_path / "left").read_text())
    try:
        code, _, err = finish(process)
        assert code == 4
        assert "still has the program's output" in err
        if Path("/proc/self/fd").exists():
            assert re.search(r"process \d+ \(", err), err
        assert ("output", {"text": "own"}) in stored(tmp_path, "s")
        assert stored(tmp_path, "s")[-1][1] == {
            "error": "exit code 4",
            "fatal": True,
            "exitCode": 4,
        }
    finally:
        for pid in [*children(left), left]:
            if works(pid):
                os.kill(pid, signal.SIGKILL)


def test_what_was_printed_before_the_end_is_kept_however_slowly_it_is_taken(tmp_path: Path) -> None:
    """A pipe full of lines, and a coordinator's limit of one event under way."""
    script = "yes line | head -n 5000; sleep 600 & echo $! >left; exit 0"
    process = begin(
        tmp_path, "run", "--session", "s", "--set", "buffer_events=1", "--", "sh", "-c", script
    )  # fmt: skip
    code, out, err = finish(process)
    os.kill(int((tmp_path / "left").read_text()), signal.SIGKILL)
    assert (code, out.count("line\n")) == (0, 5_000), err
    assert len(stored(tmp_path, "s")) == 5_001


@needs_proc
def test_orphans_are_waited_for(tmp_path: Path) -> None:
    answer = call(tmp_path, "run", "--init", "--session", "s", "--", PYTHON, "-c", ORPHANS)
    first, last = answer.stdout.split()
    assert (answer.returncode, int(first) > 0, last) == (0, True, b"0"), answer


def test_lines_of_stderr_are_kept_and_passed_through(tmp_path: Path) -> None:
    script = 'echo out; echo err >&2; echo \'{"streamEventType": "status"}\' >&2; printf end >&2'
    answer = call(tmp_path, "run", "--session", "s", "--", "sh", "-c", script)
    assert answer.stdout == b"out\n"
    assert answer.stderr.startswith(b'err\n{"streamEventType": "status"}\nend')
    events = stored(tmp_path, "s")
    assert ("output", {"text": "out"}) in events
    assert [data["text"] for _, data in events if data.get("stream") == "stderr"] == [
        "err",
        '{"streamEventType": "status"}',
        "end",
    ]
    call(tmp_path, "run", "--session", "t", "--no-stderr", "--", "sh", "-c", script)
    assert [data for _, data in stored(tmp_path, "t") if data.get("stream")] == []


def test_python_prints_line_by_line(tmp_path: Path) -> None:
    script = "import sys; print('ready'); sys.stdin.read()"
    process = begin(tmp_path, "run", "--session", "s", "--", PYTHON, "-c", script)
    assert line_of(process) == "ready"
    assert finish(process)[0] == 0
    answer = call(tmp_path, "run", "--", "sh", "-c", "echo $PYTHONUNBUFFERED", PYTHONUNBUFFERED="0")
    assert answer.stdout == b"0\n"


def test_a_failing_program_is_seen_to_have_failed(tmp_path: Path) -> None:
    call(tmp_path, "run", "--session", "s", "--", "sh", "-c", "exit 3")
    call(tmp_path, "run", "--session", "t", "--", "sh", "-c", "kill -SEGV $$")
    call(tmp_path, "run", "--session", "u", "--", "true")
    failed = {run["session"]: run for run in listed(tmp_path, "--status", "failed")}
    assert {name: (run["error"], run["exitCode"]) for name, run in failed.items()} == {
        "s": ("exit code 3", 3),
        "t": ("exit code 139", 139),
    }
    (completed,) = listed(tmp_path, "--status", "completed")
    assert (completed["session"], completed["exitCode"]) == ("u", 0)


def test_a_timeout_reaches_the_program(tmp_path: Path) -> None:
    """`timeout` sends to its child and then to its whole group: it may come twice."""
    script = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda number, frame: os.write(1, b'term\\n'))\n"
        "os.write(1, b'up\\n')\n"
        "deadline = time.monotonic() + 2\n"
        "while time.monotonic() < deadline: time.sleep(0.05)\n"
    )
    command = ["timeout", "--preserve-status", "1.5", *STAYLINE, "run", "--session", "s", "--"]
    answer = subprocess.run(
        [*command, PYTHON, "-c", script],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
    )
    assert answer.stdout in (b"up\nterm\n", b"up\nterm\nterm\n"), answer


def test_nohup_stays_nohup(tmp_path: Path) -> None:
    command = ["nohup", *STAYLINE, "run", "--session", "s", "--", "sh", "-c"]
    process = subprocess.Popen(
        [*command, "echo up; read line; echo on"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    assert line_of(process) == "up"
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(b"\n", timeout=PATIENCE)
    assert (process.returncode, out) == (0, b"on\n")
