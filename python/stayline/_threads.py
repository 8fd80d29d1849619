"""The Python threads of the extension.

No thread of the core ever takes the interpreter lock. Where Python has to do something for it,
a daemon thread here waits for the work and does it: hand log records to ``logging``, ask a host's
``authorize``, call a host's ``on_kill``. Each ends with what it serves, and all of them before
the interpreter goes down, so that exit neither hangs nor meets a thread inside the core.
"""

from __future__ import annotations

import atexit
import contextlib
import inspect
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from stayline import _internal, _native
from stayline._native import Signals, Thread

if TYPE_CHECKING:
    from stayline._internal import Kill, Kills, Question, Questions

logger = logging.getLogger("stayline")
# A library without a handler of its own would have warnings printed by the last resort.
logger.addHandler(logging.NullHandler())

# How long exit waits for a thread that runs the host's code.
_EXIT_PATIENCE = 1.0


def start_log() -> None:
    """Starts the thread that hands the core's records to ``logging``."""
    _internal._log_level(logger.getEffectiveLevel())
    _start("stayline-log", _internal._log_stop, _hand_over_records)


def start_authorize(questions: Questions, authorize: Callable[..., bool | None]) -> None:
    """Starts the threads that ask a server's ``authorize``, side by side."""
    _Askers(questions, authorize).start()


def start_kills(kills: Kills, callback: Callable[[Kill], object]) -> None:
    """Starts the thread that calls a wrapper's ``on_kill``."""
    signals = Signals()
    _start("stayline-on-kill", kills.stop, lambda: _call_back(kills, callback, signals))


def _start(name: str, stop: Callable[[], None], work: Callable[[], None]) -> None:
    def leave() -> None:
        stop()
        thread.join(_EXIT_PATIENCE)

    def run() -> None:
        try:
            work()
        finally:
            atexit.unregister(leave)

    thread = Thread(run, name)
    atexit.register(leave)
    thread.start()


def _hand_over_records() -> None:
    while True:
        record = _internal._log_next()
        if record is None:
            return
        level, text = record
        logger.log(level, "%s", text)
        # The level may have changed; below it the core makes no records at all.
        _internal._log_level(logger.getEffectiveLevel())


class _Seldom:
    """What goes on failing is told once a minute, as the core does: a database that is away fails
    every question, and all wrappers ask again.
    """

    _INTERVAL = 60.0
    _KINDS = 64

    def __init__(self) -> None:
        self._lock = _native.lock()
        #: When each kind was told, and how often it was not since.
        self._told: dict[str, tuple[float, int]] = {}

    def admits(self, error: BaseException) -> str | None:
        """What to put behind the message; ``None`` when it is not to be told now."""
        now, kind = time.monotonic(), f"{type(error).__module__}.{type(error).__qualname__}"
        with self._lock:
            told_at, left_out = self._told.get(kind, (now - self._INTERVAL, 0))
            if now - told_at < self._INTERVAL:
                self._told[kind] = (told_at, left_out + 1)
                return None
            if kind not in self._told and len(self._told) >= self._KINDS:
                self._told.pop(next(iter(self._told)))
            self._told[kind] = (now, 0)
        return f"; {left_out} times more since this was told" if left_out else ""


class _Askers:
    """The threads of one server's ``authorize``: one waits for questions, and while it is asked
    another one does, as many as the server asks at a time. They are kept until the server closes.
    """

    _LIMIT = 8

    def __init__(self, questions: Questions, authorize: Callable[..., bool | None]) -> None:
        self._questions = questions
        self._authorize = authorize
        self._lock = _native.lock()
        self._signals = Signals()
        self._threads: list[Thread] = []
        self._idle = 0
        self._seldom = _Seldom()

    def start(self) -> None:
        atexit.register(self._leave)
        self._add()

    def _add(self) -> None:
        thread = Thread(lambda: self._work(thread), "stayline-authorize")
        with self._lock:
            self._threads.append(thread)
            self._idle += 1
        try:
            thread.start()
        except BaseException:
            with self._lock:
                self._threads.remove(thread)
                self._idle -= 1
            raise

    def _work(self, thread: Thread) -> None:
        try:
            while (question := self._questions.next()) is not None:
                with self._lock:
                    self._idle -= 1
                    more = self._idle == 0 and len(self._threads) < self._LIMIT
                if more:
                    # Without room for one more, questions wait for the threads that there are.
                    with contextlib.suppress(RuntimeError):
                        self._add()
                question.answer(self._ask(question))
                # Whoever asked goes on; nothing of the question is kept while waiting.
                del question
                with self._lock:
                    self._idle += 1
        finally:
            with self._lock:
                self._threads.remove(thread)
                last = not self._threads
            if last:
                atexit.unregister(self._leave)

    def _ask(self, question: Question) -> bool | None:
        """What the host says; what it could not find out is ``None``, which is no "no"."""
        try:
            with self._signals.of_the_host():
                return checked_verdict(
                    self._authorize(question.session_id, question.execution_id, question.bearer)
                )
        except BaseException as error:
            more = self._seldom.admits(error)
            if more is not None:
                logger.exception(
                    "authorize raised for execution %r of session %r; the wrapper tries again "
                    "later%s",
                    question.execution_id,
                    question.session_id,
                    more,
                )
            return None

    def _leave(self) -> None:
        self._questions.stop()
        until = time.monotonic() + _EXIT_PATIENCE
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(until - time.monotonic())


def checked_verdict(verdict: object) -> bool | None:
    """What a host's check has said (R25). ``TypeError`` for what is no answer: a coroutine that
    nobody awaited, or the text ``"denied"``, would pass for a yes otherwise.
    """
    if verdict is None or isinstance(verdict, bool):
        return verdict
    if inspect.iscoroutine(verdict):
        verdict.close()
    kind = type(verdict).__name__
    raise TypeError(f"a check answers with True, False or None, not with a {kind}")


def _call_back(kills: Kills, callback: Callable[[Kill], object], signals: Signals) -> None:
    while True:
        kill = kills.next()
        if kill is None:
            return
        try:
            with signals.of_the_host():
                callback(kill)
        except Exception:
            logger.exception("on_kill raised")
