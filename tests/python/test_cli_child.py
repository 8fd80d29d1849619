"""The program of `stayline run` as a process: its number, its stops, how it ended."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from command import PATIENCE, STAYLINE, call, environment, stored
from stayline.cli.child import Child, Wiring

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


def state(pid: int) -> str:
    """As `ps` has it; empty for a process that is no more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@needs_proc
@pytest.mark.parametrize("adopts", [False, True])
def test_a_program_keeps_its_number_until_nothing_is_sent_there_any_more(
    adopts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = Child(["sh", "-c", "exit 3"], "run", Wiring(pty=False, stderr=False, adopts=adopts))
    os.close(child.outputs[1])
    until(child.poll, "its end")
    assert (child.poll(), child.exit_code, state(child.pid)) == (True, 3, "Z")
    # Others are waited for meanwhile.
    other = os.posix_spawn(sys.executable, [sys.executable, "-c", "pass"], dict(os.environ))
    if adopts:
        until(lambda: child.poll() and state(other) == "", "the other's end")
    else:
        os.waitpid(other, 0)
    assert (child.exit_code, state(child.pid)) == (3, "Z")
    child.close()
    assert state(child.pid) == ""
    assert (child.poll(), child.exit_code) == (True, 3)

    def send(pid: int, _number: int) -> None:
        pytest.fail(f"sent to process {pid}, whoever that is by now")

    monkeypatch.setattr(os, "kill", send)
    monkeypatch.setattr(os, "killpg", send)
    child.send(signal.SIGTERM)
    child.stop(signal.SIGKILL)


@needs_proc
def test_a_program_that_is_stopped_and_killed_is_seen_to_have_ended() -> None:
    child = Child(["sleep", "60"], "run", Wiring(pty=False, stderr=False, adopts=False))
    os.close(child.outputs[1])
    os.kill(child.pid, signal.SIGSTOP)
    until(lambda: state(child.pid) == "T", "its stop")
    assert not child.poll()
    assert not child.poll()
    child.send(signal.SIGKILL)
    until(child.poll, "its end")
    assert child.exit_code == -signal.SIGKILL
    child.close()


#: Run as the first process of a namespace, where it says which numbers processes get. A program
#: ends soon after it was asked to, what it has started does not; meanwhile somebody else's process
#: gets its number, if that is free.
REUSE = """
import os, re, signal, subprocess, sys, time
stayline = sys.argv[1:]
server = subprocess.Popen(
    [*stayline, "serve", "--listen", "127.0.0.1:0", "--store", "memory:"],
    stdout=subprocess.PIPE, text=True)
address = re.search(r"https?://\\S+", server.stdout.readline()).group()
behind = "import os, signal, time; signal.signal(15, signal.SIG_IGN); os.setsid(); time.sleep(99)"
behind = f"{sys.executable} -c '{behind}'"
program = f"trap 'exit 0' TERM; {behind} & echo $$; while :; do sleep 0.1; done"
run = subprocess.Popen(
    [*stayline, "run", "--to", address, "--session", "s", "--stop-grace", "2", "--",
     "sh", "-c", program], stdout=subprocess.PIPE, text=True)
number = int(run.stdout.readline())
time.sleep(0.5)
subprocess.run([*stayline, "interrupt", "s", "--to", address], check=True)

def ended():
    try:
        return open(f"/proc/{number}/stat").read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True

while not ended():
    time.sleep(0.005)
victim = None
for _ in range(30):
    with open("/proc/sys/kernel/ns_last_pid", "w") as last:
        last.write(str(number - 1))
    other = subprocess.Popen(["sleep", "60"], start_new_session=True, env={"PATH": os.defpath})
    if other.pid == number:
        victim = other
        break
    other.kill()
    other.wait()
run.wait(30)
time.sleep(0.2)
print("killed" if victim is not None and victim.poll() is not None else "spared")
sys.stdout.flush()
os._exit(0)
"""


def test_nobody_else_gets_the_signals_of_a_program_that_has_ended(tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("no unshare")
    apart = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    able = subprocess.run(
        [*apart, "sh", "-c", "test -w /proc/sys/kernel/ns_last_pid"],
        capture_output=True,
        timeout=PATIENCE,
    )
    if able.returncode != 0:
        pytest.skip("namespaces need root")
    answer = subprocess.run(
        [*apart, sys.executable, "-c", REUSE, *STAYLINE],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        timeout=2 * PATIENCE,
    )
    assert answer.stdout.splitlines()[-1:] == [b"spared"], answer.stdout


@pytest.mark.parametrize(
    ("own", "program", "ending"),
    [
        ([], "exit 130", "error"),
        ([], "kill -INT $$", "interrupted"),
        # A shell that Ctrl-C has ended there says so.
        (["--pty"], "exit 130", "interrupted"),
    ],
)
def test_an_exit_code_alone_is_no_interrupt(
    tmp_path: Path, own: list[str], program: str, ending: str
) -> None:
    answer = call(tmp_path, "run", "--session", "s", *own, "--", "sh", "-c", program)
    assert answer.returncode == 130
    kind, data = stored(tmp_path, "s")[-1]
    assert (kind, data["exitCode"]) == (ending, 130)
