"""A forked child: inert objects, a clear error, and a clean new start."""

from __future__ import annotations

import gc
import os
import signal
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


def test_a_child_of_a_busy_parent_can_start_anew() -> None:
    import threading

    stop = threading.Event()
    with stayline.Coordinator("memory:") as coordinator:
        session = coordinator.session("s")
        session.start("e")
        link = session.attach("e", trusted=True)

        def work() -> None:
            while not stop.is_set():
                link.receive(frame("output"))
                session.active  # noqa: B018

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):

                def child() -> None:
                    with stayline.Coordinator("memory:") as mine:
                        mine.session("s").start("e")
                        assert mine.session("s").active == "e"

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
