"""The side next to the agent: ``Wrapper``."""

from __future__ import annotations

import asyncio
import copy
import inspect
import logging
from collections.abc import Awaitable, Callable, Generator, Sequence
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import stayline
from stayline._endings import note_untold
from stayline._internal import Ended, InvalidArgument, Kill, _to_json
from stayline.aio._calls import called
from stayline.aio._waiting import Seconds, found, found_later, seconds
from stayline.aio.signals import Signals

if TYPE_CHECKING:
    from stayline._internal import _Moment, _Signal, _State

T = TypeVar("T")

logger = logging.getLogger("stayline")


class Wrapper:
    """Sends an agent's events to a coordinator: ``stayline.Wrapper``, awaitable.

    ``async with`` opens it and waits for its first connection (unless ``retry_first``); leaving
    it waits until everything sent is acknowledged. An exception that leaves it fails the run,
    and being cancelled interrupts it, as there (R51a). ``await`` opens it without waiting for the
    connection.
    """

    def __init__(
        self,
        url: str,
        *,
        session_id: str,
        execution_id: str,
        token: str | None = None,
        proxy: str = "environment",
        settings: stayline.Settings | None = None,
        retry_first: bool = False,
        active: bool = True,
    ) -> None:
        self._url = url
        self._session_id = session_id
        self._execution_id = execution_id
        self._make = lambda: stayline.Wrapper(
            url,
            session_id=session_id,
            execution_id=execution_id,
            token=token,
            proxy=proxy,
            settings=settings,
            retry_first=retry_first,
            active=active,
        )
        self._sync: stayline.Wrapper | None = None
        # The loop only knows tasks weakly.
        self._callbacks: set[asyncio.Task[None]] = set()

    @classmethod
    def of(cls, sync: stayline.Wrapper) -> Wrapper:
        """A view of a wrapper."""
        view = cls(sync.url, session_id=sync.session_id, execution_id=sync.execution_id)
        view._sync = sync
        return view

    @property
    def sync(self) -> stayline.Wrapper:
        """The wrapper it is a view of. Raises ``InvalidArgument`` before it is open."""
        if self._sync is None:
            raise InvalidArgument("the wrapper is not open yet; enter it, or await it, first")
        return self._sync

    @property
    def url(self) -> str:
        """The server's base URL."""
        return self._url

    @property
    def session_id(self) -> str:
        """The session it belongs to."""
        return self._session_id

    @property
    def execution_id(self) -> str:
        """The execution it sends for."""
        return self._execution_id

    @property
    def settings(self) -> stayline.Settings:
        """Its settings."""
        return self.sync.settings

    @property
    def state(self) -> _State:
        """``idle``, ``connecting``, ``connected``, ``reconnecting`` or ``closed``."""
        return "idle" if self._sync is None else self._sync.state

    @property
    def buffered(self) -> int:
        """Events not yet written to a link."""
        return self.sync.buffered

    @property
    def unacknowledged(self) -> int:
        """Events written and not yet acknowledged."""
        return self.sync.unacknowledged

    @property
    def attempts(self) -> int:
        """Connection attempts so far."""
        return self.sync.attempts

    @property
    def reconnects(self) -> int:
        """How often it came back after a disconnect."""
        return self.sync.reconnects

    async def wait_connected(self, timeout: Seconds | None = None) -> None:
        """Waits for the connection. Raises ``Disconnected`` when it gave up, ``Timeout``."""
        sync = self.sync
        look = lambda: sync.poll_connected() or None  # noqa: E731
        if await found(sync._waiting_for_changes, look, timeout) is None:
            raise stayline.Timeout("it has not connected in time")

    # --- events ---------------------------------------------------------------------------------

    async def send(
        self,
        event_type: str,
        data: Any = None,
        *,
        raw_data: str | None = None,
        droppable: bool = False,
        timestamp: _Moment | None = None,
    ) -> None:
        """Sends an event; ``data`` is anything that JSON can say, ``raw_data`` JSON text.

        Never loses silently (R40). When the buffer is full and the policy is to wait, it waits up
        to ``send_timeout_ms``, then raises ``Full`` (R44). When that wait is cancelled the event
        was not taken; only a durable outbox that is writing it just then keeps it.
        """
        sync = self.sync
        event = _Event(sync, event_type, data, raw_data, droppable, timestamp)
        limit = timedelta(milliseconds=sync.settings.send_timeout_ms)
        if self._is_durable:
            event.encode()
            sent = await found_later(sync._waiting_for_changes, event.offer_on_a_thread, limit)
        else:
            sent = await found(sync._waiting_for_changes, event.offer, limit)
        if sent is None:
            raise event.full

    async def try_send(
        self,
        event_type: str,
        data: Any = None,
        *,
        raw_data: str | None = None,
        droppable: bool = False,
        timestamp: _Moment | None = None,
    ) -> None:
        """The same without ever waiting for room: ``Full`` at once."""
        event = _Event(self.sync, event_type, data, raw_data, droppable, timestamp)
        if self._is_durable:
            event.encode()
        if await self._done(event.offer) is None:
            raise event.full

    # --- how it ends ----------------------------------------------------------------------------

    async def complete(
        self, exit_code: int = 0, *, branch: str | None = None, timeout: Seconds | None = None
    ) -> Ended:
        """The run is complete: sends ``complete``, drains, and returns how it ended.

        ``Timeout`` when the time (seconds) is over before. Then, and when it is cancelled, the
        ending is under way all the same: ask ``outcome``.
        """
        sync = self.sync
        return await self._ended(
            lambda: sync.complete(exit_code, branch=branch, timeout=0), timeout
        )

    async def fail(
        self, error: str, *, exit_code: int | None = None, timeout: Seconds | None = None
    ) -> Ended:
        """The run failed: sends a fatal ``error``, drains, and returns how it ended.

        ``exit_code``, where there is one, is stored with it.
        """
        sync = self.sync
        return await self._ended(lambda: sync.fail(error, exit_code=exit_code, timeout=0), timeout)

    async def interrupted(
        self,
        reason: str | None = None,
        *,
        exit_code: int | None = None,
        timeout: Seconds | None = None,
    ) -> Ended:
        """The run was stopped: sends ``interrupted``, drains, and returns how it ended.

        ``exit_code``, where there is one, is stored with it.
        """
        sync = self.sync
        return await self._ended(
            lambda: sync.interrupted(reason, exit_code=exit_code, timeout=0), timeout
        )

    async def outcome(self, timeout: Seconds | None = None) -> Ended:
        """Waits for how the execution ended, whoever ends it.

        Raises ``Disconnected`` when the wrapper gave up, ``Superseded`` when another one took
        over, ``Timeout``.
        """
        sync = self.sync
        ended = await found(sync._waiting_for_changes, sync.poll_outcome, timeout)
        if ended is None:
            raise stayline.Timeout("how it ended was not known in time")
        return ended

    def poll_connected(self) -> bool:
        """Looks without waiting: whether it is connected; raises as ``wait_connected`` does."""
        return self.sync.poll_connected()

    def poll_outcome(self) -> Ended | None:
        """Looks without waiting: how it ended; raises as ``outcome`` does."""
        return self.sync.poll_outcome()

    # --- jobs and turns -------------------------------------------------------------------------

    async def start_job(
        self,
        *,
        agent_session: str | None = None,
        tasks: Sequence[str] | None = None,
        branch: str | None = None,
    ) -> None:
        """Begins a job for this execution (R49). Raises ``JobConflict``."""
        sync = self.sync
        await self._done(
            lambda: sync.start_job(agent_session=agent_session, tasks=tasks, branch=branch)
        )

    async def begin_turn(self) -> str:
        """A prompt goes to the agent: returns the message id for it (R49, R50)."""
        return await self._done(self.sync.begin_turn)

    async def agent_event(self, event_type: str, properties: Any = None) -> None:
        """An event of the agent's own feed, in the ``kilo`` dialect."""
        sync = self.sync
        # On a thread they are read later; the host may change them meanwhile.
        kept = copy.deepcopy(properties) if self._is_durable else properties
        await self._done(lambda: sync.agent_event(event_type, kept))

    async def idle(self) -> None:
        """The run is idle: runs the tasks, completes, drains (R51)."""
        await self._done(self.sync.idle)

    async def task_done(self, name: str, ok: bool = True) -> None:
        """A post-completion task that ``RunTask`` asked for has ended (R51)."""
        sync = self.sync
        await self._done(lambda: sync.task_done(name, ok))

    async def aborted(self) -> None:
        """The agent was stopped, as ``Kill`` asked for (R52)."""
        await self._done(self.sync.aborted)

    # --- signals --------------------------------------------------------------------------------

    def signals(self, timeout: Seconds | None = None) -> Signals:
        """What the host has to know, as it comes, for ``async for``: ``Kill`` and the others.

        Waits up to ``timeout`` seconds for each; ends after the last one, or quietly when none
        came.
        """
        seconds(timeout)
        return Signals(self.sync, timeout)

    def try_signal(self) -> _Signal | None:
        """The next signal without waiting; ``None``: nothing now."""
        return self.sync.try_signal()

    def on_kill(self, callback: Callable[[Kill], object]) -> None:
        """Calls ``callback(kill)`` on this event loop for each ``Kill`` from now on.

        It may be a coroutine function. ``signals`` gives them all the same.
        """
        loop = asyncio.get_running_loop()

        def call(kill: Kill) -> None:
            task = loop.create_task(_call_back(callback, kill))
            self._callbacks.add(task)
            task.add_done_callback(self._callbacks.discard)

        self.sync.on_kill(lambda kill: loop.call_soon_threadsafe(call, kill))

    # --- closing --------------------------------------------------------------------------------

    async def close(self) -> int:
        """Closes it and gives up what is unacknowledged; returns how many events (R42)."""
        if self._sync is None:
            return 0
        return await called(self._sync.close)

    async def _open(self) -> Wrapper:
        if self._sync is None:
            self._sync = await called(self._make, undo=lambda opened: opened.close())
        return self

    def __await__(self) -> Generator[Any, Any, Wrapper]:
        return self._open().__await__()

    async def __aenter__(self) -> Wrapper:
        await self._open()
        if not self.sync._retries_first():
            try:
                # Bounded by the machine: the first connection fails fast (R48).
                await self.wait_connected()
            except BaseException:
                await self.close()
                raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                await self._drained()
            else:
                await self._tell_raised(error)
        finally:
            await self.close()

    async def _tell_raised(self, error: BaseException) -> None:
        """Ends the run for a block that an exception left, and waits for its ending (R51a)."""
        sync = self.sync
        try:
            patience = await self._done(lambda: sync._raised(error))
            if patience is None:
                await self._drained()
            elif await found(sync._waiting_for_changes, sync.poll_outcome, patience) is None:
                note_untold(error)
        except stayline.Error as gone:
            # The exception of the block is what its caller has to see.
            logger.debug("how the run ended is not known: %r", gone)

    async def _drained(self) -> None:
        """Waits until nothing is left to be sent or acknowledged, or it is closed."""
        sync = self.sync

        def look() -> bool | None:
            is_empty = sync.buffered + sync.unacknowledged == 0
            return True if is_empty or sync.state == "closed" else None

        limit = timedelta(milliseconds=sync.settings.ack_timeout_ms)
        await found(sync._waiting_for_changes, look, limit)

    async def _ended(self, say: Callable[[], Ended], timeout: Seconds | None) -> Ended:
        seconds(timeout)

        def end() -> Ended | None:
            try:
                return say()
            except stayline.Timeout:
                # It was said; how it ends is not known yet.
                return None

        ended = await self._done(end)
        return ended if ended is not None else await self.outcome(timeout)

    @property
    def _is_durable(self) -> bool:
        return self.sync.settings.outbox != "memory"

    async def _done(self, call: Callable[[], T]) -> T:
        """Makes a call that hands something over; a durable outbox writes it to its file."""
        return await called(call) if self._is_durable else call()

    def __repr__(self) -> str:
        if self._sync is None:
            return f"<stayline.aio.Wrapper of {self._execution_id!r}, not open>"
        return f"<stayline.aio view of {self._sync!r}>"


class _Event:
    """An event on its way into the outbox, offered until there is room for it."""

    def __init__(
        self,
        sync: stayline.Wrapper,
        event_type: str,
        data: Any,
        raw_data: str | None,
        droppable: bool,
        timestamp: _Moment | None,
    ) -> None:
        self._sync = sync
        self._event_type = event_type
        self._data = data
        self._raw_data = raw_data
        self._droppable = droppable
        self._timestamp = timestamp
        self.full: stayline.Error = stayline.Timeout("there was no room in time")

    def encode(self) -> None:
        """Turns the data into JSON: once, and as they are now. Raises ``InvalidEvent``."""
        # Data beside raw data are refused where the event is offered.
        if self._data is not None and self._raw_data is None:
            self._raw_data, self._data = _to_json(self._data), None

    def offer(self) -> bool | None:
        """Whether it was taken; ``None``: there is no room."""
        try:
            self._sync.try_send(
                self._event_type,
                self._data,
                raw_data=self._raw_data,
                droppable=self._droppable,
                timestamp=self._timestamp,
            )
        except stayline.Full as full:
            self.full = full
            self.encode()
            return None
        return True

    async def offer_on_a_thread(self) -> bool | None:
        """The same, for an outbox that writes it to a file."""
        return await called(self.offer)


async def _call_back(callback: Callable[[Kill], object], kill: Kill) -> None:
    try:
        result = callback(kill)
        if inspect.isawaitable(result):
            awaitable: Awaitable[object] = result
            await awaitable
    except Exception:
        logger.exception("on_kill raised")
