"""The Python threads of the extension.

No thread of the core ever takes the interpreter lock. Where Python has to do something for it,
a daemon thread here waits for the work and does it: hand log records to ``logging``, ask a host's
``authorize``, call a host's ``on_kill``. Each ends with what it serves, and all of them before
the interpreter goes down, so that exit neither hangs nor meets a thread inside the core.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from stayline import _internal

if TYPE_CHECKING:
    from stayline._internal import Kill, Kills, Questions

logger = logging.getLogger("stayline")
# A library without a handler of its own would have warnings printed by the last resort.
logger.addHandler(logging.NullHandler())

# How long exit waits for a thread that runs the host's code.
_EXIT_PATIENCE = 1.0


def start_log() -> None:
    """Starts the thread that hands the core's records to ``logging``."""
    _internal._log_level(logger.getEffectiveLevel())
    _start("stayline-log", _internal._log_stop, _hand_over_records)


def start_authorize(questions: Questions, authorize: Callable[..., bool]) -> None:
    """Starts the thread that asks a server's ``authorize``."""
    _start("stayline-authorize", questions.stop, lambda: _answer(questions, authorize))


def start_kills(kills: Kills, callback: Callable[[Kill], object]) -> None:
    """Starts the thread that calls a wrapper's ``on_kill``."""
    _start("stayline-on-kill", kills.stop, lambda: _call_back(kills, callback))


def _start(name: str, stop: Callable[[], None], work: Callable[[], None]) -> None:
    thread: threading.Thread

    def leave() -> None:
        stop()
        thread.join(_EXIT_PATIENCE)

    def run() -> None:
        try:
            work()
        finally:
            atexit.unregister(leave)

    thread = threading.Thread(target=run, name=name, daemon=True)
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


def _answer(questions: Questions, authorize: Callable[..., bool]) -> None:
    while True:
        question = questions.next()
        if question is None:
            return
        try:
            verdict = bool(authorize(question.session_id, question.execution_id, question.bearer))
        except Exception:
            logger.exception("authorize raised; the wrapper is refused")
            verdict = False
        question.answer(verdict)


def _call_back(kills: Kills, callback: Callable[[Kill], object]) -> None:
    while True:
        kill = kills.next()
        if kill is None:
            return
        try:
            callback(kill)
        except Exception:
            logger.exception("on_kill raised")
