"""A server without room on its disk, and one without descriptors: each is told once a minute, and
over when there is room again."""

from __future__ import annotations

import json
import os
import re
import resource
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from command import STAYLINE, environment, finish, line_of
from conftest import eventually

#: So often it is told, in seconds.
_SELDOM = 60.0

OWN_DISK = ["unshare", "--user", "--map-root-user", "--mount", "--"]


class Served:
    """`stayline serve`, with what it says on stderr."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.began = time.monotonic()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line_of(process))
        assert found is not None, finish(process)
        self.url, self.port = found.group(), int(found.group(1))
        self.said: list[str] = []
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.decode())

    def lines(self, what: str) -> list[str]:
        return [line for line in self.said if what in line]

    def is_told_seldom(self, what: str) -> bool:
        """At once, and once a minute from then on."""
        most = 1 + (time.monotonic() - self.began) // _SELDOM
        return 1 <= len(self.lines(what)) <= most

    def start(self, session: str) -> int:
        """Starts an execution; the status of the answer."""
        request = urllib.request.Request(
            f"{self.url}/sessions/{session}/executions", data=b"{}", method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                # Anything else is no full disk.
                return error.code if json.load(error)["error"] == "StoreError" else 0


@contextmanager
def serving(command: list[str], folder: Path, descriptors: int | None = None) -> Iterator[Served]:
    def limit() -> None:
        if descriptors is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment(),
        preexec_fn=limit,
        bufsize=0,
    )
    try:
        served = Served(process)
        yield served
    finally:
        process.terminate()
        process.wait(30)
        served._reading.join()
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


@pytest.mark.skipif(
    subprocess.run([*OWN_DISK, "true"], capture_output=True).returncode != 0,
    reason="a disk of one's own needs user namespaces",
)
def test_a_full_disk_is_told_once_a_minute_and_is_over_when_there_is_room(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = f"""
        mount -t tmpfs -o size=3m none {disk} && head -c 1m /dev/zero > {disk}/ballast &&
        exec "$@"
    """
    store = f"sqlite:{disk}/runs.db"
    serve = [*STAYLINE, "serve", "--store", store, "--listen", "127.0.0.1:0"]
    with serving([*OWN_DISK, "sh", "-c", script, "sh", *serve], tmp_path) as served:
        number = 0
        while served.start(f"s{number}") == 201:
            number += 1
            assert number < 5_000, "the disk is never full"
        refused = [served.start(f"t{more}") for more in range(300)]
        assert refused == [503] * 300
        assert eventually(lambda: served.lines("the disk is full"))
        assert served.is_told_seldom("the disk is full"), served.said
        # As its process sees it.
        Path(f"/proc/{served.process.pid}/root{disk}/ballast").unlink()
        assert eventually(lambda: served.start("t") == 201)
        (again,) = eventually(lambda: served.lines("commits are kept again"))
        counted = re.search(r"kept again; (\d+) had failed", again)
        assert counted is not None
        assert int(counted.group(1)) >= 301
        # What was acknowledged is there.
        with urllib.request.urlopen(f"{served.url}/sessions/s{number - 1}") as answer:
            assert json.load(answer)["activeExecutionId"]


def test_no_descriptors_are_told_once_a_minute_and_over_when_there_are_some(tmp_path: Path) -> None:
    serve = [*STAYLINE, "serve", "--listen", "127.0.0.1:0"]
    with serving(serve, tmp_path, descriptors=60) as served:
        with ExitStack() as sockets:
            for _ in range(100):
                address = ("127.0.0.1", served.port)
                sockets.enter_context(socket.create_connection(address, timeout=30))
            assert eventually(lambda: served.lines("cannot be accepted"))
            # It tries again ten times a second meanwhile.
            time.sleep(1.5)
            assert served.is_told_seldom("cannot be accepted"), served.said
            open_now = len(os.listdir(f"/proc/{served.process.pid}/fd"))
            assert open_now == 60
        assert eventually(lambda: _is_healthy(served.url))
        assert len(served.said) <= 2, served.said


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
