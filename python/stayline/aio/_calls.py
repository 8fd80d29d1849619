"""Calls that may wait for a disk, made on threads and awaited.

The core's calls return once what they did is durable. On an event loop they are made by a small
pool of threads; callers at once share one commit, so the pool bounds how many wait for one
commit, not how many commits there are. The pool is of this package alone: code of the host that
fills the loop's own executor holds up nothing here, and the other way round.

Cancelling a task cancels its wait only. A call that has been handed to the pool is made, and what
it stored stands. Where its result would be lost with the wait (a link that was accepted, a
notification that was taken) the call comes with an ``undo`` that deals with the result.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

from stayline import _internal, _native

# Said when this is imported, before anything waits for ever.
_native.require_threads()

T = TypeVar("T")

logger = logging.getLogger("stayline")

# How many calls may wait for one commit.
_THREADS = 32

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


def submit(call: Callable[[], T]) -> Future[T]:
    """Has a call made by a thread of the pool."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="stayline-aio")
        # It may start one more thread.
        return _internal._without_signals(partial(_pool.submit, call))


async def joined(future: Future[T]) -> T:
    """Waits for a call that is being made. Cancelling leaves the call alone."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def finish() -> None:
        if not waiter.done():
            waiter.set_result(None)

    def tell(_future: Future[T]) -> None:
        try:
            loop.call_soon_threadsafe(finish)
        except RuntimeError:
            # The loop is closed, so nobody waits any more.
            logger.debug("a call ended after its event loop was closed")

    future.add_done_callback(tell)
    await waiter
    return future.result()


async def called(call: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
    """Makes a call on a thread and waits for it.

    If the wait is cancelled, ``undo`` gets the result once it is there, also on a thread.
    """
    future = submit(call)
    try:
        return await joined(future)
    except asyncio.CancelledError:
        future.add_done_callback(lambda future: _settle(future, undo))
        raise


def _settle(future: Future[T], undo: Callable[[T], object] | None) -> None:
    """Deals with the result of a call that nobody waits for any more."""
    error = future.exception()
    if error is not None:
        # Whoever cares was cancelled; the log of the core has what went wrong in the store.
        logger.debug("a call whose wait was cancelled failed: %r", error)
    elif undo is not None:
        try:
            submit(lambda: _undo(undo, future.result()))
        except RuntimeError:
            logger.debug("the interpreter is going down; what it holds is closed with it")


def _undo(undo: Callable[[T], object], result: T) -> None:
    try:
        undo(result)
    except Exception as error:
        # The coordinator was closed meanwhile, for instance; then there is nothing to undo.
        logger.debug("the result of a cancelled wait could not be given back: %r", error)


class Once(Generic[T]):
    """Something that is opened when it is first wanted, on a thread, once.

    A wait for it that is cancelled loses nothing: whoever wants it next gets what was opened.
    An opening that failed is tried again when it is wanted again.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._future: Future[T] | None = None

    @classmethod
    def opened(cls, thing: T) -> Once[T]:
        """Something that is open already."""
        once = cls(lambda: thing)
        once._future = Future()
        once._future.set_result(thing)
        return once

    def peek(self) -> T | None:
        """What was opened; ``None``: nothing yet."""
        future = self._future
        if future is None or not future.done() or future.exception() is not None:
            return None
        return future.result()

    async def get(self) -> T:
        """What was opened, opening it where nobody has."""
        with self._lock:
            future = self._future
            if future is None or (future.done() and future.exception() is not None):
                future = self._future = submit(self._make)
        return await joined(future)


class Context(Protocol):
    """What ``async with`` takes."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...


C = TypeVar("C", bound=Context)


class Opening(Coroutine[Any, Any, C]):
    """What a call that opens something returns: ``await`` it, or enter it with ``async with``."""

    def __init__(self, coroutine: Coroutine[Any, Any, C]) -> None:
        self._coroutine = coroutine
        self._opened: C | None = None

    def __await__(self) -> Generator[Any, Any, C]:
        return self._coroutine.__await__()

    def send(self, value: Any, /) -> Any:
        """As a coroutine's."""
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        """As a coroutine's."""
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """As a coroutine's."""
        self._coroutine.close()

    async def __aenter__(self) -> C:
        self._opened = await self._coroutine
        return self._opened

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._opened is not None:
            await self._opened.__aexit__(kind, error, traceback)


def _forget() -> None:
    """A forked child has no thread of the parent's pool, and its lock may be held for ever."""
    global _lock, _pool
    _lock, _pool = threading.Lock(), None


os.register_at_fork(after_in_child=_forget)
