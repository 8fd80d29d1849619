"""Reading a session's log on an event loop."""

from __future__ import annotations

import asyncio

import pytest
import stayline
from aio_loops import LOOPS, run_on, soon
from conftest import frame
from stayline import aio

pytestmark = pytest.mark.parametrize("kind", LOOPS)


@pytest.fixture
def link(session: stayline.Session) -> stayline.Link:
    session.start("e")
    return session.attach("e", trusted=True)


def outputs(count: int, size: int = 10) -> list[str]:
    return [frame("output", {"n": n, "text": "x" * size}) for n in range(count)]


def test_the_past_in_rounds(kind: str, session: stayline.Session, link: stayline.Link) -> None:
    async def main() -> None:
        view = aio.Session.of(session)
        async with asyncio.timeout(20):
            await aio.Link.of(link).receive_many(outputs(300, 10_000))
            while await view.count_events() < 300:
                await asyncio.sleep(0.001)
        assert [event.id async for event in view.events()] == list(range(1, 301))
        assert [event.id async for event in view.events(after=290, limit=5)] == [*range(291, 296)]
        assert [event.id async for event in aio.Events.of(session.events(after=299))] == [300]
        assert [event async for event in view.events(types=["status"])] == []

    run_on(kind, main())


def test_the_past_then_live_to_the_end(
    kind: str, session: stayline.Session, link: stayline.Link
) -> None:
    async def main() -> None:
        view = aio.Session.of(session)
        link.receive_many(outputs(200, 10_000))
        seen = []
        async with view.stream(until="e") as stream:
            assert stream.epoch == (await view.info()).epoch
            async for event in stream:
                if event.control:
                    link.receive_many(outputs(50))
                    link.receive(frame("complete", {"exitCode": 0}))
                else:
                    seen.append(event.id)
        assert seen == list(range(1, 252))
        assert stream.ended
        assert stream.last_id == 251

    run_on(kind, main())


def test_an_unknown_session(kind: str, coordinator: stayline.Coordinator) -> None:
    async def main() -> None:
        view = aio.Coordinator.of(coordinator).session("nobody")
        with pytest.raises(stayline.NotFound):
            await anext(view.events())
        stream = view.stream()
        with pytest.raises(stayline.NotFound):
            await anext(stream)
        with pytest.raises(stayline.NotFound):
            await stream
        # Once there is something the same stream opens.
        await view.start("e")
        assert (await anext(stream)).type == "connected"

    run_on(kind, main())


def test_a_time_out_is_no_end(kind: str, session: stayline.Session, link: stayline.Link) -> None:
    async def main() -> None:
        stream = await aio.Session.of(session).stream(timeout=0.005)
        assert [event.type async for event in stream] == ["connected"]
        assert not stream.ended
        link.receive(frame("output"))
        await soon(lambda: session.count_events() == 1)
        assert [event.type async for event in stream] == ["output"]
        assert await stream.try_next() is None
        stream.close()
        stream.close()
        assert stream.ended
        assert [event async for event in stream] == []

    run_on(kind, main())


def test_closing_ends_a_waiting_task(
    kind: str, session: stayline.Session, link: stayline.Link
) -> None:
    async def main() -> None:
        stream = aio.Session.of(session).stream(live_only=True, types=["output"])
        assert (await anext(stream)).type == "connected"
        waiting = asyncio.ensure_future(anext(stream, None))
        await asyncio.sleep(0.001)
        stream.close()
        assert await waiting is None
        unopened = aio.Session.of(session).stream()
        unopened.close()
        assert [event async for event in unopened] == []

    run_on(kind, main())


def test_no_event_is_lost_to_cancelled_waits(
    kind: str, session: stayline.Session, link: stayline.Link
) -> None:
    """Waits are cancelled at every point that events and their wake-ups can fall on."""

    async def main() -> None:
        view = aio.Session.of(session)
        loop = asyncio.get_running_loop()
        # Cancelled while it opens: what comes from now on is seen all the same.
        stream = view.stream(live_only=True, types=["output"])
        opening = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait([opening])
        first = await anext(stream) if opening.cancelled() else opening.result()
        assert first.type == "connected"
        seen: list[int] = []
        for n in range(200):
            waiting = asyncio.ensure_future(anext(stream))
            if n % 4 == 0:
                await asyncio.sleep(0)
            link.receive(frame("output", {"n": n}))
            if n % 3 == 0:
                await asyncio.sleep(0)
            if n % 5 == 0:
                loop.call_soon(waiting.cancel)
            else:
                waiting.cancel()
            await asyncio.wait([waiting])
            if not waiting.cancelled():
                seen.append(waiting.result().data["n"])
        while len(seen) < 200:
            seen.append((await anext(stream)).data["n"])
        assert seen == list(range(200))

    run_on(kind, main())


def test_cancelling_while_the_past_is_read_loses_nothing(
    kind: str, session: stayline.Session, link: stayline.Link
) -> None:
    async def main() -> None:
        view = aio.Session.of(session)
        link.receive_many(outputs(300, 10_000))
        await soon(lambda: session.count_events() == 300)
        events, stream = view.events(), view.stream(types=["output"])
        from_events: list[int] = []
        from_stream: list[int] = []
        for source, ids in ((events, from_events), (stream, from_stream)):
            while len(ids) < 300:
                waiting = asyncio.ensure_future(anext(source))
                for _ in range(len(ids) % 3):
                    await asyncio.sleep(0)
                waiting.cancel()
                await asyncio.wait([waiting])
                event = await anext(source) if waiting.cancelled() else waiting.result()
                if event.id:
                    ids.append(event.id)
        assert from_events == from_stream == list(range(1, 301))

    run_on(kind, main())


def test_many_readers_of_one_subscription_share_it(
    kind: str, session: stayline.Session, link: stayline.Link
) -> None:
    async def main() -> None:
        stream = await aio.Session.of(session).stream(until="e", types=["output"])
        seen: list[int] = []

        async def read() -> None:
            async for event in stream:
                if event.id:
                    seen.append(event.id)

        readers = [asyncio.ensure_future(read()) for _ in range(5)]
        for n in range(100):
            link.receive(frame("output", {"n": n}))
            await asyncio.sleep(0)
        link.receive(frame("complete", {"exitCode": 0}))
        await asyncio.gather(*readers)
        assert sorted(seen) == list(range(1, 101))

    run_on(kind, main())


def test_a_long_past_lets_other_tasks_run(
    kind: str, session: stayline.Session, link: stayline.Link
) -> None:
    async def main() -> None:
        link.receive_many(outputs(1_000))
        await soon(lambda: session.count_events() == 1_000)
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.ensure_future(count())
        events = [event async for event in aio.Session.of(session).events()]
        counting.cancel()
        assert len(events) == 1_000
        assert turns >= 1_000 // 64

    run_on(kind, main())
