"""Another SQLite, of the host's process or of another one, that writes at the very moment of our
commits: each waits for the other, and what was acknowledged is there after a SIGKILL."""

from __future__ import annotations

import itertools
import json
import queue
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import stayline
from conftest import PATIENCE, eventually

#: A host whose threads append events and say what is acknowledged, while its own SQLite does one
#: thing after the other to the same file, each while a commit of ours is under way.
HOST = """
import fcntl, itertools, json, os, shutil, sqlite3, struct, sys, threading
import stayline

path = sys.argv[1]
coordinator = stayline.Coordinator(f"sqlite:{path}")
index = open(path + "-shm", "rb+")
tell = lambda *words: os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def write(name):
    session = coordinator.session(name)
    token = session.start(name).token
    link = session.attach(name, token=token, acknowledged=True, producer="p", attempt=1)
    outgoing = link.outgoing(timeout=60)
    next(outgoing)
    for seq in itertools.count(1):
        data = {"streamEventType": "output", "data": {"n": seq, "pad": "x" * 3000}, "seq": seq}
        link.receive(json.dumps(data))
        told = json.loads(next(outgoing).text)
        assert told == {"type": "ack", "seq": seq}, told
        tell("kept", name, seq)

def await_commit():
    # A lock on the byte that writers lock; F_OFD_GETLK, since within one process only that tells.
    for _ in range(2000):
        asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 120, 1, 0)
        (kind,) = struct.unpack_from("h", fcntl.fcntl(index, 36, asked))
        if kind != fcntl.F_UNLCK:
            return

def visit(sql):
    other = sqlite3.connect(path, isolation_level=None, timeout=5)
    try:
        other.execute("SELECT count(*) FROM events").fetchone()
        await_commit()
        other.execute(sql).fetchall()
    except sqlite3.OperationalError as error:
        assert "locked" in str(error), error
        tell("refused", sql)
    finally:
        other.close()

def copy():
    await_commit()
    for suffix in ("", "-wal", "-shm"):
        shutil.copyfile(path + suffix, path + ".copy" + suffix)

visits = [
    lambda: visit("VACUUM"),
    lambda: visit("INSERT INTO of_the_host VALUES (1)"),
    lambda: visit("PRAGMA wal_checkpoint(TRUNCATE)"),
    copy,
]

def meddle():
    visit("CREATE TABLE of_the_host (a)")
    # Each after each, itself too: twice on every way from one to the other.
    for one, other in itertools.product(visits, repeat=2):
        one()
        other()
    tell("done")

def guarded(work, *arguments):
    try:
        work(*arguments)
    except BaseException as error:
        tell("failed", repr(error))

for name in sys.argv[2:]:
    threading.Thread(target=guarded, args=(write, name), daemon=True).start()
guarded(meddle)
threading.Event().wait()
"""

NAMES = ("a", "b", "c")


@pytest.mark.skipif(sys.platform != "linux", reason="has no locks that conflict within a process")
def test_writes_of_both_in_the_middle_of_each_other_take_nothing_away(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    host = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", HOST, str(path), *NAMES],
        stdout=subprocess.PIPE,
        text=True,
    )
    kept = dict.fromkeys(NAMES, 0)
    told = "nothing"
    try:
        assert host.stdout is not None
        for line in host.stdout:
            told, *words = line.split(maxsplit=2)
            if told == "kept":
                kept[words[0]] = int(words[1])
            elif told in ("done", "failed"):
                break
    finally:
        host.kill()
        host.communicate(timeout=PATIENCE)
    assert told == "done", line
    assert all(kept.values()), kept
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with stayline.Coordinator(f"sqlite:{path}") as coordinator:
        for name, last in kept.items():
            events = coordinator.session(name).events()
            numbers = [json.loads(event.raw_data)["n"] for event in events]
            assert numbers == list(range(1, len(numbers) + 1)), name
            assert len(numbers) >= last, name


#: What another connection does, in a process of its own or as a part of this one.
OTHER = """
import sqlite3, sys

def hold(path, say, hear):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    say("held")
    hear()
    other.execute("ROLLBACK")
    other.close()

def checkpoint(path, say, hear):
    other = sqlite3.connect(path, isolation_level=None, timeout=600)
    say("begun")
    ((is_busy, *_),) = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    say(f"busy {is_busy}")
    other.close()
"""


class Within:
    """Another SQLite of this process."""

    def __init__(self, work: str, path: Path) -> None:
        names: dict[str, Callable[..., None]] = {}
        exec(OTHER, names)
        self.said: queue.Queue[str] = queue.Queue()
        self.told: queue.Queue[str] = queue.Queue()
        arguments = (str(path), self.said.put, self.told.get)
        self.thread = threading.Thread(target=names[work], args=arguments, daemon=True)
        self.thread.start()

    def says(self) -> str:
        return self.said.get(timeout=PATIENCE)

    def is_done(self) -> bool:
        return not self.thread.is_alive()

    def tell(self) -> None:
        self.told.put("")

    def end(self) -> None:
        self.tell()
        self.thread.join(PATIENCE)


class Beside:
    """The same in a process of its own."""

    def __init__(self, work: str, path: Path) -> None:
        script = f"{OTHER}\n{work}(sys.argv[1], lambda text: print(text, flush=True), input)"
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def is_done(self) -> bool:
        return self.process.poll() is not None

    def tell(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)


Other = Within | Beside


@pytest.fixture(params=["within", "beside"])
def begin(request: pytest.FixtureRequest) -> Iterator[Callable[[str, Path], Other]]:
    """Starts another connection at its work."""
    started: list[Other] = []

    def begin(work: str, path: Path) -> Other:
        started.append(Within(work, path) if request.param == "within" else Beside(work, path))
        return started[-1]

    yield begin
    for other in started:
        other.end()


def test_a_commit_waits_for_another_connection(
    tmp_path: Path, begin: Callable[[str, Path], Other]
) -> None:
    path = tmp_path / "runs.db"
    with stayline.Coordinator(f"sqlite:{path}") as coordinator:
        session = coordinator.session("s")
        execution = session.start("e")
        other = begin("hold", path)
        assert other.says() == "held"
        is_failed = threading.Event()

        def fail() -> None:
            assert session.fail("e", "boom")
            is_failed.set()

        thread = threading.Thread(target=fail)
        thread.start()
        # Long enough for a commit that does not wait.
        assert not is_failed.wait(1)
        other.tell()
        assert is_failed.wait(PATIENCE)
        thread.join(PATIENCE)
        assert execution.error == "boom"


def test_a_connection_that_stays_is_named_and_nothing_is_lost(
    tmp_path: Path,
    begin: Callable[[str, Path], Other],
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / "runs.db"
    numbers = list(range(200))
    with stayline.Coordinator(f"sqlite:{path}") as coordinator, coordinator.serve() as server:
        session = coordinator.session("s")
        execution = session.start("e")
        with stayline.Wrapper(
            server.url, session_id="s", execution_id="e", token=execution.token
        ) as wrapper:
            wrapper.send("output", {"n": numbers[0]})
            wrapper.wait_connected(PATIENCE)
            other = begin("hold", path)
            assert other.says() == "held"
            for number in numbers[1:]:
                wrapper.send("output", {"n": number})
            # After five seconds.
            eventually(lambda: wrapper.state != "connected")
            other.tell()
            outcome = wrapper.complete()
        assert outcome.status == "completed"
        kept = [event.data["n"] for event in session.events() if event.type == "output"]
        assert kept == numbers
    assert "another connection has locked the file" in caplog.text


def test_a_checkpoint_of_another_connection_is_let_through_and_holds_nobody_up(
    tmp_path: Path, begin: Callable[[str, Path], Other]
) -> None:
    path = tmp_path / "runs.db"
    with stayline.Coordinator(f"sqlite:{path}") as coordinator:
        session = coordinator.session("s")
        session.start("e 0")
        other = begin("checkpoint", path)
        assert other.says() == "begun"
        for number in itertools.count():
            # Refused after five seconds if it cannot be made.
            session.fail(f"e {number}", "boom")
            session.start(f"e {number + 1}")
            if other.is_done():
                break
        assert other.says() == "busy 0"
        assert session.active == f"e {number + 1}"
