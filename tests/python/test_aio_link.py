"""Links on an event loop, for hosts with their own sockets."""

from __future__ import annotations

import asyncio
import json

import pytest
import stayline
from aio_loops import LOOPS, cancelled, run_on, soon
from conftest import frame
from stayline import Close, Send, aio

pytestmark = pytest.mark.parametrize("kind", LOOPS)


def test_frames_go_in_and_outputs_come_out(kind: str, session: stayline.Session) -> None:
    async def main() -> None:
        view = aio.Session.of(session)
        execution = await view.start("e", token="t")
        assert execution.exit_code is None
        link = await view.attach("e", token="t", acknowledged=True, producer="p", attempt=1)
        assert (link.execution_id, link.acknowledged, link.congested) == ("e", True, False)

        async def write() -> list[Send | Close]:
            return [output async for output in link.outgoing()]

        writing = asyncio.ensure_future(write())
        await link.receive(frame("output", {"n": 1}, seq=1))
        await link.receive_many([frame("output", {"n": n}, seq=n) for n in range(2, 100)])
        await link.receive(b"binary")
        await link.receive(frame("complete", {"exitCode": 7}, seq=101))
        written = await writing
        assert (await view.execution("e")).exit_code == 7
        texts = [json.loads(output.text) for output in written if isinstance(output, Send)]
        assert texts[0]["type"] == "welcome"
        assert [text["status"] for text in texts if text["type"] == "ended"] == ["completed"]
        assert [output for output in written if isinstance(output, Close)] == [
            Close(4000, "execution done")
        ]
        assert link.finished
        assert link.close_state == Close(4000, "execution done")
        assert link.try_output() is None
        assert [output async for output in link.outgoing()] == []
        await link.closed(1000)
        await link.closed(1000)

    run_on(kind, main())


def test_a_time_out_ends_the_iteration_quietly(kind: str, session: stayline.Session) -> None:
    async def main() -> None:
        view = aio.Session.of(session)
        await view.start("e")
        async with view.attach("e", trusted=True) as link:
            assert [output async for output in link.outgoing(timeout=0)] == []
            assert [output async for output in link.outgoing(timeout=0.005)] == []
            await view.interrupt()
            (output,) = [output async for output in link.outgoing(timeout=0.005)]
            assert json.loads(output.text)["type"] == "kill"
        assert link.close_state == Close(1000, "")
        with pytest.raises(RuntimeError):
            async with view.attach("e", trusted=True) as link:
                raise RuntimeError
        assert link.close_state == Close(1006, "")

    run_on(kind, main())


def test_a_replaced_link_ends_its_outputs(kind: str, session: stayline.Session) -> None:
    async def main() -> None:
        view = aio.Session.of(session)
        await view.start("e")
        first = await view.attach("e", trusted=True)
        ending = asyncio.ensure_future(anext(first.outgoing()))
        await asyncio.sleep(0)
        await view.attach("e", trusted=True)
        assert await ending == Close(4001, "replaced by a newer link")

    run_on(kind, main())


def test_closing_ends_the_outputs_of_a_waiting_task(kind: str, session: stayline.Session) -> None:
    async def main() -> None:
        view = aio.Session.of(session)
        await view.start("e")
        link = await view.attach("e", trusted=True)
        waiting = asyncio.ensure_future(anext(link.outgoing(), None))
        await asyncio.sleep(0)
        await link.closed()
        assert await waiting is None

    run_on(kind, main())


def test_an_output_that_comes_with_the_cancellation_is_there_for_the_next(
    kind: str, session: stayline.Session
) -> None:
    async def main() -> None:
        view = aio.Session.of(session)
        await view.start("e")
        link = await view.attach("e", trusted=True)
        outgoing = link.outgoing()
        waiting = asyncio.ensure_future(anext(outgoing))
        await asyncio.sleep(0)
        # The kill is put out, and the task cancelled before the loop can tell it.
        session.interrupt()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert json.loads((await anext(outgoing)).text)["type"] == "kill"

        # The same with the task already woken.
        waiting = asyncio.ensure_future(anext(outgoing))
        await asyncio.sleep(0)
        session.interrupt(escalate=True)
        asyncio.get_running_loop().call_later(0, waiting.cancel)
        await asyncio.wait([waiting])
        output = await anext(outgoing) if waiting.cancelled() else waiting.result()
        assert json.loads(output.text)["signal"] == "SIGKILL"

    run_on(kind, main())


def test_back_pressure_lets_the_loop_run(kind: str, tmp_path: object) -> None:
    text = "x" * 100_000

    async def main() -> None:
        async with aio.Coordinator(f"sqlite:{tmp_path}/runs.db") as coordinator:
            session = coordinator.session("s")
            await session.start("e")
            link = await session.attach("e", trusted=True)
            for _ in range(100):
                await link.receive(frame("output", {"text": text}))
            await soon(lambda: not link.congested)
            assert await session.count_events() >= 95
            await link.closed()
            await soon(lambda: session.sync.count_events() == 100)

    run_on(kind, main())


def test_a_receive_that_is_cancelled_has_handed_nothing_over(kind: str, clock: object) -> None:
    assert isinstance(clock, stayline.ManualClock)

    class Congested:
        """A link that stays congested."""

        def __init__(self, link: stayline.Link) -> None:
            self.link = link

        def __getattr__(self, name: str) -> object:
            return getattr(self.link, name)

        def _try_receive(self, _frames: list[str]) -> bool:
            return False

        def _try_receive_binary(self, _size: int) -> bool:
            return False

    with stayline.Coordinator("memory:", clock=clock) as coordinator:
        session = coordinator.session("s")
        session.start("e")
        sync = session.attach("e", trusted=True)

        async def main() -> None:
            link = aio.Link(Congested(sync))  # type: ignore[arg-type]
            await cancelled(link.receive(frame("output")))
            await cancelled(link.receive_many([frame("output")] * 2))
            await cancelled(link.receive(b"binary"))
            await aio.Link.of(sync).receive(frame("status"))

        run_on(kind, main())
        assert [event.type for event in session.events()] == ["status"]
