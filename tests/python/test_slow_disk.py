"""A disk that is slow to read holds up who reads, and nobody else: not the other threads, and no
event loop."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import stayline
from conftest import PATIENCE, frame
from stayline import aio

#: How much longer every read takes.
SLOW = 0.4
#: How often somebody else runs meanwhile, if it is let; far less is asked for.
TICK = 0.005
TICKS = 8


@pytest.fixture
def coordinator(tmp_path: Path) -> Iterator[stayline.Coordinator]:
    with stayline.Coordinator(f"sqlite:{tmp_path / 'runs.db'}", _faults=True) as coordinator:
        yield coordinator
        coordinator._slow_reads(0)


@pytest.fixture
def session(coordinator: stayline.Coordinator) -> stayline.Session:
    """One with a log that is longer than what is kept in memory, and nothing live."""
    session = coordinator.session("s")
    session.start("e")
    link = session.attach("e", trusted=True)
    link.receive_many([frame("output", {"n": n, "text": "x" * 10_000}) for n in range(200)])
    link.closed()
    session.fail("e", "over")
    return session


def others_run_during(call: Callable[[], object]) -> int:
    """How often another thread ran during a call that reads a slow disk."""
    ticks, over = 0, threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not over.is_set():
            time.sleep(TICK)
            ticks += 1

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        before, began = ticks, time.monotonic()
        call()
        assert time.monotonic() - began >= SLOW, "it has not read the disk"
        return ticks - before
    finally:
        over.set()
        thread.join()


CALLS: dict[str, Callable[[stayline.Coordinator, stayline.Session], object]] = {
    "active": lambda _, session: session.active,
    "info": lambda _, session: session.info(),
    "execution": lambda _, session: session.execution("e"),
    "executions": lambda _, session: session.executions(),
    "count_events": lambda _, session: session.count_events(),
    "events": lambda _, session: list(session.events(limit=3)),
    "stream": lambda _, session: next(session.stream()),
    "sessions": lambda coordinator, _: coordinator.sessions(),
    "pending_notifications": lambda coordinator, _: coordinator.pending_notifications(),
    "issue_ticket": lambda coordinator, _: coordinator.issue_ticket("s"),
}


@pytest.mark.parametrize("call", CALLS)
def test_other_threads_run_while_the_disk_is_read(
    coordinator: stayline.Coordinator, session: stayline.Session, call: str
) -> None:
    coordinator._slow_reads(SLOW)
    assert others_run_during(lambda: CALLS[call](coordinator, session)) >= TICKS


def test_other_threads_run_while_a_stream_reads_on(
    coordinator: stayline.Coordinator, session: stayline.Session
) -> None:
    stream = session.stream()
    next(stream)
    coordinator._slow_reads(SLOW)
    assert others_run_during(lambda: [next(stream) for _ in range(199)]) >= TICKS
    again = session.stream()
    assert others_run_during(again.try_next) >= TICKS


def test_other_threads_run_while_a_waiter_reads_how_it_ended(
    coordinator: stayline.Coordinator,
) -> None:
    session = coordinator.session("waited for")
    execution = session.start("e")
    assert not execution.poll()
    session.fail("e", "over")
    coordinator._slow_reads(SLOW)
    assert others_run_during(lambda: execution.wait(timeout=PATIENCE)) >= TICKS


def readers(coordinator: stayline.Coordinator) -> int:
    counted = re.search(r"^stayline_subscribers (\d+)$", coordinator.metrics(), re.MULTILINE)
    assert counted is not None
    return int(counted[1])


def test_a_stream_is_closed_while_another_thread_reads_it(
    coordinator: stayline.Coordinator, session: stayline.Session
) -> None:
    stream = session.stream()
    assert readers(coordinator) == 1
    coordinator._slow_reads(10 * SLOW)
    reading = threading.Thread(target=lambda: next(stream, None))
    reading.start()
    # It is most probably within its read now; what is asked for holds either way.
    time.sleep(SLOW / 4)
    stream.close()
    assert reading.is_alive(), "closing has waited for the disk"
    assert stream.ended
    ticks = 0
    while reading.is_alive():
        time.sleep(TICK)
        ticks += 1
    assert ticks >= TICKS
    # Whoever was reading it has let go of it.
    assert readers(coordinator) == 0


async def ticks_during(wait: Any) -> int:
    """How often the event loop turned while something was waited for."""
    ticks, over = 0, False

    async def tick() -> None:
        nonlocal ticks
        while not over:
            await asyncio.sleep(TICK)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    before = ticks
    await asyncio.wait_for(wait, PATIENCE)
    during = ticks - before
    over = True
    await ticking
    return during


def test_an_event_loop_turns_while_the_disk_is_read(
    coordinator: stayline.Coordinator, session: stayline.Session
) -> None:
    async def main() -> None:
        view = aio.Session.of(session)
        waited = aio.Coordinator.of(coordinator).session("waited for")
        execution = await waited.start("e")
        waiting = asyncio.create_task(execution.wait())
        await asyncio.sleep(0.1)
        count = session.count_events()
        coordinator._slow_reads(SLOW)

        async def all_events() -> None:
            async with asyncio.timeout(PATIENCE):
                events = [event async for event in view.stream(until="e", timeout=1)]
            assert sum(event.id > 0 for event in events) == count

        assert await ticks_during(all_events()) >= TICKS
        await waited.fail("e", "over")
        assert await ticks_during(waiting) >= TICKS

    asyncio.run(main())


#: What an event loop may ask for without waiting, of a run that has ended and of one that runs.
LOOKS: dict[str, Callable[[aio.Execution], object]] = {
    **{
        name: lambda one, name=name: getattr(one, name)
        for name, member in vars(aio.Execution).items()
        if isinstance(member, property) and not name.startswith("_")
    },
    "poll": lambda one: one.poll(),
    "repr": repr,
}


def test_what_an_event_loop_asks_without_awaiting_reads_no_disk(
    coordinator: stayline.Coordinator,
) -> None:
    """A read would take longer than all of it may."""

    async def main() -> None:
        session = aio.Coordinator.of(coordinator).session("s")
        ended = await session.start("e")
        started = aio.Execution.of(session.sync.execution("e"))
        await session.fail("e", "over")
        running = await session.start("f")
        (listed,) = [info.latest for info in await aio.Coordinator.of(coordinator).sessions()]
        assert listed is not None
        await session.fail("f", "over", suppress_notification=True)
        live = await session.start("g")
        coordinator._slow_reads(PATIENCE)
        for execution in (ended, started, running, listed, live):
            for look in LOOKS.values():
                look(execution)
        for execution in (ended, started, running, listed):
            assert execution.poll()
            assert (execution.status, execution.error) == ("failed", "over")
        assert (live.status, live.poll()) == ("pending", False)

    coordinator._slow_reads(0)
    began = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - began < PATIENCE


def test_what_is_only_read_shows_what_was_read(tmp_path: Path) -> None:
    location = f"sqlite:{tmp_path / 'runs.db'}"

    async def main() -> None:
        async with (
            aio.Coordinator(location) as owner,
            aio.Coordinator(location, read_only=True) as reader,
        ):
            await owner.session("s").start("e")
            session = reader.session("s")
            assert await session.active() == "e"
            execution = await session.execution("e")
            await owner.session("s").fail("e", "over")
            assert (execution.status, execution.poll()) == ("pending", False)
            assert (await session.execution("e")).status == "failed"
            assert await session.active() is None
        with pytest.raises(stayline.NotFound):
            await aio.Coordinator.of(stayline.Coordinator("memory:")).session("s").active()

    asyncio.run(main())


def test_an_event_loop_turns_while_the_active_run_is_looked_for(
    coordinator: stayline.Coordinator, session: stayline.Session
) -> None:
    coordinator._slow_reads(SLOW)
    assert asyncio.run(ticks_during(aio.Session.of(session).active())) >= TICKS


def test_an_event_loop_turns_while_somebody_reads_the_stream(
    coordinator: stayline.Coordinator, session: stayline.Session
) -> None:
    """Neither looking at it, nor closing it, waits for a read that is under way."""

    async def main() -> None:
        stream = await aio.Session.of(session).stream()
        coordinator._slow_reads(SLOW)
        assert await ticks_during(stream.try_next()) >= TICKS
        coordinator._slow_reads(5 * SLOW)
        # To the end of what was read: the next look reads on.
        while stream.sync._try_next_in_memory() is not None:
            pass
        reading = asyncio.create_task(anext(stream))
        await asyncio.sleep(SLOW / 4)
        began = time.monotonic()
        looking = asyncio.create_task(stream.try_next())
        await asyncio.sleep(0)
        assert stream.epoch
        stream.close()
        assert time.monotonic() - began < 4 * SLOW
        with pytest.raises(StopAsyncIteration):
            await reading
        assert await looking is None
        assert stream.ended

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def closing(location: str) -> stayline.Coordinator:
    """One whose closing waits for a commit that is under way."""
    coordinator = stayline.Coordinator(location, _faults=True)
    session = coordinator.session("s")
    session.start("e")
    link = session.attach("e", trusted=True)
    coordinator._slow_commits(2 * SLOW)
    link.receive(frame("output", {}))
    return coordinator


def test_other_threads_run_while_it_closes(tmp_path: Path) -> None:
    coordinator = closing(f"sqlite:{tmp_path / 'runs.db'}")
    assert others_run_during(coordinator.close) >= TICKS


def test_other_threads_run_while_the_last_handle_goes(tmp_path: Path) -> None:
    handles = [closing(f"sqlite:{tmp_path / 'runs.db'}")]
    assert others_run_during(handles.clear) >= TICKS


def test_an_event_loop_turns_while_it_closes(tmp_path: Path) -> None:
    async def main() -> None:
        one = aio.Coordinator.of(closing(f"sqlite:{tmp_path / 'one.db'}"))
        assert await ticks_during(one.close()) >= TICKS
        two = aio.Coordinator.of(closing(f"sqlite:{tmp_path / 'two.db'}"))
        assert await ticks_during(two.__aexit__(None, None, None)) >= TICKS

    asyncio.run(main())


def test_an_event_loop_turns_while_a_cancelled_wait_is_left(
    coordinator: stayline.Coordinator, session: stayline.Session
) -> None:
    async def main() -> None:
        async with aio.Session.of(session).stream() as stream:
            coordinator._slow_reads(10 * SLOW)
            waiting = asyncio.create_task(anext(stream))
            await asyncio.sleep(SLOW / 4)
            waiting.cancel()
            await asyncio.wait([waiting])
            began = time.monotonic()
        assert time.monotonic() - began < 5 * SLOW, "leaving has waited for the disk"

    asyncio.run(main())
