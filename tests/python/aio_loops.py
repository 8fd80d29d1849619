"""What the tests of ``stayline.aio`` share: event loops of both kinds, and cancelling."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import uvloop
from conftest import PATIENCE

T = TypeVar("T")

Run = Callable[[Coroutine[Any, Any, T]], T]

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def run_on(kind: str, main: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on a new loop of this kind; whatever it leaves behind is an error."""
    loop = LOOPS[kind]()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: complaints.append(context))
    try:
        result = loop.run_until_complete(asyncio.wait_for(main, PATIENCE))
        loop.run_until_complete(loop.shutdown_asyncgens())
        left = asyncio.all_tasks(loop)
    finally:
        loop.close()
    assert not complaints
    assert not left
    return result


async def cancelled(waiting: Awaitable[Any]) -> None:
    """Starts to wait, and cancels the wait once it has begun."""

    async def wait() -> Any:
        return await waiting

    task = asyncio.ensure_future(wait())
    await turns()
    assert not task.done(), task
    await cancel(task)


async def cancel(task: asyncio.Future[Any]) -> None:
    """Cancels a task and sees it end so."""
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled(), task


async def turns(count: int = 3) -> None:
    """Lets what has begun come to where it waits."""
    for _ in range(count):
        await asyncio.sleep(0)


async def soon(look: Callable[[], object]) -> None:
    """Looks until it is so, letting the loop run."""
    async with asyncio.timeout(PATIENCE):
        while not look():
            await asyncio.sleep(0.001)
