"""`stayline run` between pipes: inputs that nobody reads, outputs that nobody takes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command import PATIENCE, STAYLINE, begin, call, environment, finish, line_of, stored
from stayline.cli.relay import _Lines


def piped(folder: Path, typed: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """`stayline run` with this on its stdin."""
    return subprocess.run(
        [*STAYLINE, "run", "--session", "s", *arguments],
        input=typed,
        capture_output=True,
        cwd=folder,
        env=environment(),
        timeout=PATIENCE,
    )


def test_a_program_on_a_terminal_of_its_own_need_not_read_all_its_input(tmp_path: Path) -> None:
    lines = b"".join(b"%d\n" % number for number in range(100_000))
    answer = piped(tmp_path, lines, "--pty", "--", "head", "-n", "1")
    assert (answer.returncode, answer.stdout) == (0, b"0\r\n"), answer.stderr
    assert ("output", {"text": "0"}) in stored(tmp_path, "s")


def test_all_input_is_typed_however_slowly_it_is_read(tmp_path: Path) -> None:
    lines = b"".join(b"%d\n" % number for number in range(20_000))
    answer = piped(tmp_path, lines, "--pty", "--", "sh", "-c", "sleep 0.5; exec tail -n 1")
    assert (answer.returncode, answer.stdout) == (0, b"19999\r\n"), answer.stderr


def test_an_input_that_ends_within_a_line_ends_on_a_terminal_too(tmp_path: Path) -> None:
    for typed in (b"abc", b"one\nabc", b"one\n", b""):
        answer = piped(tmp_path, typed, "--pty", "--", "cat")
        printed = typed.replace(b"\n", b"\r\n")
        assert (answer.returncode, answer.stdout) == (0, printed), (typed, answer.stderr)


#: Closes its terminal for a while.
AWAY = """
import os, time
for number in (0, 1, 2):
    os.close(number)
time.sleep(0.5)
terminal = os.open("/dev/tty", os.O_RDWR)
os.write(terminal, b"again\\n")
"""


def test_a_program_may_close_its_terminal_and_open_it_again(tmp_path: Path) -> None:
    answer = piped(tmp_path, b"", "--pty", "--", sys.executable, "-c", AWAY)
    assert (answer.returncode, answer.stdout) == (0, b"again\r\n"), answer.stderr


@contextmanager
def running(
    folder: Path, script: str, stdout: int, stderr: int
) -> Iterator[subprocess.Popen[bytes]]:
    """`stayline run` of a Python script, with lines of stderr."""
    words = [*STAYLINE, "run", "--session", "s", "--stderr", "--quiet", "--"]
    process = subprocess.Popen(
        [*words, sys.executable, "-c", script],
        cwd=folder,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        bufsize=0,
    )
    try:
        yield process
    finally:
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        process.wait(PATIENCE)


#: Prints to the first output, which breaks; then, each time it is told to, to this one and to the
#: other one.
BROKEN = """
import os, signal, sys
broken, whole = map(int, {outputs!r})
signal.signal(signal.SIGPIPE, signal.SIG_IGN)

def say(output, text):
    try:
        os.write(output, text + b"\\n")
    except BrokenPipeError:
        pass

say(broken, b"taken")
for number in range(3):
    os.read(0, 1)
    say(broken, b"broken %d" % number)
    say(whole, b"whole %d" % number)
"""


def breaks(folder: Path, broken: int) -> None:
    whole = 3 - broken
    script = BROKEN.format(outputs=(broken, whole))
    with running(folder, script, subprocess.PIPE, subprocess.PIPE) as process:
        pipes = {1: process.stdout, 2: process.stderr}
        taken, kept, told = pipes[broken], pipes[whole], process.stdin
        assert taken is not None
        assert kept is not None
        assert told is not None
        assert taken.readline() == b"taken\n"
        taken.close()
        for number in range(3):
            told.write(b".")
            assert kept.readline() == b"whole %d\n" % number
        assert process.wait(PATIENCE) == 0
    texts = [data.get("text") for _, data in stored(folder, "s")]
    # What was read, and could not be passed on, was printed all the same.
    assert [text for text in texts if text in ("taken", "broken 0")] == ["taken", "broken 0"]
    assert [text for text in texts if text and text.startswith("whole")] == [
        "whole 0",
        "whole 1",
        "whole 2",
    ]


def test_a_broken_stdout_leaves_stderr_alone(tmp_path: Path) -> None:
    breaks(tmp_path, 1)


def test_a_broken_stderr_leaves_stdout_alone(tmp_path: Path) -> None:
    breaks(tmp_path, 2)


#: Fills its stdout, which nobody reads, and then says so on stderr.
STALLED = """
import os, threading
def fill():
    for number in range(40_000):
        os.write(1, b"line %d\\n" % number)
filling = threading.Thread(target=fill)
filling.start()
filling.join(1)
os.write(2, b"stalled\\n")
filling.join()
"""


def test_a_stdout_that_nobody_reads_holds_up_no_line_of_stderr(tmp_path: Path) -> None:
    with running(tmp_path, STALLED, subprocess.PIPE, subprocess.PIPE) as process:
        stdout, stderr = process.stdout, process.stderr
        assert stdout is not None
        assert stderr is not None
        told: list[bytes] = []
        listening = threading.Thread(target=lambda: told.append(stderr.readline()))
        listening.start()
        listening.join(PATIENCE / 2)
        early = list(told)
        # Only now; the thread ends in any case.
        printed = stdout.read()
        listening.join()
        assert early == [b"stalled\n"]
        assert printed.count(b"\n") == 40_000


#: Fills stderr, which is its own here, and leaves something behind that has its stdout.
LEAVING = """
import os, subprocess
null = subprocess.DEVNULL
behind = subprocess.Popen(["sleep", "600"], stdin=null, stderr=null)
os.set_blocking(2, False)
try:
    while True:
        os.write(2, bytes(4_096))
except BlockingIOError:
    os.set_blocking(2, True)
print(behind.pid, flush=True)
"""


def test_a_signal_ends_it_though_nobody_reads_its_complaints(tmp_path: Path) -> None:
    words = ["run", "--session", "s", "--no-stderr", "--", sys.executable, "-c", LEAVING]
    process = begin(tmp_path, *words)
    behind = int(line_of(process))
    try:
        # By then it has something to say about what still holds the output.
        time.sleep(2)
        process.terminate()
        assert process.wait(PATIENCE) == 0
    finally:
        os.kill(behind, signal.SIGKILL)
        process.kill()
        finish(process)
    assert stored(tmp_path, "s")[-1] == ("complete", {"exitCode": 0})


#: Prints lines to both at the same time. Four of them fit into a page of a pipe, and so no reading
#: of this pipe cuts one; writing on without turns would.
BOTH = """
import os, threading
def fill(output, character):
    for number in range(2_000):
        os.write(output, character * 999 + b"\\n")
for output, character in ((1, b"o"), (2, b"e")):
    threading.Thread(target=fill, args=(output, character)).start()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="pipes are otherwise elsewhere")
def test_two_outputs_into_one_pipe_cut_no_lines_of_each_other(tmp_path: Path) -> None:
    with running(tmp_path, BOTH, subprocess.PIPE, subprocess.STDOUT) as process:
        assert process.stdout is not None
        # Full at first, so that writing comes in pieces.
        time.sleep(0.5)
        lines = process.stdout.read().splitlines()
    assert {line: lines.count(line) for line in set(lines)} == {
        b"o" * 999: 2_000,
        b"e" * 999: 2_000,
    }


def test_a_long_line_is_cut_between_characters() -> None:
    lines = _Lines(10)
    assert lines.ended("äöüäö".encode()) == ["äöüäö".encode()]
    assert lines.ended(b"\n") == []
    assert lines.ended(b"12345678") == []
    assert lines.ended("9€".encode()[:3]) == [b"123456789"]
    assert lines.ended("€".encode()[2:] + b"\n\n") == ["€".encode(), b""]
    for character in ("é", "€", "😀"):
        whole = character.encode()
        for length in range(1, len(whole)):
            lines = _Lines(4)
            assert lines.ended(b"abcd" + whole[:length]) == [b"abcd"]
            assert lines.ended(whole[length:] + b"\n") == [whole]
    # Not UTF-8 at all.
    assert _Lines(4).ended(b"\x80" * 8) == [b"\x80" * 8]
    assert _Lines(4).ended(b"\xff" * 8) == [b"\xff" * 8]


def test_one_long_line_takes_little_memory(tmp_path: Path) -> None:
    script = "import os\nfor _ in range(40): os.write(1, bytes(1_000_000))"
    words = [*STAYLINE, "run", "--session", "s", "--quiet", "--", sys.executable, "-c", script]
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen(
            words, cwd=tmp_path, env=environment(), stdin=subprocess.DEVNULL, stdout=out
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    # In KiB on Linux, in bytes on macOS.
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1_024)
    assert peak < 256 * 1_048_576
    texts = [data["text"] for kind, data in stored(tmp_path, "s") if kind == "output"]
    assert sum(map(len, texts)) == (tmp_path / "out").stat().st_size == 40_000_000


def test_a_line_of_ten_megabytes_is_one_line(tmp_path: Path) -> None:
    script = "print('x(\"\\\\u{0}\")' * 1_000_000)"
    answer = call(tmp_path, "run", "--session", "s", "--quiet", "--", sys.executable, "-c", script)
    assert answer.returncode == 0, answer.stderr
    events = [data for kind, data in stored(tmp_path, "s") if kind == "output"]
    assert [data["part"] for data in events] == list(range(len(events)))
    assert "".join(data["text"] for data in events) + "\n" == answer.stdout.decode()
    assert len(answer.stdout) > 10_000_000
