"""Where ``stayline run`` reports to: a server that runs elsewhere, or a coordinator of its own."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone

import stayline
from stayline.cli import places
from stayline.cli.beside import Beside
from stayline.cli.console import complain
from stayline.cli.rest import Rest
from stayline.cli.signals import SignalWatch
from stayline.cli.swept import ServedStore, reason

#: A file below .stayline/ has one program at a time, so what is left over is among the newest.
_LEFT_OVER_SESSIONS = 100

#: Seconds for a server to answer when the answer is not what is waited for any more.
_LAST_WORDS = 1.0


@dataclass(frozen=True)
class Target:
    """One started execution, and how to reach its coordinator."""

    url: str
    session_id: str
    execution_id: str
    token: str | None
    #: Fails it with a message, when nothing has come of it yet (R10).
    fail: Callable[[str], object]
    #: The store, if it is ours.
    location: str | None = None
    #: What is wrong with a store of ours, also after it was closed.
    trouble: Callable[[], str | None] = lambda: None
    #: The store behind a server that runs elsewhere.
    served: ServedStore | None = None


@contextmanager
def started(
    options: argparse.Namespace, settings: stayline.Settings, watch: SignalWatch
) -> Iterator[Target]:
    """Starts an execution where ``options`` say, and keeps its coordinator open if it is ours."""
    session_id = options.session or _new_session_id()
    if options.to is None:
        with _embedded(options, session_id, settings) as target:
            yield target
    elif options.execution is not None:
        # Whoever started it owns it, and fails it if nobody attaches.
        served = ServedStore.of(options, session_id, options.execution)
        yield Target(
            options.to,
            session_id,
            options.execution,
            options.token,
            fail=lambda _message: None,
            served=served,
        )
    else:
        rest = Rest.of(options)
        execution_id, token = _started_there(rest, session_id, options.mode, watch)

        def fail(message: str) -> None:
            _fail_there(rest, session_id, execution_id, message)

        served = ServedStore(rest, session_id, execution_id)
        yield Target(options.to, session_id, execution_id, token, fail, served=served)


def _started_there(
    rest: Rest, session_id: str, mode: str | None, watch: SignalWatch
) -> tuple[str, str]:
    """Has a server start an execution; its id and token. A server may take its time, or ask to come
    back later; a signal meanwhile ends the process as it would have without us."""
    starting = Beside(lambda: rest.start(session_id, mode), "stayline-start")
    arrival = watch.heed(starting)
    if arrival is None:
        return starting.result()
    told = f"{arrival.name} came before the program was started"
    # What it answers just now has started something that nobody will attach to. The rest is found
    # out by the server itself.
    if starting.finishes(_LAST_WORDS):
        with suppress(OSError, stayline.Error):
            execution_id, _token = starting.result()
            _fail_there(rest, session_id, execution_id, told)
    complain(f"{told}, session {session_id}")
    raise SystemExit(128 + arrival.number)


def _fail_there(rest: Rest, session_id: str, execution_id: str, message: str) -> None:
    """Fails it, if the server takes that soon: what went wrong is something else."""
    Beside(lambda: rest.fail(session_id, execution_id, message), "stayline-fail").finishes(
        _LAST_WORDS
    )


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
            yield Target(
                server.url,
                session_id,
                execution.id,
                execution.token,
                fail,
                coordinator.location,
                lambda: _trouble(coordinator),
            )


def _trouble(coordinator: stayline.Coordinator) -> str | None:
    """Why nothing is stored any more: the files were removed, moved or replaced (R27)."""
    try:
        # Asks for nothing but whether it works: it reads memory only.
        coordinator.metrics()
    except stayline.Closed:
        return None
    except stayline.StoreError as error:
        return reason(str(error))
    return None


def _end_left_over(coordinator: stayline.Coordinator) -> None:
    """Fails what a process left behind that was killed: its wrapper died with its coordinator,
    so no grace is needed to know that it will not come back."""
    for one in coordinator.sessions(limit=_LEFT_OVER_SESSIONS):
        if one.active is not None:
            coordinator.session(one.id).fail(one.active, "The process that ran it is gone")


def _new_session_id() -> str:
    now = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
    return f"run-{now}-{secrets.token_hex(2)}"
