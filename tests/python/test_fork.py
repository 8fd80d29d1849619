"""A forked child: inert objects, a clear error, and a clean new start."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
import stayline
from conftest import PATIENCE, eventually, frame


def in_child(work: Callable[[], None]) -> None:
    """Runs `work` in a forked child, which must come to its end in peace."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    try:
        _, status = eventually(lambda: ended(os.waitpid(pid, os.WNOHANG)))
    except AssertionError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    assert os.waitstatus_to_exitcode(status) == 0


def ended(waited: tuple[int, int]) -> tuple[int, int] | None:
    return waited if waited[0] else None


def refused(*calls: Callable[[], object]) -> None:
    for call in calls:
        with pytest.raises(stayline.ForkError) as raised:
            call()
        assert raised.value.pid == os.getppid()


def test_every_kind_of_object_refuses_in_a_child(location: str) -> None:
    with stayline.Coordinator(location) as coordinator:
        session = coordinator.session("s")
        execution = session.start("e")
        link = session.attach("e", trusted=True)
        stream = session.stream(timeout=0)
        lease = session.lease("e", "me")
        notifications = coordinator.notifications(timeout=0)
        launch = session.launch("f")
        server = coordinator.serve()

        def child() -> None:
            refused(
                lambda: session.active,
                lambda: coordinator.session("s"),
                coordinator.sessions,
                coordinator.close,
                lambda: session.start("g"),
                session.info,
                session.events,
                lambda: execution.status,
                lambda: execution.wait(0),
                lambda: link.receive("{}"),
                link.try_output,
                link.closed,
                lambda: next(stream),
                stream.close,
                lease.release,
                lambda: next(notifications),
                launch.__enter__,
                server.close,
            )
            for thing in (coordinator, session, execution, link, stream, server):
                assert repr(thing)

        in_child(child)
        # The parent's are unharmed.
        link.receive(frame("complete", {"exitCode": 0}))
        assert execution.wait(PATIENCE).status == "completed"
        (notification,) = coordinator.notifications(timeout=0)
        notification.ack()


def test_dropping_in_a_child_does_nothing(location: str) -> None:
    with stayline.Coordinator(location) as coordinator:
        session = coordinator.session("s")
        execution = session.start("e")
        things: list[object] = [
            session.attach("e", trusted=True),
            session.stream(),
            session.lease("e", "me"),
            coordinator.notifications(),
        ]

        def child() -> None:
            things.clear()
            gc.collect()

        in_child(child)
        assert execution.status == "running"
        assert session.info().link_attached


def test_leaving_a_block_in_a_child_leaves_it_to_the_parent() -> None:
    with stayline.Coordinator("memory:") as coordinator:
        session = coordinator.session("s")

        def child() -> None:
            with session.attach("e", trusted=True):
                pass

        execution = session.start("e")
        with session.attach("e", trusted=True), session.stream() as stream:
            manager = coordinator

            def leave() -> None:
                manager.__exit__(None, None, None)
                stream.__exit__(None, None, None)
                with pytest.raises(stayline.ForkError):
                    child()

            in_child(leave)
            assert execution.status == "running"


def test_new_objects_work_in_a_child(tmp_path: Path) -> None:
    parent = stayline.Coordinator("memory:")
    parent.session("s").start("e")
    server = parent.serve()

    def child() -> None:
        location = f"sqlite:{tmp_path / 'child.db'}"
        with stayline.Coordinator(location) as coordinator:
            session = coordinator.session("s")
            execution = session.start("e")
            with coordinator.serve() as mine:
                assert mine.url != server.url
            session.fail("e", "boom")
            assert execution.wait(PATIENCE).error == "boom"

        def grandchild() -> None:
            with stayline.Coordinator(location) as coordinator:
                assert coordinator.session("s").execution("e").error == "boom"

        in_child(grandchild)

    in_child(child)
    assert parent.session("s").active == "e"
    parent.close()


def test_a_child_of_a_busy_parent_can_start_anew(location: str, tmp_path: Path) -> None:
    import threading

    stop = threading.Event()
    own = "memory:" if location == "memory:" else f"sqlite:{tmp_path / 'child.db'}"
    with stayline.Coordinator(location) as coordinator:
        session = coordinator.session("s")
        session.start("e")
        link = session.attach("e", trusted=True)

        def work() -> None:
            while not stop.is_set():
                link.receive(frame("output"))
                session.active  # noqa: B018
                session.events(limit=5)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for number in range(25):

                def child(number: int = number) -> None:
                    with stayline.Coordinator(own) as mine:
                        mine.session("s").start(f"e {number}")
                        assert mine.session("s").active == f"e {number}"
                        mine.session("s").fail(f"e {number}", "boom")

                in_child(child)
        finally:
            stop.set()
            for thread in threads:
                thread.join(PATIENCE)


def test_threads_of_a_child_never_meet_the_parents_waiters() -> None:
    # Waiters of the parent's threads used to be found, by way of a table of the process, in
    # memory that the child's threads had taken over.
    parents = [stayline.Coordinator("memory:") for _ in range(8)]
    for parent in parents:
        parent.session("s").start("e")

    def child() -> None:
        for _ in range(4):
            with stayline.Coordinator("memory:") as mine, mine.serve():
                mine.session("s").start("e")

        def grandchild() -> None:
            with stayline.Coordinator("memory:") as mine:
                mine.session("s").start("e")

        in_child(grandchild)

    for _ in range(10):
        in_child(child)
    for parent in parents:
        assert parent.session("s").active == "e"
        parent.close()


#: The first object is made by a thread, and takes its time to import what it needs.
SLOW_IMPORT = """
import os, signal, sys, threading, time
import stayline


class Slow:
    def find_spec(self, name, path, target=None):
        if name == "stayline._threads":
            importing.set()
            time.sleep(0.5)


def open_one():
    with stayline.Coordinator("memory:") as coordinator:
        coordinator.session("s").start()


importing = threading.Event()
sys.meta_path.insert(0, Slow())
thread = threading.Thread(target=open_one)
thread.start()
importing.wait()
child = os.fork()
if child == 0:
    signal.alarm(20)
    open_one()
    os._exit(0)
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_fork_waits_for_what_is_being_imported(tmp_path: Path) -> None:
    assert run_script(SLOW_IMPORT, tmp_path) == "0\n"


#: Threads that let objects go and hold the interpreter lock, beside hooks that let go of it.
HOOKED = """
import os, signal, threading, time
import stayline

# Runs between the hook of a library that was imported later and the fork.
os.register_at_fork(before=lambda: time.sleep(0.002))
import stayline.aio

over = threading.Event()


def work():
    while not over.is_set():
        stayline.Coordinator("memory:").serve()


threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
failed = 0
for _ in range(40):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        with stayline.Coordinator("memory:") as coordinator:
            coordinator.session("s").start()
        os._exit(0)
    failed += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
over.set()
print(failed)
os._exit(0)
"""


def test_a_fork_never_waits_for_a_thread_that_waits_for_it(tmp_path: Path) -> None:
    assert run_script(HOOKED, tmp_path) == "0\n"


def run_script(source: str, folder: Path) -> str:
    script = folder / "script.py"
    script.write_text(source)
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
