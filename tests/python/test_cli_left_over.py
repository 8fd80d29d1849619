"""What killed runs of `stayline run` have left at work, and where that is noted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import stayline
from command import PATIENCE, STAYLINE, begin, call, closing_line, environment, finish, line_of
from programs import needs_proc, until, works
from stayline.cli import left_over, main, processes, run

PYTHON = sys.executable


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the runs of this test are noted."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "stayline" / "programs"


def noted(notes: Path) -> list[Path]:
    return sorted(notes.glob("*.json"))


def kill_run(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    finish(process)


@pytest.fixture
def stubborn() -> Iterator[list[int]]:
    """Processes that are ended at last."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        if works(pid):
            os.kill(pid, signal.SIGKILL)


#: Leaves a process behind that outlives its parent, its group and its session.
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    os.write(1, b"%d\\n" % os.getpid())
    for number in (0, 1, 2):
        os.dup2(null, number)
    {then}
else:
    {parent}
"""
FOR_EVER = "time.sleep(600)"


@needs_proc
def test_the_next_run_does_not_start_beside_what_a_killed_one_left(tmp_path: Path) -> None:
    script = STUBBORN.format(then=FOR_EVER, parent=FOR_EVER)
    process = begin(tmp_path, "run", "--session", "s", "--", PYTHON, "-c", script)
    left = int(line_of(process))
    try:
        process.kill()
        finish(process)
        answer = call(tmp_path, "run", "--session", "s", "--", "echo", "beside")
        assert (answer.returncode, answer.stdout) == (75, b"")
        said = closing_line(answer.stderr)
        assert f"process {left}" in said
        assert "--take-over" in said
        assert works(left)
        # Another session is another matter.
        assert call(tmp_path, "run", "--session", "t", "--", "true").returncode == 0
        again = ("run", "--session", "s", "--take-over", "--stop-grace", "0.2")
        answer = call(tmp_path, *again, "--", "echo", "after")
        assert (answer.returncode, answer.stdout) == (0, b"after\n"), answer.stderr
        assert f"process {left}" in answer.stderr.decode()
        assert not works(left)
    finally:
        if works(left):
            os.kill(left, signal.SIGKILL)


@needs_proc
def test_a_server_that_a_run_leaves_behind_in_order_may_stay(tmp_path: Path) -> None:
    script = STUBBORN.format(then=FOR_EVER, parent="os._exit(0)")
    answer = call(tmp_path, "run", "--session", "s", "--", PYTHON, "-c", script)
    left = int(answer.stdout)
    try:
        assert (answer.returncode, works(left)) == (0, True)
        assert call(tmp_path, "run", "--session", "s", "--", "true").returncode == 0
        assert works(left)
    finally:
        os.kill(left, signal.SIGKILL)


def begin_stubborn(folder: Path, pids: list[int], *arguments: str) -> subprocess.Popen[bytes]:
    """Starts a run whose program leaves a process behind when it is killed."""
    script = STUBBORN.format(then=FOR_EVER, parent=FOR_EVER)
    process = begin(folder, "run", *arguments, "--", PYTHON, "-c", script)
    pids.append(int(line_of(process)))
    return process


@needs_proc
def test_each_run_of_a_session_is_noted_for_itself(
    tmp_path: Path, notes: Path, stubborn: list[int]
) -> None:
    """Two runs of one session side by side, in two files: the one that ends in order takes away
    only its own note."""
    first = begin_stubborn(tmp_path, stubborn, "--session", "s")
    second = begin(tmp_path, "run", "--session", "s", "--", "sh", "-c", "echo up; read line")
    assert line_of(second) == "up"
    assert len(noted(notes)) == 2
    assert finish(second)[0] == 1
    assert len(noted(notes)) == 1
    kill_run(first)
    answer = call(tmp_path, "run", "--session", "s", "--", "echo", "beside")
    assert (answer.returncode, answer.stdout) == (75, b""), answer.stderr
    assert f"process {stubborn[0]}" in closing_line(answer.stderr)


@needs_proc
def test_all_that_was_left_by_several_is_taken_over(
    tmp_path: Path, notes: Path, stubborn: list[int]
) -> None:
    both = [begin_stubborn(tmp_path, stubborn, "--session", "s") for _ in range(2)]
    for process in both:
        kill_run(process)
    again = ("run", "--session", "s", "--take-over", "--stop-grace", "0.2", "--", "true")
    answer = call(tmp_path, *again)
    assert answer.returncode == 0, answer.stderr
    assert [works(pid) for pid in stubborn] == [False, False]
    assert noted(notes) == []


@needs_proc
def test_a_run_inside_a_run_belongs_to_both(tmp_path: Path, stubborn: list[int]) -> None:
    script = STUBBORN.format(then=FOR_EVER, parent=FOR_EVER)
    inner = [*STAYLINE, "run", "--session", "inner", "--", PYTHON, "-c", script]
    process = begin(tmp_path, "run", "--session", "outer", "--", *inner)
    stubborn.append(int(line_of(process)))
    kill_run(process)
    for session in ("outer", "inner"):
        answer = call(tmp_path, "run", "--session", session, "--", "true")
        assert answer.returncode == 75, (session, answer.stderr)
        assert f"process {stubborn[0]}" in closing_line(answer.stderr)


@pytest.mark.parametrize("what", ["boot", "namespace"])
@needs_proc
def test_what_cannot_be_seen_from_here_is_left_alone_until_it_is_old(
    tmp_path: Path, notes: Path, what: str
) -> None:
    """Another machine or another container shares the home: its numbers say nothing here."""
    kill_run(begin_up(tmp_path, "--session", "s"))
    (note,) = noted(notes)
    note.write_text(json.dumps(json.loads(note.read_text()) | {what: "another"}))
    assert call(tmp_path, "run", "--session", "s", "--", "true").returncode == 0
    assert noted(notes) == [note]
    os.utime(note, (0, 0))
    assert call(tmp_path, "run", "--session", "s", "--", "true").returncode == 0
    assert noted(notes) == []


def begin_up(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    process = begin(folder, "run", *arguments, "--", "sh", "-c", "echo up; exec sleep 60")
    assert line_of(process) == "up"
    return process


def test_a_run_without_a_name_is_not_noted(tmp_path: Path, notes: Path) -> None:
    """Nobody asks for it again, and its note would stay."""
    kill_run(begin_up(tmp_path))
    assert noted(notes) == []


@needs_proc
def test_notes_of_the_dead_are_swept(tmp_path: Path, notes: Path, stubborn: list[int]) -> None:
    """By the runs of any session; those that have left something stay."""
    once = begin_up(tmp_path, "--session", "once")
    left = begin_stubborn(tmp_path, stubborn, "--session", "left")
    kill_run(once)
    kill_run(left)
    (notes / "broken.json").write_text("{")
    assert len(noted(notes)) == 3
    assert call(tmp_path, "run", "--session", "other", "--", "true").returncode == 0
    assert len(noted(notes)) == 2
    assert (notes / "broken.json").exists()
    assert call(tmp_path, "run", "--session", "left", "--", "true").returncode == 75


def test_nobody_is_known_by_a_number_alone(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where neither /proc nor `ps` says when a process started: whoever has the number now."""
    monkeypatch.setattr(processes, "_PROC", tmp_path / "nothing")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    stranger = subprocess.Popen([PYTHON, "-c", "input()"], stdin=subprocess.PIPE)
    gone = subprocess.Popen([PYTHON, "-c", ""])
    gone.wait()
    try:
        notes.mkdir(parents=True)
        name = left_over.Records("home", "s")._name
        note = {"session": "s", "mark": "m", "boot": processes.boot()}
        note |= {"namespace": processes.namespace(), "supervisor": gone.pid}
        note |= {"program": stranger.pid, "supervisorStarted": "", "programStarted": ""}
        for file in (f"{name}.json", f"{name}.m.json"):
            (notes / file).write_text(json.dumps(note))
        left_over.Records("home", "s").check(take_over=True, grace=0.1)
        assert stranger.poll() is None
        with left_over.Records("home", "s").noted("another", stranger.pid):
            assert noted(notes) == []
    finally:
        stranger.communicate(b"\n", timeout=PATIENCE)
    assert stranger.returncode == 0


@pytest.mark.skipif(shutil.which("ps") is None, reason="there is no ps")
def test_processes_are_known_without_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.setattr(processes, "_PROC", tmp_path / "nothing")
    own = processes.identify(os.getpid())
    if not own.started:
        pytest.skip("this ps does not say when a process started")
    assert own.is_alive
    assert not processes.Identity(own.pid, "Mon Jan  1 00:00:00 2001").is_alive
    ended = subprocess.Popen([PYTHON, "-c", "input()"], stdin=subprocess.PIPE)
    known = processes.identify(ended.pid)
    assert known.is_alive
    assert ended.stdin is not None
    ended.stdin.close()
    # Whether it is waited for already or not.
    until(lambda: not known.is_alive, "its end")
    ended.wait()
    assert not known.is_alive


#: Becomes somebody whom the machine does not know, once all is imported.
AS_NOBODY = """
import encodings.ascii, encodings.idna, logging, os, sys, tempfile
import stayline.cli.run
from stayline.cli import main
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(54321)
    os.setuid(54321)
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that anybody may use."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    (folder / "closed").chmod(0o700)
    shutil.rmtree(folder)


@pytest.mark.parametrize("home", ["closed/home", "", None])
@pytest.mark.parametrize("pty", [False, True])
def test_a_home_that_cannot_be_entered_or_known_keeps_no_program_from_running(
    open_folder: Path, home: str | None, pty: bool
) -> None:
    (open_folder / "closed").mkdir(mode=0o000)
    variables = environment()
    del variables["XDG_STATE_HOME"]
    variables.pop("HOME", None)
    if home is not None:
        variables["HOME"] = home and str(open_folder / home)
    words = ["run", *(["--pty"] if pty else []), "--session", "s", "--store", "memory:"]
    answer = subprocess.run(
        [PYTHON, "-c", AS_NOBODY, *words, "--", "sh", "-c", "echo hello; exit 3"],
        cwd=open_folder,
        env=variables,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE,
    )
    assert (answer.returncode, answer.stdout.split()) == (3, [b"hello"]), answer.stderr
    assert closing_line(answer.stderr).startswith("stayline: failed (exit code 3)")


def test_without_any_place_to_note_it_a_program_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def is_allowed(path: str, mode: int, **_: object) -> bool:
        return not mode & os.W_OK and access(path, mode)

    def nowhere() -> str:
        raise FileNotFoundError("no usable temporary directory")

    access = os.access
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", is_allowed)
        patch.setattr(tempfile, "gettempdir", nowhere)
        words = ["run", "--session", "s", "--store", "memory:", "--", "sh", "-c", "exit 3"]
        assert main(words) == 3
    assert "failed (exit code 3)" in capfd.readouterr().err


def test_a_folder_of_somebody_else_in_a_shared_place_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/dev/null/nowhere")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    folder = tmp_path / f"stayline-{os.getuid()}"
    assert left_over._folder() == folder / "stayline" / "programs"
    folder.symlink_to(tmp_path)
    assert left_over._folder() != folder / "stayline" / "programs"


@needs_proc
def test_a_run_that_cannot_be_watched_over_ends_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What fails between the program's start and its end fails the run, and ends the program."""
    started = []

    def fail(child: run.Child, *_: object) -> None:
        started.append(child.pid)
        raise OSError(24, "Too many open files")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "Supervisor", fail)
    assert main(["run", "--session", "s", "--", "sleep", "600"]) == 1
    assert "Too many open files" in capfd.readouterr().err
    until(lambda: not works(started[0]), "the program's end")
    location = f"sqlite:{tmp_path / '.stayline' / 'runs.db'}"
    with stayline.Coordinator(location, read_only=True) as coordinator:
        *_, last = coordinator.session("s").events()
    assert last.data["error"] == "stayline run could not go on: Too many open files"
