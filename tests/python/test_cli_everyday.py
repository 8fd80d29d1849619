"""`stayline run` in the places where people put it: what is seen is what is seen without it."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command import (
    PATIENCE,
    STAYLINE,
    UP,
    begin,
    closing_line,
    environment,
    finish,
    line_of,
    listed,
    stored,
)
from programs import ORPHANS, children, needs_proc
from terminals import Terminal

PYTHON = sys.executable

#: Set by `stayline run` for its program, and told in docs/cli.md.
OURS = {"PYTHONUNBUFFERED", "STAYLINE_EXECUTION_ID", "STAYLINE_STARTED_BY"}


def call_in(
    folder: Path, variables: dict[str, str], *words: str
) -> subprocess.CompletedProcess[bytes]:
    """Runs words in an environment of their own. That of these tests is needed to find the module
    under test, where it is not installed, and no more."""
    known = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
    return subprocess.run(
        words,
        cwd=folder,
        env=variables | known,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE,
    )


def cron(*missing: str) -> dict[str, str]:
    """The environment that cron gives its jobs."""
    user = pwd.getpwuid(os.getuid())
    given = {"HOME": user.pw_dir, "LOGNAME": user.pw_name}
    given |= {"SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
    return {name: value for name, value in given.items() if name not in missing}


@pytest.mark.parametrize(
    "variables",
    [
        cron(),
        cron("HOME"),
        {"PATH": "/usr/bin:/bin", "LC_CTYPE": "C"},
        {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "LC_CTYPE": "C.UTF-8"},
    ],
)
@needs_proc
def test_a_program_has_the_environment_it_would_have_without(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    """Under cron the locale is C, and Python changes that for itself."""
    alone = call_in(tmp_path, variables, "env", "-0").stdout
    answer = call_in(tmp_path, variables, *STAYLINE, "run", "--session", "s", "--", "env", "-0")
    assert answer.returncode == 0, answer.stderr
    seen = dict(one.split(b"=", 1) for one in answer.stdout.split(b"\0") if one)
    added = {name: seen.pop(name.encode()) for name in OURS}
    assert all(added.values())
    assert seen == dict(one.split(b"=", 1) for one in alone.split(b"\0") if one)
    assert closing_line(answer.stderr).startswith("stayline: completed")


def alone_and_run(
    folder: Path, *words: str, typed: bytes = b""
) -> tuple[tuple[int, bytes, bytes], tuple[int, bytes, bytes]]:
    """What is seen of a program without `stayline run`, and with it, but for the last line."""
    seen = []
    for before in ([], [*STAYLINE, "run", "--quiet", "--session", "s", "--"]):
        answer = subprocess.run(
            [*before, *words],
            cwd=folder,
            env=environment(),
            capture_output=True,
            input=typed,
            timeout=PATIENCE,
        )
        err = answer.stderr
        if before and answer.returncode:
            # Not even `--quiet` leaves out that something failed.
            err, last, rest = err.rpartition(b"stayline: failed ")
            assert last
            assert rest.count(b"\n") == 1
        seen.append((answer.returncode, answer.stdout, err))
    return seen[0], seen[1]


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [name for name in programs if shutil.which(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"there is no {' and no '.join(missing)}")


@needs("xargs")
@pytest.mark.parametrize("parallel", ["1", "3"])
def test_behind_xargs(tmp_path: Path, parallel: str) -> None:
    """One run for each line; `xargs` makes 123 of what fails."""
    script = "echo $1; test $1 != two"
    command = ["xargs", "-P", parallel, "-n", "1"]
    program = ["sh", "-c", script, "sh"]
    seen = []
    for before in ([], [*STAYLINE, "run", "--"]):
        answer = subprocess.run(
            [*command, *before, *program],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            input=b"one\ntwo\nthree\n",
            timeout=PATIENCE,
        )
        seen.append((answer.returncode, sorted(answer.stdout.split())))
    assert seen[0] == seen[1] == (123, [b"one", b"three", b"two"])
    ended = [(run["status"], run["exitCode"]) for run in listed(tmp_path)]
    assert sorted(ended) == [("completed", 0), ("completed", 0), ("failed", 1)]


@needs("setsid")
def test_in_a_session_of_its_own(tmp_path: Path) -> None:
    answer = call_in(
        tmp_path,
        environment(),
        *("setsid", "-w", *STAYLINE, "run", "--session", "s", "--"),
        *("sh", "-c", "echo out; echo err >&2; exit 7"),
    )
    assert (answer.returncode, answer.stdout) == (7, b"out\n")
    assert answer.stderr.startswith(b"err\nstayline: failed (exit code 7)")


#: As a container's first process.
FIRST = ["unshare", *(["-U", "-r"] if os.getuid() else []), "-pf", "--mount-proc"]


def is_allowed(words: list[str]) -> bool:
    if shutil.which(words[0]) is None:
        return False
    return subprocess.run([*words, "true"], capture_output=True).returncode == 0


may_be_first = pytest.mark.skipif(not is_allowed(FIRST), reason="no namespaces are allowed here")


@may_be_first
def test_as_the_first_process_it_waits_for_orphans(tmp_path: Path) -> None:
    words = [*FIRST, *STAYLINE, "run", "--session", "s", "--", PYTHON, "-c", ORPHANS]
    answer = call_in(tmp_path, environment(), *words)
    first, last = answer.stdout.split()
    assert (answer.returncode, int(first) > 0, last) == (0, True, b"0"), answer


@may_be_first
def test_as_the_first_process_it_is_stopped_as_containers_are(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*FIRST, *STAYLINE, "run", "--session", "s", "--", *UP],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    assert line_of(process) == "up"
    (first,) = children(process.pid)
    os.kill(first, signal.SIGTERM)
    code, _, err = finish(process)
    assert code == 128 + signal.SIGTERM
    assert closing_line(err).startswith("stayline: interrupted (Stopped by SIGTERM)")


@needs("git")
def test_in_a_repository(tmp_path: Path) -> None:
    """What it keeps is nothing that git would show."""
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "new").write_text("")
    alone, run = alone_and_run(tmp_path, "git", "status", "--porcelain")
    assert run == alone == (0, b"?? new\n", b"")
    assert (tmp_path / ".stayline" / "runs.db").exists()
    assert alone_and_run(tmp_path, "git", "status", "--porcelain") == (alone, alone)


@needs("less")
def test_a_pager_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = " ".join([*STAYLINE, "run", "--session", "s", "--", "seq", "-f", "'line %.0f.'", "900"])
    terminal = Terminal("env", "TERM=xterm", "LESS=", "sh", "-c", f"{words} | less; echo code $?")
    terminal.resize(24, 80)
    try:
        terminal.wait_for(b"line 20.")
        terminal.wait_for(b":")
        terminal.type(b"G")
        terminal.wait_for(b"line 900.")
        terminal.type(b"q")
        terminal.wait_for(b"code 0")
        assert terminal.wait() == 0
    finally:
        terminal.close()
    assert stored(tmp_path, "s")[-1] == ("complete", {"exitCode": 0})


@needs("less")
def test_a_pager_as_its_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text("".join(f"line {number}.\n" for number in range(1, 901)))
    words = [*STAYLINE, "run", "--session", "s", "--pty", "--", "less", "text"]
    terminal = Terminal("env", "TERM=xterm", "LESS=", *words)
    terminal.resize(24, 80)
    try:
        terminal.wait_for(b"line 20.")
        terminal.type(b"G")
        terminal.wait_for(b"line 900.")
        terminal.type(b"q")
        terminal.wait_for(b"stayline: completed (exit code 0)")
        assert terminal.wait() == 0
    finally:
        terminal.close()


def test_a_test_suite_that_fails(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it():\n    assert 1 == 2\n")
    words = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    alone, run = alone_and_run(tmp_path, *words)
    assert run[0] == alone[0] == 1
    took = re.compile(rb"in [0-9.]+s")
    assert took.sub(b"", run[1]) == took.sub(b"", alone[1])
    assert b"1 failed" in run[1]
    (listing,) = listed(tmp_path)
    assert (listing["status"], listing["exitCode"]) == ("failed", 1)


@needs("cargo", "cc")
def test_a_compiler_and_what_it_has_made(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "Cargo.toml").write_text(
        '[package]\nname = "tiny"\nversion = "0.1.0"\nedition = "2021"\n\n[workspace]\n'
    )
    (tmp_path / "src" / "main.rs").write_text(
        'fn main() { println!("hello"); std::process::exit(7); }\n'
    )
    words = ["cargo", "run", "--quiet", "--offline", "--target-dir", str(tmp_path / "target")]
    alone, run = alone_and_run(tmp_path, *words)
    if alone[0] != 7:
        pytest.skip(f"this cargo builds nothing: {alone[2].decode(errors='replace')}")
    assert run == alone == (7, b"hello\n", b"")


#: Draws half of it, waits, and draws the rest.
PROGRESS = """
import sys
for done in range(0, 51, 10):
    sys.stderr.write(f"\\r{done:3d} % [{'#' * (done // 10):10}]")
sys.stderr.flush()
sys.stdin.readline()
for done in range(60, 101, 10):
    sys.stderr.write(f"\\r{done:3d} % [{'#' * (done // 10):10}]")
sys.stderr.write("\\r\\x1b[K")
sys.stderr.buffer.write(b"done \\xff\\n")
"""


def test_a_progress_bar(tmp_path: Path) -> None:
    """Byte for byte, and not only when its line has ended."""
    words = (PYTHON, "-c", PROGRESS)
    alone, run = alone_and_run(tmp_path, *words, typed=b"\n")
    assert run == alone
    assert run[2].count(b"\r") == 12
    process = begin(tmp_path, "run", "--quiet", "--session", "t", "--", *words)
    assert process.stderr is not None
    seen = b""
    while not seen.endswith(b" 50 % [#####     ]"):
        part = process.stderr.read(1)
        assert part, seen
        seen += part
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()
    _, rest = process.communicate(timeout=PATIENCE)
    assert (process.returncode, seen + rest) == (0, alone[2])
