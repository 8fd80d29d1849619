"""The wrapper on an event loop, against the built-in server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
import stayline
from aio_loops import LOOPS, cancel, cancelled, run_on, soon, turns
from conftest import PATIENCE
from proxy import CuttingProxy
from stayline import aio

pytestmark = pytest.mark.parametrize("kind", LOOPS)

# Reconnecting at once, so that no test waits for a back-off.
QUICK = stayline.Settings(reconnect_base_ms=10, reconnect_cap_ms=50)

Connect = Callable[..., aio.Wrapper]


@pytest.fixture
def connect(session: stayline.Session, server: stayline.Server) -> Connect:
    execution = session.start("e")

    def connect(url: str = server.url, **options: object) -> aio.Wrapper:
        arguments: dict[str, object] = {
            "session_id": session.id,
            "execution_id": "e",
            "token": execution.token,
            "settings": QUICK,
        }
        return aio.Wrapper(url, **{**arguments, **options})  # type: ignore[arg-type]

    return connect


@pytest.fixture
def server(coordinator: stayline.Coordinator) -> stayline.Server:
    return coordinator.serve()


def take_down(proxy: CuttingProxy) -> None:
    proxy.refusing = True
    proxy.cut()


def test_a_run_to_its_end(kind: str, session: stayline.Session, connect: Connect) -> None:
    async def main() -> None:
        unopened = connect()
        assert unopened.state == "idle"
        assert "not open" in repr(unopened)
        assert await unopened.close() == 0
        with pytest.raises(stayline.InvalidArgument, match="not open"):
            unopened.poll_connected()
        async with connect() as wrapper:
            assert (wrapper.state, wrapper.poll_connected()) == ("connected", True)
            assert (wrapper.session_id, wrapper.execution_id) == (session.id, "e")
            for n in range(20):
                await wrapper.send("output", {"n": n})
            await wrapper.try_send("output", raw_data='{"n":20}', droppable=True)
            assert wrapper.poll_outcome() is None
            with pytest.raises(stayline.InvalidEvent):
                await wrapper.send("output", float("nan"))
            ended = await wrapper.complete(branch="main")
            assert (ended.status, ended.unacknowledged) == ("completed", 0)
            assert await wrapper.outcome() == ended
            assert [type(signal) for signal in [it async for it in wrapper.signals()]] == [
                stayline.Ended,
                stayline.Drained,
            ]
            assert wrapper.try_signal() is None
            with pytest.raises(stayline.Closed):
                await wrapper.send("output")
        view = aio.Session.of(session)
        assert [e.data["n"] async for e in view.events(types=["output"])] == list(range(21))
        assert (await view.info()).branch == "main"

    run_on(kind, main())


def test_leaving_waits_for_acknowledgements(
    kind: str, session: stayline.Session, connect: Connect
) -> None:
    async def main() -> None:
        async with connect() as wrapper:
            for n in range(500):
                await wrapper.send("output", {"n": n})
        assert session.count_events() == 500
        with pytest.raises(RuntimeError):
            async with connect() as wrapper:
                raise RuntimeError
        assert wrapper.state == "closed"

    run_on(kind, main())


def test_fail_and_interrupted(kind: str, coordinator: stayline.Coordinator) -> None:
    async def main() -> None:
        view = aio.Coordinator.of(coordinator)
        async with view.serve() as server:
            for n, status in enumerate(("failed", "interrupted")):
                session = view.session(f"s{n}")
                execution = await session.start("e")
                async with aio.Wrapper(
                    server.url,
                    session_id=session.id,
                    execution_id="e",
                    token=execution.token,
                ) as wrapper:
                    end = wrapper.fail if status == "failed" else wrapper.interrupted
                    ended = await end("enough", exit_code=n + 3, timeout=PATIENCE)
                    assert (ended.status, execution.error) == (status, "enough")
                    assert execution.exit_code == n + 3

    run_on(kind, main())


def test_jobs_turns_and_tasks(kind: str, connect: Connect) -> None:
    async def main() -> None:
        async with connect(active=False) as wrapper:
            await wrapper.start_job(agent_session="a", tasks=["condense"], branch="b")
            assert await wrapper.begin_turn() == "msg_e_1"
            await wrapper.agent_event("message.updated", {"sessionID": "a"})
            signals = wrapper.signals()
            await wrapper.idle()
            assert await anext(signals) == stayline.RunTask("condense")
            await wrapper.task_done("condense")
            assert (await wrapper.outcome(PATIENCE)).status == "completed"

    run_on(kind, main())


def test_a_kill_reaches_signals_and_callbacks(
    kind: str, session: stayline.Session, connect: Connect
) -> None:
    async def main() -> None:
        called: list[object] = []
        loop = asyncio.get_running_loop()

        async def stop(kill: stayline.Kill) -> None:
            assert asyncio.get_running_loop() is loop
            called.append(kill)
            await wrapper.aborted()

        async with connect() as wrapper:
            wrapper.on_kill(stop)
            session.interrupt()
            assert await anext(wrapper.signals()) == stayline.Kill("SIGTERM")
            assert (await wrapper.outcome(PATIENCE)).status == "interrupted"
            assert called == [stayline.Kill("SIGTERM")]

    run_on(kind, main())


def test_cuts_are_survived(
    kind: str, session: stayline.Session, server: stayline.Server, connect: Connect
) -> None:
    async def main() -> None:
        with CuttingProxy(server.address) as proxy:
            async with connect(proxy.url) as wrapper:
                told = []

                async def listen() -> None:
                    async for signal in wrapper.signals():
                        told.append(type(signal))

                listening = asyncio.ensure_future(listen())
                for n in range(300):
                    await wrapper.send("output", {"n": n})
                    if n % 100 == 50:
                        proxy.cut()
                        await soon(lambda: wrapper.state != "connected")
                await wrapper.wait_connected(PATIENCE)
                assert (await wrapper.complete()).status == "completed"
                await listening
        assert [event.data["n"] for event in session.events(types=["output"])] == list(range(300))
        assert told.count(stayline.Reconnected) >= 1

    run_on(kind, main())


def test_back_pressure_and_its_cancellation(
    kind: str, session: stayline.Session, server: stayline.Server, connect: Connect
) -> None:
    async def main() -> None:
        with CuttingProxy(server.address) as proxy:
            settings = QUICK.replace(buffer_events=3, send_timeout_ms=20_000)
            async with connect(proxy.url, settings=settings) as wrapper:
                take_down(proxy)
                await soon(lambda: wrapper.state == "reconnecting")
                for n in range(3):
                    await wrapper.send("output", {"n": n})
                with pytest.raises(stayline.Full):
                    await wrapper.try_send("output", {"n": -1})
                await cancelled(wrapper.send("output", {"n": -2}))
                data = {"n": 3}
                waiting = asyncio.ensure_future(wrapper.send("output", data))
                await turns()
                # It was sent as it was.
                data["n"] = -3
                await cancelled(wrapper.wait_connected())
                proxy.refusing = False
                await waiting
                await wrapper.complete()
        assert [event.data["n"] for event in session.events(types=["output"])] == list(range(4))

    run_on(kind, main())


def test_a_full_outbox_says_so_in_time(
    kind: str, server: stayline.Server, connect: Connect
) -> None:
    async def main() -> None:
        with CuttingProxy(server.address) as proxy:
            settings = QUICK.replace(buffer_events=1, send_timeout_ms=5)
            wrapper = connect(proxy.url, settings=settings)
            async with wrapper:
                take_down(proxy)
                await soon(lambda: wrapper.state == "reconnecting")
                await wrapper.send("output")
                with pytest.raises(stayline.Full) as full:
                    await wrapper.send("output")
                assert full.value.events == 1
                with pytest.raises(stayline.Timeout):
                    await wrapper.wait_connected(0.001)
                with pytest.raises(stayline.Timeout):
                    await wrapper.complete(timeout=0.001)
                assert await wrapper.close() >= 1

    run_on(kind, main())


def test_a_cancelled_ending_is_under_way(
    kind: str, session: stayline.Session, server: stayline.Server, connect: Connect
) -> None:
    async def main() -> None:
        with CuttingProxy(server.address) as proxy:
            async with connect(proxy.url) as wrapper:
                take_down(proxy)
                await soon(lambda: wrapper.state == "reconnecting")
                await cancelled(wrapper.complete())
                await cancelled(wrapper.outcome())
                proxy.refusing = False
                assert (await wrapper.outcome(PATIENCE)).status == "completed"

    run_on(kind, main())


def test_a_signal_that_comes_with_the_cancellation_is_there_for_the_next(
    kind: str, session: stayline.Session, connect: Connect
) -> None:
    async def main() -> None:
        async with connect() as wrapper:
            signals = wrapper.signals()
            await cancelled(anext(signals))
            waiting = asyncio.ensure_future(anext(signals))
            await turns()
            session.interrupt()
            await asyncio.sleep(0.002)
            waiting.cancel()
            await asyncio.wait([waiting])
            signal = await anext(signals) if waiting.cancelled() else waiting.result()
            assert signal == stayline.Kill("SIGTERM")
            await wrapper.aborted()
            await wrapper.outcome(PATIENCE)

    run_on(kind, main())


def test_a_first_connection_that_fails_closes_it(kind: str, connect: Connect) -> None:
    async def main() -> None:
        wrapper = connect("http://127.0.0.1:1")
        with pytest.raises(stayline.Disconnected):
            await wrapper.__aenter__()
        assert wrapper.state == "closed"
        # Being cancelled while connecting closes it too.
        with socket.create_server(("127.0.0.1", 0)) as silent:
            waiting = connect(f"http://127.0.0.1:{silent.getsockname()[1]}")
            task = asyncio.ensure_future(waiting.__aenter__())
            await soon(lambda: waiting.state == "connecting")
            await cancel(task)
            assert waiting.state == "closed"

    run_on(kind, main())


def test_the_hook_may_be_a_coroutine(kind: str, coordinator: stayline.Coordinator) -> None:
    async def main() -> None:
        asked: list[str | None] = []

        async def authorize(session_id: str, execution_id: str, bearer: str | None) -> bool:
            await asyncio.sleep(0)
            asked.append(bearer)
            if bearer == "broken":
                raise RuntimeError("no answer")
            return (session_id, execution_id, bearer) == ("s", "e", "open sesame")

        view = aio.Coordinator.of(coordinator)
        await view.session("s").start("e")
        async with view.serve(authorize=authorize) as server:

            def wrapper(token: str) -> aio.Wrapper:
                return aio.Wrapper(server.url, session_id="s", execution_id="e", token=token)

            with pytest.raises(stayline.Disconnected):
                await wrapper("nonsense").__aenter__()
            # A hook that raises has not said "no".
            with pytest.raises(stayline.Disconnected, match="told"):
                await wrapper("broken").__aenter__()
            async with wrapper("open sesame") as allowed:
                assert (await allowed.complete()).status == "completed"
        assert asked == ["nonsense", "broken", "open sesame"]

    run_on(kind, main())


def test_whatever_the_hook_is_its_answer_is_awaited(
    kind: str, coordinator: stayline.Coordinator
) -> None:
    async def check(_session_id: str, _execution_id: str, bearer: str | None) -> bool:
        await asyncio.sleep(0)
        return bearer == "open sesame"

    class Hook:
        async def __call__(self, *asked: str | None) -> bool:
            return await check(*asked)  # type: ignore[arg-type]

    async def main() -> None:
        view = aio.Coordinator.of(coordinator)
        for number, authorize in enumerate((lambda *asked: check(*asked), Hook())):
            await view.session(f"s{number}").start("e")
            async with view.serve(authorize=authorize) as server:

                def wrapper(token: str, session_id: str, url: str) -> aio.Wrapper:
                    return aio.Wrapper(url, session_id=session_id, execution_id="e", token=token)

                with pytest.raises(stayline.Disconnected):
                    await wrapper("nonsense", f"s{number}", server.url).__aenter__()
                async with wrapper("open sesame", f"s{number}", server.url) as allowed:
                    assert (await allowed.complete()).status == "completed"

    run_on(kind, main())
