"""The host on libuv: sockets, requests and frames of its own, and one thread that never waits."""

from __future__ import annotations

import sqlite3
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import stayline
from conftest import PATIENCE, ROOT, Compile
from test_valgrind import VALGRIND

SOURCE = ROOT / "examples" / "c" / "libuv_host.c"
QUICK = stayline.Settings(reconnect_base_ms=10, reconnect_cap_ms=50)
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
#: Compiler, flags, and what it is run under.
WAYS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "gcc": ("gcc", (), ()),
    "clang": ("clang", (), ()),
    "sanitized": ("gcc", SANITIZERS, ()),
    "valgrind": ("gcc", (), (*VALGRIND, "--quiet")),
}


@dataclass
class Host:
    """A running one, and what its first line says."""

    process: subprocess.Popen[str]
    lines: list[str]
    reading: threading.Thread
    url: str
    session_id: str
    execution_id: str
    token: str

    def wrapper(self, **options: object) -> stayline.Wrapper:
        arguments: dict[str, object] = {"token": self.token, "settings": QUICK, **options}
        return stayline.Wrapper(
            self.url,
            session_id=self.session_id,
            execution_id=self.execution_id,
            **arguments,  # type: ignore[arg-type]
        )

    def rest(self) -> list[str]:
        """What it prints to its end, which has to be a good one."""
        assert self.process.wait(PATIENCE) == 0
        self.reading.join(PATIENCE)
        assert not self.reading.is_alive()
        return self.lines


@contextmanager
def running(program: Path, store: str, around: tuple[str, ...] = ()) -> Iterator[Host]:
    # What it has to complain about is among the lines.
    with subprocess.Popen(
        [*around, program, store], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        output = process.stdout
        assert output is not None
        url, session_id, execution_id, token = output.readline().split()
        lines: list[str] = []
        # Read all the time: it prints more than a pipe holds, and has one thread.
        reading = threading.Thread(target=lambda: lines.extend(map(str.rstrip, output)))
        reading.start()
        try:
            yield Host(process, lines, reading, url, session_id, execution_id, token)
        finally:
            process.kill()
            reading.join(PATIENCE)


def build(compile: Compile, way: str = "gcc") -> Path:
    compiler, flags, _ = WAYS[way]
    return compile(
        SOURCE, compiler=compiler, flags=flags, packages=("stayline", "libuv", "libcrypto")
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_a_run_from_its_first_request_to_its_end(
    compile: Compile, way: str, store: str, tmp_path: Path
) -> None:
    location = "memory:" if store == "memory" else f"sqlite:{tmp_path / 'runs.db'}"
    count = 300
    with running(build(compile, way), location, WAYS[way][2]) as host:
        with host.wrapper() as wrapper:
            for n in range(count):
                wrapper.send("output", {"n": n, "text": "x" * (n * 7 % 3_000)})
            wrapper.send("output", {"n": count, "text": "y" * 200_000})
            outcome = wrapper.complete(exit_code=0)
        assert outcome.status == "completed"
        lines = host.rest()
    events = [line for line in lines if line.startswith("event ")]
    starts = [f'event {n + 1}: output {{"n":{n},' for n in range(count + 1)]
    assert len(events) == count + 2
    assert all(map(str.startswith, events, [*starts, f"event {count + 2}: complete "]))
    others = [line for line in lines if not line.startswith("event ")]
    assert others == ["attached", "notification: completed"]


def test_a_wrong_token_is_refused_and_others_are_answered(compile: Compile) -> None:
    with running(build(compile), "memory:") as host:
        wrapper = host.wrapper(token="wrong")
        with pytest.raises((stayline.Disconnected, stayline.Unauthorized, stayline.Closed)):
            wrapper.outcome(PATIENCE)
        with urllib.request.urlopen(f"{host.url}/health", timeout=PATIENCE) as answer:
            assert answer.read() == b"still here\n"
        with host.wrapper() as wrapper:
            wrapper.complete()
        assert "refused: Unauthorized" in host.rest()


def test_the_loop_goes_on_while_an_attach_waits_for_the_disk(
    compile: Compile, tmp_path: Path
) -> None:
    file = tmp_path / "runs.db"
    with running(build(compile), f"sqlite:{file}") as host:
        # Somebody else writes: commits wait for it.
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        # Not by `with`, which waits until it is connected.
        wrapper = host.wrapper()
        connected = threading.Event()

        def wait() -> None:
            wrapper.wait_connected(PATIENCE)
            connected.set()

        waiting = threading.Thread(target=wait)
        waiting.start()
        for _ in range(20):
            with urllib.request.urlopen(host.url, timeout=PATIENCE) as answer:
                assert answer.read() == b"still here\n"
        assert not connected.is_set()
        other.execute("ROLLBACK")
        other.close()
        waiting.join(PATIENCE)
        assert connected.is_set()
        wrapper.complete()
        wrapper.close()
        assert "notification: completed" in host.rest()
