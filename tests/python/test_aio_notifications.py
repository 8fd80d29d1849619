"""Notifications on an event loop (R39)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import stayline
from aio_loops import LOOPS, cancelled, holding_up_commits, run_on, soon
from stayline import aio

pytestmark = pytest.mark.parametrize("kind", LOOPS)


def end(session: stayline.Session, execution_id: str) -> None:
    session.start(execution_id)
    session.fail(execution_id, "boom")


def test_taken_as_they_come(
    kind: str, coordinator: stayline.Coordinator, session: stayline.Session
) -> None:
    async def main() -> None:
        view = aio.Coordinator.of(coordinator)
        taken = []

        async def take() -> None:
            async for notification in view.notifications():
                taken.append(notification.execution_id)
                await notification.ack()
                if len(taken) == 3:
                    return

        task = asyncio.ensure_future(take())
        for n in range(3):
            await asyncio.sleep(0.001)
            end(session, f"e{n}")
        await task
        assert taken == ["e0", "e1", "e2"]
        assert await view.pending_notifications() == []
        assert [it async for it in view.notifications(timeout=0)] == []
        assert [it async for it in view.notifications(timeout=0.005)] == []
        assert await view.notifications().try_next() is None

    run_on(kind, main())


def test_rejected_it_comes_again(
    kind: str, coordinator: stayline.Coordinator, session: stayline.Session
) -> None:
    async def main() -> None:
        view = aio.Coordinator.of(coordinator)
        end(session, "e")
        notifications = view.notifications()
        first = await anext(notifications)
        assert (first.kind, first.status, first.error) == ("execution_ended", "failed", "boom")
        assert (first.session_id, first.attempt, first.parked) == (session.id, 1, False)
        await first.nack(0)
        again = await anext(notifications)
        assert (again.id, again.attempt) == (first.id, 2)
        (pending,) = await view.pending_notifications()
        assert pending.id == first.id
        await again.ack()
        with pytest.raises(stayline.NotFound):
            await again.ack()

    run_on(kind, main())


def test_several_tasks_share_them(kind: str, coordinator: stayline.Coordinator) -> None:
    async def main() -> None:
        view = aio.Coordinator.of(coordinator)
        notifications = view.notifications()
        taken: list[str] = []

        async def take() -> None:
            async for notification in notifications:
                taken.append(notification.session_id)
                await notification.ack()

        tasks = [asyncio.ensure_future(take()) for _ in range(5)]
        for n in range(50):
            session = view.session(f"s{n:02}")
            await session.start("e")
            await session.fail("e", "boom")
        await soon(lambda: len(taken) == 50)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert sorted(taken) == [f"s{n:02}" for n in range(50)]

    run_on(kind, main())


def test_one_taken_by_a_cancelled_wait_is_there_for_the_next(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with stayline.Coordinator(f"sqlite:{path}") as coordinator:
        end(coordinator.session("s"), "e")

        async def main() -> None:
            view = aio.Coordinator.of(coordinator)
            with holding_up_commits(path):
                # The take is under way: it waits for its commit.
                waiting = asyncio.ensure_future(anext(view.notifications()))
                await asyncio.sleep(0.02)
                assert not waiting.done()
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
            # It did not wait for its lease of a minute to expire, and the delivery did not count.
            taken = await anext(view.notifications())
            assert (taken.execution_id, taken.attempt) == ("e", 1)
            await taken.ack()

        run_on(kind, main())


def test_none_is_lost_to_cancelled_waits(
    kind: str, coordinator: stayline.Coordinator, session: stayline.Session
) -> None:
    async def main() -> None:
        notifications = aio.Coordinator.of(coordinator).notifications()
        await cancelled(anext(notifications))
        for n in range(40):
            waiting = asyncio.ensure_future(anext(notifications))
            await asyncio.sleep(0)
            end(session, f"e{n}")
            for _ in range(n % 5):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            taken = await anext(notifications) if waiting.cancelled() else waiting.result()
            assert (taken.execution_id, taken.attempt) == (f"e{n}", 1)
            for change in (taken.ack(), taken.nack(0)):
                task = asyncio.ensure_future(change)
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
            await soon(lambda: not coordinator.pending_notifications())

    run_on(kind, main())
