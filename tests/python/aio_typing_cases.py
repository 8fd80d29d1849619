"""Checked by mypy, not run: what a type checker makes of the names of ``stayline.aio``."""

from __future__ import annotations

from typing import Any, Literal

import stayline
from stayline import aio
from typing_extensions import assert_type


async def host(sync: stayline.Coordinator) -> None:
    async with aio.Coordinator("memory:", settings=stayline.Settings(jitter=0.0)) as opened:
        assert_type(opened, aio.Coordinator)
    assert_type(await aio.Coordinator("memory:"), aio.Coordinator)
    coordinator = aio.Coordinator.of(sync)
    assert_type(coordinator.sync, stayline.Coordinator)
    session = coordinator.session("s")
    assert_type(await session.active(), str | None)
    async with session.launch(mode="code") as execution:
        assert_type(execution, aio.Execution)
        assert_type(execution.token, str | None)
    assert_type(await execution.wait(timeout=1.5), aio.Execution)
    assert_type(await session.attach("e"), aio.Link)
    async with session.attach("e", token=execution.token) as link:
        async for out in link.outgoing(timeout=None):
            match out:
                case stayline.Send(text):
                    assert_type(text, str)
                case stayline.Close(code, reason):
                    assert_type(code, int)
                    assert_type(reason, str)
    async with session.lease("e", "mine") as lease:
        assert_type(lease, aio.Lease)
    async with coordinator.serve() as server:
        assert_type(server.url, str)
    async for event in session.stream(until=execution.id):
        assert_type(event, stayline.Event)
        assert_type(event.data, Any)
    async for notification in coordinator.notifications(timeout=0):
        assert_type(notification.kind, Literal["execution_ended", "session_idle", "late_result"])
    assert_type(await session.interrupt(), Literal["sent", "latched", "already_terminal"])
    assert_type(await session.fail("e", "x"), bool)


async def agent(wrapper: aio.Wrapper) -> stayline.Ended:
    async for signal in wrapper.signals():
        match signal:
            case stayline.Kill(name):
                assert_type(name, str)
            case stayline.Reconnecting(attempt):
                assert_type(attempt, int)
    # A block that may swallow nothing: what follows it is reached.
    async with wrapper:
        return await wrapper.complete(exit_code=0)
