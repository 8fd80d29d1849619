"""Cancelling a task cancels its wait, and not what the call stores."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import stayline
from aio_loops import LOOPS, cancel, cancelled, holding_up_commits, run_on, soon, turns
from conftest import PATIENCE
from stayline import aio

pytestmark = pytest.mark.parametrize("kind", LOOPS)

Prepare = Callable[[stayline.Session], object]
Call = Callable[[aio.Session, Any], Awaitable[object]]
Check = Callable[[stayline.Session], object]


def nothing(_session: stayline.Session) -> None:
    pass


def pending(session: stayline.Session) -> None:
    session.start("e")


def running(session: stayline.Session) -> stayline.Link:
    session.start("e")
    return session.attach("e", trusted=True)


def interrupted(session: stayline.Session) -> stayline.Link:
    link = running(session)
    session.interrupt()
    return link


def leased(session: stayline.Session) -> stayline.Lease:
    session.start("e")
    return session.lease("e", "mine")


def is_leased(session: stayline.Session) -> bool:
    try:
        session.extend_lease("e", "other")
    except stayline.WrongHolder:
        return True
    except stayline.NotFound:
        return False
    return False


def holds(check: Check, session: stayline.Session) -> object:
    try:
        return check(session)
    except stayline.NotFound:
        # Its commit is still held up, and reading does not wait for one.
        return False


def is_gone(session: stayline.Session) -> bool:
    try:
        session.info()
    except stayline.NotFound:
        return True
    return False


async def entering(launch: aio.Launch) -> None:
    async with launch:
        raise AssertionError("it was entered")


# What is there before, the call, and what is so in the end although the wait was cancelled.
CALLS: dict[str, tuple[Prepare, Call, Check]] = {
    "start": (nothing, lambda s, _: s.start("e"), lambda s: s.active == "e"),
    # Nobody is left who would launch it.
    "launch": (
        nothing,
        lambda s, _: entering(s.launch("e")),
        lambda s: s.execution("e").error == "the launch was cancelled",
    ),
    # The link is closed, since nobody has it.
    "attach": (
        pending,
        lambda s, _: s.attach("e", trusted=True),
        lambda s: s.execution("e").status == "running" and s.execution("e").grace,
    ),
    "link.closed": (
        running,
        lambda _, link: aio.Link.of(link).closed(1006, "gone"),
        lambda s: s.execution("e").grace,
    ),
    "fail": (pending, lambda s, _: s.fail("e", "x"), lambda s: s.execution("e").error == "x"),
    "finish": (
        running,
        lambda s, _: s.finish("e"),
        lambda s: s.execution("e").status == "completed",
    ),
    "interrupt": (
        running,
        lambda s, _: s.interrupt(),
        lambda s: s.execution("e").interrupt_requested,
    ),
    "clear_interrupt": (
        interrupted,
        lambda s, _: s.clear_interrupt(),
        lambda s: not s.execution("e").interrupt_requested,
    ),
    "lease": (pending, lambda s, _: s.lease("e", "mine"), is_leased),
    "extend_lease": (leased, lambda s, _: s.extend_lease("e", "mine"), is_leased),
    "release_lease": (
        leased,
        lambda s, _: s.release_lease("e", "mine"),
        lambda s: not is_leased(s),
    ),
    "lease.extend": (leased, lambda _, lease: aio.Lease.of(lease).extend(), is_leased),
    "lease.release": (
        leased,
        lambda _, lease: aio.Lease.of(lease).release(),
        lambda s: not is_leased(s),
    ),
    "delete": (pending, lambda s, _: s.delete(), is_gone),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_a_call_stores_stands(kind: str, name: str, tmp_path: Path) -> None:
    prepare, call, check = CALLS[name]
    path = tmp_path / "runs.db"

    with stayline.Coordinator(f"sqlite:{path}") as coordinator:
        session = coordinator.session("s")
        prepared = prepare(session)

        async def main() -> None:
            with holding_up_commits(path):
                task = asyncio.ensure_future(_awaiting(call(aio.Session.of(session), prepared)))
                await turns()
                await asyncio.sleep(0.02)
                if not task.done():
                    await cancel(task)
                else:
                    # It waits for no commit.
                    assert name == "link.closed"
            await soon(lambda: holds(check, session))

        run_on(kind, main())


async def _awaiting(awaitable: Awaitable[object]) -> object:
    return await awaitable


def test_heartbeats_and_readings_can_be_cancelled(kind: str, session: stayline.Session) -> None:
    async def main() -> None:
        view = aio.Session.of(session)
        execution = await view.start("e")
        for _ in range(20):
            for call in (
                view.heartbeat("e"),
                view.info(),
                view.execution("e"),
                view.executions(),
                view.health("e"),
                view.count_events(),
                execution.wait(),
            ):
                task = asyncio.ensure_future(call)
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
        assert session.active == "e"
        # A wait that was cancelled does not disturb the next one.
        waiting = asyncio.ensure_future(execution.wait(PATIENCE))
        await cancelled(execution.wait())
        await view.fail("e", "boom")
        assert (await waiting).status == "failed"

    run_on(kind, main())


def test_an_opening_that_is_cancelled_leaves_the_file_free(kind: str, tmp_path: Path) -> None:
    location = f"sqlite:{tmp_path / 'runs.db'}"

    async def main() -> None:
        coordinator = aio.Coordinator(location)
        task = asyncio.ensure_future(coordinator.__aenter__())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await coordinator
                    break
                except stayline.StoreInUse:
                    await asyncio.sleep(0.001)
        # So is a server that is not there yet.
        await cancelled(coordinator.serve(), may_end=True)
        async with coordinator.serve() as server:
            assert server.url.startswith("http://127.0.0.1:")
        await cancelled(coordinator.close(), may_end=True)
        await coordinator.close()
        async with aio.Coordinator(location):
            pass

    run_on(kind, main())


def test_a_block_that_is_cancelled_closes_what_it_opened(kind: str, location: str) -> None:
    async def main() -> None:
        inside = asyncio.Event()
        coordinator = aio.Coordinator(location)

        async def serve() -> None:
            async with coordinator:
                async with coordinator.serve():
                    inside.set()
                    await asyncio.sleep(PATIENCE)

        task = asyncio.ensure_future(serve())
        await inside.wait()
        await cancel(task)
        with pytest.raises(stayline.Closed):
            await coordinator.session("s").start()

    run_on(kind, main())
