"""What the tests of ``stayline.aio`` share: event loops of both kinds, and cancelling."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
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


async def cancelled(waiting: Awaitable[Any], *, may_end: bool = False) -> None:
    """Starts to wait, and cancels the wait once it has begun; one that ``may_end`` may be over."""

    async def wait() -> Any:
        return await waiting

    task = asyncio.ensure_future(wait())
    await turns()
    assert may_end or not task.done(), task
    task.cancel()
    await asyncio.wait([task])
    assert may_end or task.cancelled(), task


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


# Two SQLite libraries in one process would not see each other's locks.
HOLD_UP = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def holding_up_commits(path: Path) -> Iterator[None]:
    """Has another process hold the file's write lock."""
    command = [sys.executable, "-c", HOLD_UP, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield
        finally:
            process.stdin.close()
