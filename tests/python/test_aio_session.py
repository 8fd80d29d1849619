"""Sessions and executions on an event loop."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from pathlib import Path

import pytest
import stayline
from aio_loops import LOOPS, holding_up_commits, run_on, soon
from conftest import PATIENCE
from stayline import aio

pytestmark = pytest.mark.parametrize("kind", LOOPS)


def test_a_run_from_start_to_end(kind: str, location: str) -> None:
    async def main() -> None:
        async with aio.Coordinator(location) as coordinator:
            session = coordinator.session("s")
            execution = await session.start("e", mode="code", token="t")
            assert (execution.id, execution.token, execution.status) == ("e", "t", "pending")
            assert await session.active() == "e"
            async with session.attach("e", token="t") as link:
                assert execution.status == "running"
                assert await session.health("e") == "healthy"
                await session.heartbeat("e")
                await link.closed(1000, "bye")
            assert await session.interrupt(grace=None) == "latched"
            await session.clear_interrupt()
            assert await session.fail("e", "boom", payload={"n": 1}) is True
            assert await session.fail("e", "again") is False
            assert (await execution.wait()).error == "boom"
            assert execution.poll()
            assert (await session.execution("e")) == execution
            assert [one.id for one in await session.executions(status="failed")] == ["e"]
            assert (await session.info()).active is None
            (info,) = await coordinator.sessions()
            assert info.latest == execution
            assert (await session.timeline(executions=["e"])).session_id == "s"
            with pytest.raises(stayline.AlreadyExists):
                await session.start("e")
            await session.delete()
            with pytest.raises(stayline.NotFound):
                await session.info()
        with pytest.raises(stayline.Closed):
            await session.start()

    run_on(kind, main())


def test_finish_and_leases(kind: str, location: str) -> None:
    async def main() -> None:
        async with aio.Coordinator(location) as coordinator:
            session = coordinator.session("s")
            await session.start("e")
            async with session.lease("e", "mine", message_id="m") as lease:
                assert (lease.execution_id, lease.lease_id, lease.message_id) == ("e", "mine", "m")
                with pytest.raises(stayline.AlreadyHeld) as held:
                    await session.lease("e", "theirs")
                assert held.value.holder == "mine"
                longer = await lease.extend()
                assert longer.expires_at_ms >= lease.expires_at_ms
                with pytest.raises(stayline.WrongHolder):
                    await session.extend_lease("e", "theirs")
            lease = await session.lease("e", "theirs")
            await lease.release()
            with pytest.raises(stayline.NotFound):
                await session.release_lease("e", "theirs")
            await session.attach("e", trusted=True)
            await session.finish("e", "interrupted", message="enough")
            execution = await session.execution("e")
            assert (execution.status, execution.error) == ("interrupted", "enough")

    run_on(kind, main())


def test_waiting_for_the_end(kind: str, location: str) -> None:
    async def main() -> None:
        async with aio.Coordinator(location) as coordinator:
            session = coordinator.session("s")
            execution = await session.start("e")
            with pytest.raises(stayline.Timeout):
                await execution.wait(timedelta(milliseconds=5))
            with pytest.raises(TimeoutError):
                await execution.wait(0)
            with pytest.raises(stayline.InvalidArgument):
                await execution.wait(-1)
            waiting = [asyncio.ensure_future(execution.wait()) for _ in range(20)]
            other = asyncio.ensure_future((await session.execution("e")).wait(PATIENCE))
            await asyncio.sleep(0)
            await session.fail("e", "boom")
            for ended in await asyncio.gather(*waiting, other):
                assert ended.status == "failed"

    run_on(kind, main())


def test_waiting_ends_with_the_coordinator(kind: str, location: str) -> None:
    async def main() -> None:
        async with aio.Coordinator(location) as coordinator:
            execution = await coordinator.session("s").start("e")
            waiting = asyncio.ensure_future(execution.wait())
            await asyncio.sleep(0.01)
        with pytest.raises(stayline.Closed):
            await waiting

    run_on(kind, main())


def test_a_launch_that_raises_fails_the_execution(kind: str, location: str) -> None:
    async def main() -> None:
        async with aio.Coordinator(location) as coordinator:
            session = coordinator.session("s")
            with pytest.raises(RuntimeError, match="no sandbox"):
                async with session.launch("e1") as execution:
                    raise RuntimeError("no sandbox")
            assert (execution.status, execution.error) == ("failed", "no sandbox")
            async with session.launch("e2", mode="code") as execution:
                assert execution.mode == "code"
            assert execution.status == "pending"

    run_on(kind, main())


def test_a_launch_that_is_cancelled_fails_the_execution(kind: str, location: str) -> None:
    async def main() -> None:
        async with aio.Coordinator(location) as coordinator:
            session = coordinator.session("s")
            entered = asyncio.Event()

            async def launch() -> None:
                async with session.launch("e"):
                    entered.set()
                    await asyncio.sleep(PATIENCE)

            task = asyncio.ensure_future(launch())
            await entered.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            execution = await session.execution("e")
            assert (execution.status, execution.error) == ("failed", "CancelledError")

    run_on(kind, main())


def test_both_sides_see_one_coordinator(
    kind: str, coordinator: stayline.Coordinator, session: stayline.Session
) -> None:
    async def main() -> None:
        view = aio.Coordinator.of(coordinator)
        assert view.sync is coordinator
        assert view.session(session.id) == aio.Session.of(session)
        assert {view.session(session.id), aio.Session.of(session)} == {aio.Session.of(session)}
        assert aio.Execution.of(session.start("e")) == await view.session(session.id).execution("e")
        assert view.session(session.id).sync.active == "e"
        ticket = await view.issue_ticket(session.id, ttl=5)
        coordinator.verify_ticket(session.id, ticket)
        await view.verify_ticket(session.id, ticket)

    run_on(kind, main())
    assert session.active == "e"


def test_what_is_not_open_says_so(kind: str) -> None:
    async def main() -> None:
        coordinator = aio.Coordinator("memory:")
        assert "not open" in repr(coordinator)
        with pytest.raises(stayline.InvalidArgument, match="not open"):
            coordinator.session("s")
        await coordinator.close()
        assert await coordinator is coordinator
        assert "memory:" in repr(coordinator)
        await coordinator.session("s").start("e")
        stream = coordinator.session("s").stream()
        with pytest.raises(stayline.InvalidArgument, match="not open"):
            stream.sync  # noqa: B018
        await coordinator.close()
        await coordinator.close()
        with pytest.raises(stayline.StoreError):
            await aio.Coordinator("sqlite:/nowhere/at/all.db")

    run_on(kind, main())


def test_a_commit_that_takes_long_does_not_block_the_loop(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "runs.db"

    async def main() -> None:
        async with aio.Coordinator(f"sqlite:{path}") as coordinator:
            session = coordinator.session("s")
            with holding_up_commits(path):
                starting = asyncio.ensure_future(session.start("e"))
                for _ in range(50):
                    await asyncio.sleep(0.001)
                assert not starting.done()
            await starting
            assert await session.active() == "e"

    run_on(kind, main())


def test_many_calls_at_once(kind: str, location: str) -> None:
    async def main() -> None:
        async with aio.Coordinator(location) as coordinator:
            sessions = [coordinator.session(f"s{n}") for n in range(200)]
            await asyncio.gather(*(session.start("e") for session in sessions))
            failed = await asyncio.gather(*(session.fail("e", "x") for session in sessions))
            assert failed == [True] * 200
            threads = [it for it in threading.enumerate() if it.name.startswith("stayline-aio")]
            assert len(threads) <= 32

    run_on(kind, main())


def test_no_call_is_left_waiting_when_its_loop_is_gone(kind: str, location: str) -> None:
    with stayline.Coordinator(location) as coordinator:

        async def main() -> aio.Execution:
            execution = await aio.Coordinator.of(coordinator).session("s").start("e")
            task = asyncio.ensure_future(execution.wait())
            await soon(lambda: not task.done())
            task.cancel()
            return execution

        execution = run_on(kind, main())
        execution.sync.session_id  # noqa: B018
        coordinator.session("s").fail("e", "boom")
        assert run_on(kind, execution.wait()).status == "failed"
