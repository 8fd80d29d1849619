"""The host's process has an SQLite of its own (the `sqlite3` module), and other programs come by:
whatever they do with the file, what was acknowledged is there after a SIGKILL."""

from __future__ import annotations

import itertools
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import stayline
from command import PATIENCE

#: A host: for each line it reads it does that to the file, or appends events and says how many are
#: acknowledged. `hold` keeps a connection open.
HOST = """
import json, shutil, sqlite3, sys
import stayline

path = sys.argv[1]
held = []
if len(sys.argv) > 2:
    held.append(sqlite3.connect(path))
    held[0].execute("SELECT count(*) FROM sqlite_schema").fetchone()
coordinator = stayline.Coordinator(f"sqlite:{path}")
session = coordinator.session("s")
execution = session.start("e")
link = session.attach("e", token=execution.token, acknowledged=True, producer="p", attempt=1)
outgoing = link.outgoing(timeout=30)
next(outgoing)
seq = 0

def visit(sql):
    other = sqlite3.connect(path, isolation_level=None, timeout=0.05)
    try:
        other.execute("SELECT count(*) FROM events").fetchone()
        other.execute(sql).fetchall()
    except sqlite3.OperationalError as error:
        return f"refused: {error}"
    finally:
        other.close()
    return "done"

print("ready", flush=True)
for line in sys.stdin:
    order = line.strip()
    if order == "write":
        for _ in range(3):
            seq += 1
            data = {"streamEventType": "output", "data": {"n": seq}, "seq": seq}
            link.receive(json.dumps(data))
            told = json.loads(next(outgoing).text)
            assert told == {"type": "ack", "seq": seq}, told
        print(seq, flush=True)
    elif order == "copy":
        for suffix in ("", "-wal", "-shm"):
            shutil.copyfile(path + suffix, path + suffix + ".copy")
        print("done", flush=True)
    elif order == "backup":
        source, target = sqlite3.connect(path), sqlite3.connect(path + ".backup")
        source.backup(target)
        source.close(), target.close()
        print("done", flush=True)
    elif order == "hold":
        held.append(sqlite3.connect(path))
        held[-1].execute("SELECT count(*) FROM events").fetchone()
        print("done", flush=True)
    elif order == "let go":
        while held:
            held.pop().close()
        print("done", flush=True)
    else:
        print(visit(order), flush=True)
"""

VISITS = (
    "SELECT 1",
    "VACUUM",
    "PRAGMA wal_checkpoint(RESTART)",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA locking_mode = EXCLUSIVE",
)


class Host:
    """A process with a coordinator and another SQLite."""

    def __init__(self, path: Path, *arguments: str) -> None:
        self.path = path
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", HOST, str(path), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.acknowledged = 0
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, order: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        answer = self._line()
        assert answer, f"it ended at {order}"
        return answer

    def write(self) -> None:
        self.acknowledged = int(self.tell("write"))

    def kill(self) -> None:
        self.process.kill()
        # Closes the pipes too.
        self.process.communicate(timeout=PATIENCE)


@contextmanager
def hosting(path: Path, *arguments: str) -> Iterator[Host]:
    host = Host(path, *arguments)
    try:
        yield host
    finally:
        if host.process.returncode is None:
            host.kill()


def numbers(path: Path) -> list[int]:
    with stayline.Coordinator(f"sqlite:{path}", read_only=True) as reader:
        events = reader.session("s").events()
        return [json.loads(event.raw_data)["n"] for event in events]


def visit_from_here(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0.05)) as other:
        other.execute("SELECT count(*) FROM events").fetchone()
        refused = ""
        try:
            other.execute(sql).fetchall()
        except sqlite3.OperationalError as error:
            refused = str(error)
        assert not refused or "locked" in refused


@pytest.mark.parametrize("sql", VISITS)
def test_another_sqlite_takes_nothing_away(tmp_path: Path, sql: str) -> None:
    path = tmp_path / "runs.db"
    with hosting(path) as host:
        for inside, outside in itertools.product((True, False), repeat=2):
            host.write()
            if inside:
                host.tell(sql)
            if outside:
                visit_from_here(path, sql)
            host.write()
            visit_from_here(path, "SELECT 1")
        host.write()
        host.kill()
        assert numbers(path) == list(range(1, host.acknowledged + 1))


@pytest.mark.parametrize("first", ["copy", "backup", "hold"])
def test_copies_backups_and_connections_that_stay_take_nothing_away(
    tmp_path: Path, first: str
) -> None:
    path = tmp_path / "runs.db"
    with hosting(path) as host:
        for order in (first, "copy", "hold", "let go", "backup", "copy"):
            host.write()
            assert host.tell(order) == "done"
            visit_from_here(path, "PRAGMA wal_checkpoint(TRUNCATE)")
            host.write()
        host.kill()
        assert numbers(path) == list(range(1, host.acknowledged + 1))


def test_a_connection_from_before_the_coordinator_takes_nothing_away(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    stayline.Coordinator(f"sqlite:{path}").close()
    with hosting(path, "hold first") as host:
        host.write()
        assert host.tell("VACUUM")
        assert host.tell("let go") == "done"
        host.write()
        visit_from_here(path, "SELECT 1")
        host.write()
        host.kill()
        assert numbers(path) == list(range(1, host.acknowledged + 1))
