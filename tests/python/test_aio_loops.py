"""Several loops in several threads at one object, and the ends of loops."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stayline
from aio_loops import LOOPS, cancelled, run_on
from conftest import PATIENCE, RunScript, frame
from stayline import aio

Main = Callable[[], Coroutine[Any, Any, Any]]


def everywhere(*mains: Main) -> list[Any]:
    """Runs each on a loop of each kind, all at once, each in a thread of its own."""
    work = [(kind, main) for main in mains for kind in LOOPS]
    with ThreadPoolExecutor(len(work)) as pool:
        running = [pool.submit(run_on, kind, main()) for kind, main in work]
        return [future.result(PATIENCE) for future in running]


def test_loops_share_a_subscription(session: stayline.Session) -> None:
    session.start("e")
    link = session.attach("e", trusted=True)
    stream = aio.Subscription.of(session.stream(until="e"))

    async def read() -> list[int]:
        return [event.id async for event in stream if event.id]

    def in_a_thread() -> list[int]:
        return [event.id for event in stream.sync if event.id]

    def feed() -> None:
        for n in range(2_000):
            link.receive(frame("output", {"n": n}))
        link.receive(frame("complete", {"exitCode": 0}))

    with ThreadPoolExecutor(2) as pool:
        fed, seen = pool.submit(feed), pool.submit(in_a_thread)
        shares = [*everywhere(read, read), seen.result(PATIENCE)]
        fed.result(PATIENCE)
    assert sorted(n for share in shares for n in share) == list(range(1, 2_002))


def test_loops_and_threads_see_one_end(session: stayline.Session) -> None:
    execution = session.start("e")
    view = aio.Execution.of(execution)
    waiting = threading.Barrier(len(LOOPS) * 2 + 1)

    async def wait() -> str:
        await asyncio.to_thread(waiting.wait, PATIENCE)
        return (await view.wait(PATIENCE)).status

    def fail() -> None:
        waiting.wait(PATIENCE)
        session.fail("e", "boom")

    with ThreadPoolExecutor(2) as pool:
        pool.submit(fail)
        ended = pool.submit(execution.wait, PATIENCE)
        assert everywhere(wait, wait) == ["failed"] * 4
        assert ended.result().terminal


def test_loops_ask_one_wrapper_different_things(coordinator: stayline.Coordinator) -> None:
    """A task that waits for one thing takes no wake-up of a task that waits for another."""
    with coordinator.serve() as server:
        for n in range(10):
            ask_one_wrapper(coordinator.session(f"s{n}"), server.url)


def ask_one_wrapper(session: stayline.Session, url: str) -> None:
    token = session.start("e").token
    sync = stayline.Wrapper(url, session_id=session.id, execution_id="e", token=token)
    view = aio.Wrapper.of(sync)
    all_connected = threading.Barrier(len(LOOPS) + 1)

    async def connected() -> None:
        await view.wait_connected(PATIENCE)
        await asyncio.to_thread(all_connected.wait, PATIENCE)

    async def outcome() -> str | None:
        return (await view.outcome(PATIENCE)).status

    def run() -> None:
        all_connected.wait(PATIENCE)
        sync.complete(timeout=PATIENCE)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        assert everywhere(connected, outcome) == [None] * 2 + ["completed"] * 2
        running.result(PATIENCE)


def test_loops_share_notifications_and_calls(coordinator: stayline.Coordinator) -> None:
    view = aio.Coordinator.of(coordinator)
    taken: list[str] = []
    numbers = iter(range(200))

    async def work() -> None:
        for n in numbers:
            session = view.session(f"s{n}")
            await session.start("e")
            await session.fail("e", "boom")

    async def take() -> None:
        async for notification in view.notifications(timeout=0.5):
            taken.append(notification.session_id)
            await notification.ack()

    everywhere(work, take)
    run_on("asyncio", take())
    assert sorted(taken) == sorted(f"s{n}" for n in range(200))


@pytest.mark.parametrize("kind", LOOPS)
def test_waits_use_up_no_descriptors_and_no_time(kind: str, session: stayline.Session) -> None:
    session.start("e")
    session.attach("e", trusted=True)

    async def main() -> None:
        view = aio.Session.of(session)
        execution = await view.execution("e")
        stream = await view.stream()
        await anext(stream)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(200):
            await cancelled(anext(stream))
            await cancelled(execution.wait(), may_end=True)
        waits = [asyncio.ensure_future(anext(stream)) for _ in range(50)]
        await asyncio.sleep(0.05)
        used, began = time.process_time(), time.monotonic()
        await asyncio.sleep(0.5)
        busy = (time.process_time() - used) / (time.monotonic() - began)
        assert busy < 0.5, "it looks again and again"
        for wait in waits:
            wait.cancel()
        await asyncio.wait(waits)
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) <= before + 1

    run_on(kind, main())


@pytest.mark.parametrize("kind", LOOPS)
def test_no_descriptor_left_says_so(kind: str, session: stayline.Session) -> None:
    session.start("e")

    async def main() -> None:
        stream = await aio.Session.of(session).stream()
        await anext(stream)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.open("/dev/null", os.O_RDONLY)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        try:
            with pytest.raises(stayline.LimitExceeded, match="descriptors"):
                await anext(stream)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await cancelled(anext(stream))

    run_on(kind, main())


def test_a_loop_that_ends_with_waiting_tasks_disturbs_nobody(session: stayline.Session) -> None:
    session.start("e")
    execution = aio.Execution.of(session.execution("e"))
    for new_loop in LOOPS.values():
        loop = new_loop()
        loop.set_exception_handler(lambda _loop, _context: None)
        task = loop.create_task(execution.wait())
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()
        # As at the end of a program: the task is thrown away while it waits.
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        del task
        gc.collect()
    session.fail("e", "boom")
    assert run_on("asyncio", execution.wait()).status == "failed"


def test_leaving_the_interpreter_with_waiting_tasks(run_script: RunScript) -> None:
    ended = run_script(
        """
        import asyncio
        from stayline import aio

        async def main():
            coordinator = await aio.Coordinator("sqlite:runs.db")
            session = coordinator.session("s")
            execution = await session.start("e")
            asyncio.create_task(execution.wait())
            asyncio.create_task(anext(coordinator.notifications()))
            stream = session.stream()
            await anext(stream)
            asyncio.create_task(anext(stream))
            await asyncio.sleep(0.01)
            for n in range(50):
                asyncio.create_task(session.heartbeat("e"))
            await asyncio.sleep(0)
            print("left")

        asyncio.run(main())
        """
    )
    assert (ended.stdout, ended.stderr, ended.returncode) == ("left\n", "", 0)


def test_a_forked_child_has_a_pool_of_its_own(run_script: RunScript) -> None:
    ended = run_script(
        """
        import asyncio, os, warnings
        import stayline
        from stayline import aio

        warnings.simplefilter("ignore", DeprecationWarning)

        async def start(location):
            async with aio.Coordinator(location) as coordinator:
                return (await coordinator.session("s").start("e")).id

        parent = stayline.Coordinator("memory:")
        print(asyncio.run(start("memory:")), flush=True)
        child = os.fork()
        if child == 0:
            print(asyncio.run(start("memory:")), flush=True)
            try:
                asyncio.run(aio.Coordinator.of(parent).session("s").start())
            except stayline.ForkError:
                print("ForkError", flush=True)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        """
    )
    assert (ended.stdout, ended.stderr, ended.returncode) == ("e\ne\nForkError\n", "", 0)


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
def test_thousands_of_cancelled_calls_leave_nothing_behind(session: stayline.Session) -> None:
    async def main() -> None:
        view = aio.Session.of(session)
        await view.start("e")
        for _ in range(20):
            calls = [asyncio.ensure_future(view.heartbeat("e")) for _ in range(100)]
            await asyncio.sleep(0)
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)
        await view.fail("e", "boom")

    before = len(os.listdir("/proc/self/fd"))
    run_on("asyncio", main())
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before + 1
