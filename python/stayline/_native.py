"""Threads of the system for what Python does on the core's behalf, whatever the host has done.

gevent and eventlet may have replaced ``threading``: a thread of theirs runs only while the others
wait, and whoever waits inside native code for what one of them should do waits for ever. Both keep
what they have replaced, and a thread here is started by that.

All signals are blocked on these threads, as on the core's own, so that each goes to a thread of
the host; but for those that a fault of the thread itself raises.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from stayline import _internal

#: Who may have replaced threads, and where the module is that knows.
_REPLACERS = {"gevent": "gevent.monkey", "eventlet": "eventlet.patcher"}


def replaced_by() -> str | None:
    """``"gevent"`` or ``"eventlet"``, if threads are theirs now."""
    gevent = sys.modules.get(_REPLACERS["gevent"])
    if gevent is not None and gevent.is_module_patched("threading"):
        return "gevent"
    eventlet = sys.modules.get(_REPLACERS["eventlet"])
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        return "eventlet"
    return None


def require_threads() -> None:
    """``ImportError`` where ``stayline.aio`` cannot work."""
    by = replaced_by()
    if by is not None:
        raise ImportError(
            f"stayline.aio needs threads of the system, and {by} has replaced them by its own: use "
            "stayline itself, which works beside it, or leave threads out of its monkey patching"
        )


def _original(name: str) -> Any:
    """What ``_thread`` has under this name without them."""
    module: Any
    by = replaced_by()
    if by == "gevent":
        module = sys.modules[_REPLACERS["gevent"]]
        return module.get_original("_thread", name)
    if by == "eventlet":
        module = sys.modules[_REPLACERS["eventlet"]]
        return getattr(module.original("_thread"), name)
    return getattr(_thread, name)


def lock() -> threading.Lock:
    """A lock that threads of the system wait for."""
    made: threading.Lock = _original("allocate_lock")()
    return made


class Thread:
    """A daemon thread of the system."""

    def __init__(self, work: Callable[[], None], name: str) -> None:
        self._work = work
        self._name = name
        self._process = os.getpid()
        self._running = lock()

    def start(self) -> None:
        """``RuntimeError`` where there is no room for it."""
        self._running.acquire()
        try:
            _internal._without_signals(self._start)
        except BaseException:
            self._running.release()
            raise

    def _start(self) -> None:
        if replaced_by() is None:
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
        else:
            _original("start_new_thread")(self._run, ())

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._running.release()

    def join(self, seconds: float) -> bool:
        """Waits until it has ended, at most so long; whether it has. In a forked child, which has
        no threads of its parent's, it has."""
        if os.getpid() != self._process:
            return True
        ended = self._running.acquire(timeout=max(0.0, seconds))
        if ended:
            self._running.release()
        return ended


class Signals:
    """What was blocked on the thread that made this: the host's own code gets that back while it
    runs on a thread of ours, and with it every process that it starts."""

    def __init__(self) -> None:
        self._blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())

    @contextmanager
    def of_the_host(self) -> Iterator[None]:
        """As they were there, inside."""
        ours = signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, ours)
