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
from contextlib import closing
from typing import Any

import stayline
from stayline.cli.child import Child
from stayline.cli.console import complain, count
from stayline.cli.signals import SignalWatch
from stayline.cli.supervisor import Report, Supervisor
from stayline.cli.target import Target, started

NOT_FOUND = 127
NOT_EXECUTABLE = 126

#: Seconds for the news of a program that did not start to arrive.
_LAST_WORDS = 10.0

#: How much longer than our own patience the machine waits for a stopped program (R52), in ms.
_ABORT_MARGIN_MS = 5_000


def main(options: argparse.Namespace) -> int:
    """Runs the program; the exit code is its own, or 128 and a signal's number."""
    name = options.program[0]
    if shutil.which(name) is None:
        if os.path.dirname(name) and os.path.exists(name):
            complain(f"{name} is not a program that may be run; check its permissions")
            return NOT_EXECUTABLE
        complain(f"there is no program {name!r}; check its name, and PATH")
        return NOT_FOUND
    settings = _settings(options)
    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
    with (
        SignalWatch(*watched) as watch,
        started(options, settings) as target,
        closing(_connected(target, settings)) as wrapper,
    ):
        try:
            child = Child(options.program)
        except OSError as error:
            text = f"cannot start {name}: {error.strerror}"
            complain(text)
            wrapper.fail(text, timeout=_LAST_WORDS)
            return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        report = Supervisor(child, wrapper, watch, settings, options.stop_grace).run()
    if report.trouble or not options.quiet:
        complain(_closing_line(report, target))
    return report.exit_code


def _settings(options: argparse.Namespace) -> stayline.Settings:
    """Those of ``--set``; and, unless set, the program waits rather than losing lines."""
    values: dict[str, Any] = dict(options.set)
    values.setdefault("overflow", "block")
    patience = int(options.stop_grace * 1000) + _ABORT_MARGIN_MS
    values.setdefault("abort_timeout_ms", max(patience, stayline.Settings().abort_timeout_ms))
    return stayline.Settings(**values)


def _connected(target: Target, settings: stayline.Settings) -> stayline.Wrapper:
    """A wrapper whose first connection is up; otherwise the execution is failed (R10, R48)."""
    wrapper = stayline.Wrapper(
        target.url,
        session_id=target.session_id,
        execution_id=target.execution_id,
        token=target.token,
        settings=settings,
    )
    try:
        wrapper.wait_connected()
        wrapper.start_job()
        # The program is at work from now on: a kill is ours to carry out (R52).
        wrapper.begin_turn()
    except stayline.Error as error:
        wrapper.close()
        target.fail(f"The wrapper could not connect: {error}")
        raise
    return wrapper


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
