"""Children that outlive a killed parent hold nothing of it: no file, no port, no connection."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest
import stayline
from conftest import PATIENCE, eventually

# Opens everything that hangs on a descriptor, forks in the way that is asked for, and says where
# things are: the child's pid, the server's address.
PARENT = """
    import multiprocessing, os, sys, time
    import stayline

    if __name__ == "__main__":
        coordinator = stayline.Coordinator("sqlite:runs.db")
        server = coordinator.serve()
        session = coordinator.session("s")
        execution = session.start("e")
        wrapper = stayline.Wrapper(
            server.url, session_id="s", execution_id="e", token=execution.token
        )
        wrapper.wait_connected(20)
        if sys.argv[1] == "fork":
            ready, is_ready = os.pipe()
            child = os.fork()
            if child == 0:
                # Behind the fork's hooks: what the child lets go of is gone.
                os.write(is_ready, b"x")
                time.sleep(600)
                os._exit(0)
            os.read(ready, 1)
        else:
            context = multiprocessing.get_context(sys.argv[1])
            worker = context.Process(target=time.sleep, args=(600,))
            worker.start()
            child = worker.pid
        print(child, server.address, flush=True)
        time.sleep(600)
"""


@contextmanager
def killed_parent(folder: Path, method: str) -> Iterator[tuple[int, str]]:
    """A parent that was killed while its child lives: the child's pid, the server's address."""
    script = folder / "parent.py"
    script.write_text(textwrap.dedent(PARENT))
    parent = subprocess.Popen(
        [sys.executable, str(script), method], stdout=subprocess.PIPE, text=True, cwd=folder
    )
    assert parent.stdout is not None
    child = 0
    try:
        words = parent.stdout.readline().split()
        child = int(words[0])
        parent.kill()
        parent.wait(PATIENCE)
        yield child, words[1]
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
        if child:
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_file_is_free_at_once(tmp_path: Path, method: str) -> None:
    with killed_parent(tmp_path, method) as (child, _):
        os.kill(child, 0)
        with stayline.Coordinator(f"sqlite:{tmp_path / 'runs.db'}") as coordinator:
            assert coordinator.session("s").active == "e"


def test_the_port_is_free_at_once(tmp_path: Path) -> None:
    with killed_parent(tmp_path, "fork") as (child, address):
        os.kill(child, 0)
        host, port = address.rsplit(":", 1)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)), timeout=PATIENCE)
        with stayline.Coordinator("memory:") as coordinator, coordinator.serve(address) as server:
            assert server.address == address


def connect(address: str) -> socket.socket:
    host, port = address.rsplit(":", 1)
    connected = socket.create_connection((host, int(port)), timeout=PATIENCE)
    connected.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert connected.recv(1)
    return connected


def test_a_peer_notices_that_the_server_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, sys, time
            import stayline

            server = stayline.Coordinator("memory:").serve()
            print(server.address, flush=True)
            sys.stdin.readline()
            ready, is_ready = os.pipe()
            child = os.fork()
            if child == 0:
                # Behind the fork's hooks: what the child lets go of is gone.
                os.write(is_ready, b"x")
                time.sleep(600)
                os._exit(0)
            os.read(ready, 1)
            print(child, flush=True)
            time.sleep(600)
            """
        )
    )
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    child = 0
    try:
        with connect(parent.stdout.readline().strip()) as connected:
            parent.stdin.write("\n")
            parent.stdin.flush()
            child = int(parent.stdout.readline())
            parent.kill()
            assert_closed(connected)
    finally:
        parent.kill()
        parent.wait()
        parent.stdin.close()
        parent.stdout.close()
        if child:
            os.kill(child, signal.SIGKILL)


def assert_closed(connected: socket.socket) -> None:
    """The other end is gone; only the time limit of the socket would say otherwise."""
    try:
        while connected.recv(4096):
            pass
    except ConnectionResetError:
        pass


def test_a_child_leaves_the_lock_and_the_port_of_a_living_parent(tmp_path: Path) -> None:
    location = f"sqlite:{tmp_path / 'runs.db'}"
    with stayline.Coordinator(location) as coordinator, coordinator.serve() as server:
        for _ in range(3):
            child = os.fork()
            if child == 0:
                os._exit(0)
            _, status = os.waitpid(child, 0)
            assert status == 0
        with pytest.raises(stayline.StoreInUse) as raised:
            stayline.Coordinator(location)
        assert (raised.value.pid, raised.value.url) == (os.getpid(), server.url)
        connect(server.address).close()
    with stayline.Coordinator(location):
        pass


def test_a_child_of_a_child_holds_nothing_either(tmp_path: Path) -> None:
    location = f"sqlite:{tmp_path / 'runs.db'}"
    reading, writing = os.pipe()

    def in_child(work: Callable[[], None]) -> int:
        child = os.fork()
        if child == 0:
            try:
                work()
            finally:
                os._exit(1)
        return child

    def middle() -> None:
        kept = stayline.Coordinator(location)
        assert kept.session("s")
        survivor = in_child(lambda: time.sleep(600))
        os.write(writing, f"{survivor}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)

    os.waitpid(in_child(middle), 0)
    survivor = int(os.read(reading, 100))
    try:
        eventually(lambda: True)
        with stayline.Coordinator(location):
            os.kill(survivor, 0)
    finally:
        os.kill(survivor, signal.SIGKILL)
        os.close(reading)
        os.close(writing)


# Writes on and on, on a thread of its own, and has a child from the midst of it.
WRITER = """
    import json, os, sys, threading, time
    import stayline

    coordinator = stayline.Coordinator("sqlite:runs.db")
    session = coordinator.session("s")
    link = session.attach("e", token=session.start("e").token)
    is_under_way = threading.Event()

    def write():
        for number in range(1_000_000):
            data = {"n": number, "pad": "x" * 30_000}
            link.receive(json.dumps({"streamEventType": "output", "data": data}))
            if number == 20:
                is_under_way.set()

    threading.Thread(target=write, daemon=True).start()
    is_under_way.wait()
    ready, is_ready = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(is_ready, b"x")
        time.sleep(600)
        os._exit(0)
    os.read(ready, 1)
    print(child, flush=True)
    time.sleep(600)
"""


def is_being_written(index: BinaryIO) -> bool:
    """Whether somebody holds the lock of writers, a byte of SQLite's index of the log."""
    if sys.platform != "linux":
        return True
    asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 120, 1, 0)
    (kind,) = struct.unpack_from("h", fcntl.fcntl(index, fcntl.F_GETLK, asked))
    return kind != fcntl.F_UNLCK


def test_a_parent_killed_in_the_middle_of_a_commit_leaves_no_lock_to_its_child(
    tmp_path: Path,
) -> None:
    script = tmp_path / "parent.py"
    script.write_text(textwrap.dedent(WRITER))
    parent = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(script)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert parent.stdout is not None
    child = 0
    try:
        child = int(parent.stdout.readline())

        with (tmp_path / "runs.db-shm").open("rb+") as index:

            def is_stopped_in_a_commit() -> bool:
                parent.send_signal(signal.SIGSTOP)
                os.waitpid(parent.pid, os.WUNTRACED)
                if not is_being_written(index):
                    parent.send_signal(signal.SIGCONT)
                    return False
                return True

            eventually(is_stopped_in_a_commit)
            parent.kill()
            parent.wait(PATIENCE)
            os.kill(child, 0)
            assert sys.platform != "linux" or not is_being_written(index)
        with stayline.Coordinator(f"sqlite:{tmp_path / 'runs.db'}") as coordinator:
            assert coordinator.session("s").fail("e", "boom")
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
        if child:
            os.kill(child, signal.SIGKILL)


def are_others_asleep() -> bool:
    """Whether no other thread of this process is at work: what SQLite has locked in memory of an
    open database stays locked in a child. Where that cannot be told, it is taken for so."""
    own = str(threading.get_native_id())
    for task in Path("/proc/self/task").glob("*"):
        state = (task / "stat").read_text().rpartition(")")[2].split()[0]
        if task.name != own and state != "S":
            return False
    return True


def test_a_child_reads_the_store_that_its_parent_goes_on_writing(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with stayline.Coordinator(f"sqlite:{path}") as coordinator:
        session = coordinator.session("s")
        session.start("e 0")
        for number in range(5):
            eventually(are_others_asleep)
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    with stayline.Coordinator(f"sqlite:{path}", read_only=True) as reader:
                        statuses = [one.status for one in reader.session("s").executions()]
                        assert statuses.count("failed") >= number, statuses
                    code = 0
                finally:
                    os._exit(code)
            session.fail(f"e {number}", "boom")
            session.start(f"e {number + 1}")
            _, status = os.waitpid(child, 0)
            assert status == 0
