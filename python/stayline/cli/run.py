"""``stayline run``: any program as one execution.

The connection comes first and the program second, so that a wrong address is told before anything
has run. Then three things happen side by side: the program runs (`child`), its output is passed on
and sent (`relay`), and the main thread here waits for signals of the system, for what the wrapper
tells, and for the program's end (`supervisor`). At the end the execution's own ending is sent and
waited for: everything is acknowledged, or the closing line says what was lost.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

import stayline
from stayline._internal import _adopt_orphans, _adopts_orphans
from stayline.cli import left_over, places, terminal
from stayline.cli.child import Child, Wiring
from stayline.cli.console import complain, count
from stayline.cli.rest import ENVIRONMENT
from stayline.cli.signals import SignalWatch
from stayline.cli.supervisor import Report, Supervisor
from stayline.cli.swept import ServedStore
from stayline.cli.target import Target, started

NOT_FOUND = 127
NOT_EXECUTABLE = 126
#: The program ended well, and what it said is not kept: its store was swept away.
NOT_KEPT = 74

#: The session's last run was killed, and what it had started is still at work.
LEFT_AT_WORK = 75

#: What a shell's user, a service manager or a scheduler sends: passed on to the program. What a
#: fault of our own would raise, and what nobody can catch, is missing; and what only the terminal
#: sends, to the program too.
_PASSED_ON = (
    *("SIGHUP", "SIGINT", "SIGQUIT", "SIGABRT", "SIGTRAP", "SIGUSR1", "SIGUSR2", "SIGALRM"),
    *("SIGTERM", "SIGSTKFLT", "SIGXCPU", "SIGVTALRM", "SIGPROF", "SIGPOLL", "SIGPWR", "SIGSYS"),
    *("SIGURG", "SIGEMT", "SIGLOST", "SIGINFO"),
)
#: The same for a program in a process group of its own.
_PASSED_TO_GROUP = ("SIGTSTP", "SIGCONT", "SIGWINCH")

#: Seconds between looks for a stop while the coordinator has not answered.
_LOOK_AGAIN = 0.1

#: Seconds for the news of a program that did not start to arrive.
_LAST_WORDS = 10.0

#: How much longer than our own patience the machine waits for a stopped program (R52), in ms.
_ABORT_MARGIN_MS = 5_000


def main(options: argparse.Namespace) -> int:
    """Runs the program; the exit code is its own, or 128 and a signal's number; ``NOT_KEPT`` in
    the place of 0 when the store was swept away."""
    name = options.program[0]
    if shutil.which(name) is None:
        if os.path.dirname(name) and os.path.exists(name):
            complain(f"{name} is not a program that may be run; check its permissions")
            return NOT_EXECUTABLE
        complain(f"there is no program {name!r}; check its name, and PATH")
        return NOT_FOUND
    settings = _settings(options)
    adopts = _adopts_orphans() or (options.init and _adopt_orphans())
    if options.init and not adopts:
        complain("--init: this system leaves orphans to its first process")
    records = left_over.Records(_home(options), options.session)
    try:
        records.check(take_over=options.take_over, grace=options.stop_grace)
    except left_over.LeftAtWork as error:
        complain(str(error))
        return LEFT_AT_WORK
    with (
        SignalWatch(*_watched(options)) as watch,
        started(options, settings, watch) as target,
        closing(_wrapper(target, settings, options.proxy)) as wrapper,
    ):
        stop = _connect(wrapper, target, watch)
        if stop is not None:
            complain(f"{stop} came before the program was started, session {target.session_id}")
            return 128 + signal.Signals[stop]
        try:
            wiring = Wiring(pty=options.pty, stderr=_keeps_stderr(options), adopts=adopts)
            child = Child(options.program, target.execution_id, wiring)
        except OSError as error:
            text = f"cannot start {name}: {error.strerror}"
            complain(text)
            code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
            # Whether the coordinator takes it or not: what went wrong is that.
            with suppress(stayline.Error):
                wrapper.fail(text, exit_code=code, timeout=_LAST_WORDS)
            return code
        try:
            with records.noted(child.mark, child.pid):
                grace = options.stop_grace
                supervisor = Supervisor(
                    child, wrapper, watch, settings, grace, target.trouble, target.served
                )
                report = supervisor.run()
        except BaseException as error:
            _end_unwatched(child, wrapper, error)
            raise
    report = _checked(report, target) if target.served is None else _served(report, target.served)
    if not report.unheard and (report.trouble or not options.quiet):
        complain(_closing_line(report, target))
    return report.exit_code


def _end_unwatched(child: Child, wrapper: stayline.Wrapper, error: BaseException) -> None:
    """Ends a run that cannot be watched over any more: no program works on unseen, the terminal is
    given back, and the coordinator is told."""
    child.stop(signal.SIGKILL)
    with suppress(OSError):
        child.close()
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    with suppress(stayline.Error):
        wrapper.fail(f"stayline run could not go on: {reason}", timeout=_LAST_WORDS)


def _home(options: argparse.Namespace) -> str:
    """What the session's runs have in common, from whatever folder they are started."""
    if options.to is not None:
        return str(options.to)
    kind, colon, path = (options.store or "").partition(":")
    return f"{kind}{colon}{os.path.abspath(path)}" if path else str(places.FOLDER.absolute())


def _watched(options: argparse.Namespace) -> list[int]:
    names = list(_PASSED_ON)
    if options.pty or not terminal.is_job():
        names += _PASSED_TO_GROUP
    known = [getattr(signal, name) for name in names if hasattr(signal, name)]
    if hasattr(signal, "SIGRTMIN"):
        known += range(signal.SIGRTMIN, signal.SIGRTMAX + 1)
    return known


def _keeps_stderr(options: argparse.Namespace) -> bool:
    """On a terminal stderr is the program's own, with its colours and progress bars."""
    if options.stderr is not None:
        return bool(options.stderr)
    return not os.isatty(2)


def _settings(options: argparse.Namespace) -> stayline.Settings:
    """Those of ``--set``; and, unless set, the program waits rather than losing lines."""
    values: dict[str, Any] = dict(options.set)
    values.setdefault("overflow", "block")
    patience = int(options.stop_grace * 1000) + _ABORT_MARGIN_MS
    values.setdefault("abort_timeout_ms", max(patience, stayline.Settings().abort_timeout_ms))
    return stayline.Settings(**values)


def _wrapper(target: Target, settings: stayline.Settings, proxy: str | None) -> stayline.Wrapper:
    return stayline.Wrapper(
        target.url,
        session_id=target.session_id,
        execution_id=target.execution_id,
        token=target.token,
        proxy=proxy or ENVIRONMENT,
        settings=settings,
    )


def _connect(wrapper: stayline.Wrapper, target: Target, watch: SignalWatch) -> str | None:
    """Waits for the first connection; without one the execution is failed (R10, R48). The name of
    the signal that asked for an end meanwhile, if one did."""
    try:
        while True:
            for arrival in watch.take():
                if arrival.number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
                    target.fail(f"{arrival.name} came before the program was started")
                    return arrival.name
            try:
                wrapper.wait_connected(timeout=_LOOK_AGAIN)
                break
            except stayline.Timeout:
                continue
        wrapper.start_job()
        # The program is at work from now on: a kill is ours to carry out (R52).
        wrapper.begin_turn()
    except stayline.Error as error:
        wrapper.close()
        target.fail(f"The wrapper could not connect: {error}")
        raise
    return None


def _checked(report: Report, target: Target) -> Report:
    """The report, once a store of ours is closed: it is asked whether all of that is kept."""
    trouble = target.trouble()
    if trouble is None or target.location is None:
        return report
    kept = places.kept(target.location, target.session_id, target.execution_id)
    # The ending is one of them.
    lost = max(report.events + 1 - kept, report.lost)
    code = report.exit_code or NOT_KEPT
    return replace(report, status="not kept", detail=trouble, lost=lost, exit_code=code)


def _served(report: Report, store: ServedStore) -> Report:
    """The report, where a server may have lost what it had acknowledged: its store was gone for a
    while, or it does not know the run any more."""
    if store.was_gone is None and not report.refused:
        return report
    kept = store.kept()
    # The ending is one of them.
    missing = report.events + 1 - (kept or 0)
    if store.was_gone is not None and (kept is None or missing > 0):
        detail = store.was_gone
    elif store.is_forgotten:
        detail = "the server knows nothing of this run any more"
    else:
        return report
    lost = report.lost if kept is None else max(missing, report.lost)
    code = report.exit_code or NOT_KEPT
    return replace(report, status="not kept", detail=detail, lost=lost, exit_code=code)


def _closing_line(report: Report, target: Target) -> str:
    parts = [
        f"{report.status} ({report.detail})" if report.detail else report.status,
        count(report.events, "event"),
        count(report.reconnects, "reconnect"),
    ]
    if report.lost:
        parts.append(f"{count(report.lost, 'event')} lost")
    parts.append(f"session {target.session_id}")
    return ", ".join(parts)
