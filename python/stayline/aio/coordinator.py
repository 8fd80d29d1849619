"""The side that owns sessions: ``Coordinator`` and its ``Server``."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
from collections.abc import Awaitable, Callable, Generator, Sequence
from os import PathLike
from types import TracebackType
from typing import Any, TypeAlias

import stayline
from stayline._internal import InvalidArgument
from stayline.aio._calls import Opening, called
from stayline.aio._view import View
from stayline.aio._waiting import Seconds, seconds
from stayline.aio.notification import Notification, Notifications
from stayline.aio.session import Session
from stayline.aio.session_info import SessionInfo

#: What ``serve`` asks about a wrapper: ordinary, or with an answer that is awaited.
Authorize: TypeAlias = Callable[[str, str, str | None], bool | Awaitable[bool | None] | None]


class Coordinator:
    """Owns sessions: ``stayline.Coordinator``, awaitable.

    It is opened by ``async with``, which closes it in the end, or by ``await``::

        async with Coordinator("sqlite:runs.db") as coordinator:
            ...

    ``Coordinator.of(sync)`` is a view of one that is open already; both may be used at once.
    """

    def __init__(
        self,
        location: str,
        *,
        settings: stayline.Settings | None = None,
        clock: stayline.ManualClock | None = None,
        read_only: bool = False,
    ) -> None:
        self._location = location
        self._make = lambda: stayline.Coordinator(
            location, settings=settings, clock=clock, read_only=read_only
        )
        self._sync: stayline.Coordinator | None = None

    @classmethod
    def of(cls, sync: stayline.Coordinator) -> Coordinator:
        """A view of a coordinator."""
        view = cls(sync.location)
        view._sync = sync
        return view

    @property
    def sync(self) -> stayline.Coordinator:
        """The coordinator it is a view of. Raises ``InvalidArgument`` before it is open."""
        if self._sync is None:
            raise InvalidArgument("the coordinator is not open yet; enter it, or await it, first")
        return self._sync

    @property
    def location(self) -> str:
        """What it is opened with."""
        return self._location

    @property
    def settings(self) -> stayline.Settings:
        """Its settings."""
        return self.sync.settings

    @property
    def read_only(self) -> bool:
        """Whether it only reads beside an owner."""
        return self.sync.read_only

    @property
    def now_ms(self) -> int:
        """The coordinator's time in ms since the Unix epoch; it never goes back (R18c)."""
        return self.sync.now_ms

    def session(self, session_id: str) -> Session:
        """A handle on a session; creates nothing (R19a)."""
        return Session(self.sync.session(session_id))

    async def sessions(self, *, limit: int = 100) -> list[SessionInfo]:
        """Sessions, the one with the newest activity first."""
        sync = self.sync
        return [SessionInfo(info) for info in await called(lambda: sync.sessions(limit=limit))]

    def notifications(self, timeout: Seconds | None = None) -> Notifications:
        """Takes notifications as they come (R39), for ``async for``.

        Waits up to ``timeout`` seconds for each. Acknowledge each, or it comes again.
        """
        seconds(timeout)
        return Notifications(self.sync.notifications(), timeout)

    async def pending_notifications(self, *, parked_only: bool = False) -> list[Notification]:
        """Notifications that are not acknowledged, whether waiting, leased or parked."""
        sync = self.sync
        pending = await called(lambda: sync.pending_notifications(parked_only=parked_only))
        return [Notification(notification) for notification in pending]

    def serve(
        self,
        address: str = "127.0.0.1:0",
        *,
        key: str | None = None,
        allowed_origins: Sequence[str] | None = None,
        authorize: Authorize | None = None,
        base_path: str = "",
        tls_certificate: str | PathLike[str] | None = None,
        tls_key: str | PathLike[str] | None = None,
        max_sockets: int | None = None,
        max_unauthenticated_sockets: int | None = None,
        max_requests: int | None = None,
        max_body_bytes: int | None = None,
        workers: int | None = None,
    ) -> Opening[Server]:
        """Serves wrappers and subscribers: await it, or enter it with ``async with``.

        Anything but loopback needs a ``key``. ``authorize(session_id, execution_id, bearer)``
        decides about wrappers instead of the execution's token: ``True``, ``False`` (final), or
        ``None``: not known now, the wrapper tries again (R25). It is called on a thread, up to
        eight at a time, and what it returns is awaited on this event loop where that can be
        awaited; one that raises, says something else, or takes longer than
        ``authorize_timeout_ms``, has said ``None``. ``tls_certificate`` and
        ``tls_key`` are the paths of two PEM files: with them it serves ``https://`` and
        ``wss://``. The bounds and ``workers`` are those of the synchronous ``serve``.
        """
        sync = self.sync

        async def serve() -> Server:
            ask = None if authorize is None else _asking(authorize)
            return Server(
                await called(
                    lambda: sync.serve(
                        address,
                        key=key,
                        allowed_origins=allowed_origins,
                        authorize=ask,
                        base_path=base_path,
                        tls_certificate=tls_certificate,
                        tls_key=tls_key,
                        max_sockets=max_sockets,
                        max_unauthenticated_sockets=max_unauthenticated_sockets,
                        max_requests=max_requests,
                        max_body_bytes=max_body_bytes,
                        workers=workers,
                    ),
                    undo=lambda server: server.close(),
                )
            )

        return Opening(serve())

    async def issue_ticket(self, session_id: str, *, ttl: Seconds | None = None) -> str:
        """A short-lived signed ticket for one session's stream. Raises ``NotFound``."""
        return await called(lambda: self.sync.issue_ticket(session_id, ttl=ttl))

    async def verify_ticket(self, session_id: str, ticket: str) -> None:
        """Raises ``Unauthorized`` for a ticket that is wrong, expired, or another session's."""
        await called(lambda: self.sync.verify_ticket(session_id, ticket))

    def metrics(self) -> str:
        """What was done since it was opened and what it holds now, as Prometheus reads it.

        Reads memory only, so it waits for nothing.
        """
        return self.sync.metrics()

    async def close(self) -> None:
        """Closes in order, also when the wait for it is cancelled. Twice is fine."""
        if self._sync is not None:
            await called(self._sync.close)

    async def _open(self) -> Coordinator:
        if self._sync is None:
            self._sync = await called(self._make, undo=lambda opened: opened.close())
        return self

    def __await__(self) -> Generator[Any, Any, Coordinator]:
        return self._open().__await__()

    async def __aenter__(self) -> Coordinator:
        return await self._open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        sync = self.sync
        await called(lambda: sync.__exit__(kind, error, traceback))

    def __repr__(self) -> str:
        if self._sync is None:
            return f"<stayline.aio.Coordinator {self._location!r}, not open>"
        return f"<stayline.aio view of {self._sync!r}>"


class Server(View[stayline.Server]):
    """A running server: ``stayline.Server``, awaitable.

    It runs until it, or its coordinator, is closed. Leaving it as a context manager closes it.
    """

    @property
    def url(self) -> str:
        """The base URL for wrappers and subscribers."""
        return self._sync.url

    @property
    def address(self) -> str:
        """The address it listens on, ``host:port``."""
        return self._sync.address

    async def reload_tls(self) -> None:
        """Reads the certificate and its key anew; otherwise that is done within a minute."""
        await called(self._sync.reload_tls)

    async def close(self) -> None:
        """Stops accepting, closes the links with 1012, and ends. Twice is fine."""
        await called(self._sync.close)

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await called(lambda: self._sync.__exit__(kind, error, traceback))


def _asking(authorize: Authorize) -> Callable[[str, str, str | None], bool | None]:
    """The hook as the server's own threads ask it."""
    loop = asyncio.get_running_loop()

    def ask(session_id: str, execution_id: str, bearer: str | None) -> bool | None:
        said = authorize(session_id, execution_id, bearer)
        # Whatever kind of callable it is: what it returns says whether there is more to wait for.
        if not inspect.isawaitable(said):
            return said
        question = _awaited(said)
        try:
            answer = asyncio.run_coroutine_threadsafe(question, loop)
        except RuntimeError:
            # The loop is closed. A hook that raises has not said "no".
            question.close()
            if inspect.iscoroutine(said):
                said.close()
            raise
        try:
            return answer.result(_ANSWER_WITHIN)
        except concurrent.futures.TimeoutError:
            # Before Python 3.11 it is not the one that is built in.
            answer.cancel()
            raise

    return ask


async def _awaited(said: Awaitable[bool | None]) -> bool | None:
    return await said


# The server has long given up by then; a loop that stands still must not hold its threads for ever.
_ANSWER_WITHIN = 60.0
