"""Where ``stayline run`` reports to: a server that runs elsewhere, or a coordinator of its own."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone

import stayline
from stayline.cli import places
from stayline.cli.rest import Rest

#: A file below .stayline/ has one program at a time, so what is left over is among the newest.
_LEFT_OVER_SESSIONS = 100


@dataclass(frozen=True)
class Target:
    """One started execution, and how to reach its coordinator."""

    url: str
    session_id: str
    execution_id: str
    token: str | None
    #: Fails it with a message, when nothing has come of it yet (R10).
    fail: Callable[[str], object]


@contextmanager
def started(options: argparse.Namespace, settings: stayline.Settings) -> Iterator[Target]:
    """Starts an execution where ``options`` say, and keeps its coordinator open if it is ours."""
    session_id = options.session or _new_session_id()
    if options.to is None:
        with _embedded(options, session_id, settings) as target:
            yield target
    elif options.execution is not None:
        # Whoever started it owns it, and fails it if nobody attaches.
        yield Target(
            options.to, session_id, options.execution, options.token, fail=lambda _message: None
        )
    else:
        rest = Rest(options.to, options.key)
        execution_id, token = rest.start(session_id, options.mode)

        def fail(message: str) -> None:
            rest.fail(session_id, execution_id, message)

        yield Target(options.to, session_id, execution_id, token, fail)


@contextmanager
def _embedded(
    options: argparse.Namespace, session_id: str, settings: stayline.Settings
) -> Iterator[Target]:
    with places.open_own(options.store, settings) as coordinator:
        if options.store is None:
            _end_left_over(coordinator)
        session = coordinator.session(session_id)
        execution = session.start(mode=options.mode)

        def fail(message: str) -> None:
            session.fail(execution.id, message)

        # Only the wrapper in this process knows the key and the token.
        with coordinator.serve("127.0.0.1:0", key=secrets.token_urlsafe(24)) as server:
            yield Target(server.url, session_id, execution.id, execution.token, fail)


def _end_left_over(coordinator: stayline.Coordinator) -> None:
    """Fails what a process left behind that was killed: its wrapper died with its coordinator,
    so no grace is needed to know that it will not come back."""
    for one in coordinator.sessions(limit=_LEFT_OVER_SESSIONS):
        if one.active is not None:
            coordinator.session(one.id).fail(one.active, "The process that ran it is gone")


def _new_session_id() -> str:
    now = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
    return f"run-{now}-{secrets.token_hex(2)}"
