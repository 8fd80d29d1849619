"""A wrapper and a coordinator for tests, joined by a network that can be made to fail.

Both ends are the real ones: the coordinator with its store, and the wrapper as the sans-IO machine
that a connected wrapper runs inside. Between them stands the simulated network of the scenario
files, and time is a `ManualClock`, so a test of an hour of disconnects takes a millisecond and goes
the same way each time::

    with stayline.Coordinator("memory:", clock=clock) as coordinator:
        pair = WrapperPair(coordinator, clock)
        pair.send("output", {"text": "hi"})
        pair.cut()
        pair.advance(1)                      # the first attempt to reconnect
        assert pair.signals == [stayline.Reconnecting(1), stayline.Reconnected()]

What either end sends is in flight until the next `advance` (``advance(0)`` will do), which delivers
it together with all that it causes.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any

import stayline
from stayline import sansio
from stayline._endings import raised

from .drivers import OperationError
from .network import Connection, Network

if TYPE_CHECKING:
    from stayline import Signal

__all__ = ["WrapperPair"]

#: The network tells its wrappers apart by name; here there is one.
_NAME = "wrapper"

#: More rounds than this at one moment mean that the two ends keep each other busy for ever.
_MOST_ROUNDS = 10_000


class WrapperPair:
    """One wrapper, the coordinator that owns its run, and the network between them.

    `coordinator` has to run on `clock`. The execution is started in `session_id` and, unless
    ``connect=False``, the wrapper is connected when this returns. `settings` are the wrapper's;
    by default the coordinator's own, without jitter, so that delays are exact. `active` is that of
    `stayline.Wrapper`: a host that gives turns itself sets it to false.
    """

    def __init__(
        self,
        coordinator: stayline.Coordinator,
        clock: stayline.ManualClock,
        *,
        session_id: str = "session",
        execution_id: str = "execution",
        settings: stayline.Settings | None = None,
        connect: bool = True,
        active: bool = True,
    ) -> None:
        self.coordinator = coordinator
        self.clock = clock
        #: The session in which the run is.
        self.session = coordinator.session(session_id)
        #: The run's id.
        self.execution_id = execution_id
        #: What the wrapper has told its host, in order; a test may clear it.
        self.signals: list[Signal] = []
        self._settings = settings or coordinator.settings.replace(jitter=0.0)
        self._active = active
        self._network = Network(_Ends(self))
        self._network.pair(_NAME, session_id, execution_id)
        self._token = self.session.start(execution_id).token
        self._links: dict[str, stayline.Link] = {}
        self._processes = 0
        self._machine: sansio.Wrapper | None = None
        if connect:
            self.open()
            self.advance(0)

    @property
    def wrapper(self) -> sansio.Wrapper:
        """The wrapper's machine, to ask and to drive. What it is told directly takes effect at the
        next `advance`."""
        if self._machine is None:
            raise RuntimeError("the wrapper has no process; open() starts one")
        return self._machine

    @property
    def execution(self) -> stayline.Execution:
        """The run as the coordinator has it now."""
        return self.session.execution(self.execution_id)

    @property
    def events(self) -> list[stayline.Event]:
        """All stored events of the run, in order."""
        return list(self.session.events(executions=[self.execution_id]))

    @property
    def now_ms(self) -> int:
        """The time of both ends."""
        return self.clock.now_ms

    # The wrapper.

    def open(self) -> None:
        """Starts the wrapper's process, a new one after `crash`, which begins to connect."""
        if self._machine is not None:
            raise RuntimeError("the wrapper's process runs already")
        self._processes += 1
        # Two processes never share their luck, nor their producer's id.
        self._machine = sansio.Wrapper(self._settings, seed=self._processes)
        self._machine.open(self.execution_id, self.now_ms)
        if self._active:
            # A kill is told to the host, which stops the agent.
            self._machine.start_job(self.execution_id, now_ms=self.now_ms)
            self._machine.begin_turn(self.now_ms)
        self._drain()

    def send(self, event_type: str, data: Any = None, *, droppable: bool = False) -> None:
        """The wrapper sends an event. `Full` and `InvalidEvent` as there (R40, R44)."""
        self.wrapper.send(event_type, data, now_ms=self.now_ms, droppable=droppable)
        self._drain()

    def complete(self, exit_code: int = 0, *, branch: str | None = None) -> None:
        """The wrapper ends the run as completed."""
        self.wrapper.complete(exit_code, now_ms=self.now_ms, branch=branch)
        self._drain()

    def fail(self, error: str, *, exit_code: int | None = None) -> None:
        """The wrapper ends the run as failed."""
        self.wrapper.fail(error, now_ms=self.now_ms, exit_code=exit_code)
        self._drain()

    def interrupted(self, reason: str | None = None, *, exit_code: int | None = None) -> None:
        """The wrapper ends the run as interrupted."""
        self.wrapper.interrupted(reason, now_ms=self.now_ms, exit_code=exit_code)
        self._drain()

    def __enter__(self) -> WrapperPair:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """As leaving a `stayline.Wrapper` does: an exception ends the run, and what is in flight
        arrives first."""
        if self._machine is None:
            return
        told = None if error is None else raised(error)
        if told is not None:
            # A run that has had its ending is left alone.
            with suppress(stayline.Error):
                self.wrapper._raised(*told, self.now_ms)
        self.advance(0)
        self.close()

    def close(self) -> int:
        """The wrapper's host closes it; how many events stayed unacknowledged (R42)."""
        left = self.wrapper.close(self.now_ms)
        self._drain()
        return left

    def crash(self) -> None:
        """The wrapper's process dies. What it had written arrives, then its link drops; what was
        only in its memory is gone."""
        self._machine = None
        self._network.crash(_NAME)

    # The network.

    def cut(self, *, code: int = 1006, lose: int | None = None) -> None:
        """The connection drops for both ends. Of the frames that the wrapper has in flight the
        last `lose` never arrive, by default none of them do."""
        self._network.cut(_NAME, code, lose)
        self._drain()

    def black_hole(self, on: bool = True) -> None:
        """Bytes vanish in both directions and nobody is told. A connection that was up when it
        began never carries anything again, also after ``black_hole(False)``."""
        self._network.black_hole(_NAME, on)

    def refuse(
        self,
        times: int = 1,
        *,
        status: int = 503,
        refusal: str | None = None,
        execution_status: str | None = None,
    ) -> None:
        """The next attempts to connect are refused with that HTTP status. Only with a `refusal`
        (the header ``Stayline-Refusal``: ``not_found``, ``unauthorized``, ``not_active``,
        ``superseded``, ``bad_request``) is that final (R46)."""
        answer = {"status": status, "refusal": refusal, "execution_status": execution_status}
        self._network.refuse(_NAME, times, answer)

    def advance(self, seconds: float | timedelta) -> None:
        """Time passes for both ends. Everything due on the way is done, each at its own moment:
        the wrapper first, then the network until it is still, then the coordinator."""
        span = seconds if isinstance(seconds, timedelta) else timedelta(seconds=seconds)
        target = self.now_ms + round(span / timedelta(milliseconds=1))
        while True:
            self._settle()
            if self.now_ms >= target:
                return
            moments = [self._wrapper_deadline(), self.clock.next_deadline_ms()]
            on_the_way = [at for at in moments if at is not None and at < target]
            self.clock.set(min(on_the_way, default=target))

    def _settle(self) -> None:
        """All that is due at this moment."""
        for _ in range(_MOST_ROUNDS):
            busy = self._handle_wrapper()
            busy = self._network.deliver() or busy
            deadline = self.clock.next_deadline_ms()
            if deadline is not None and deadline <= self.now_ms:
                self.clock.advance(0)
                busy = True
            if not busy:
                return
        raise RuntimeError(f"something is due again and again at {self.now_ms}")

    def _handle_wrapper(self) -> bool:
        deadline = self._wrapper_deadline()
        is_due = deadline is not None and deadline <= self.now_ms
        if is_due:
            self.wrapper.handle_timeout(self.now_ms)
        self._drain()
        return is_due

    def _wrapper_deadline(self) -> int | None:
        return None if self._machine is None else self._machine.next_deadline_ms()

    def _drain(self) -> None:
        """Takes what the machine wants done."""
        if self._machine is None:
            return
        while (action := self._machine.poll_action()) is not None:
            if isinstance(action, sansio.Connect):
                self._network.connect(
                    _NAME, self._number(action.attempt), action.protocol, action.producer
                )
            elif isinstance(action, sansio.Write):
                self._network.write(_NAME, self._number(action.attempt), action.text)
            elif isinstance(action, sansio.CloseAttempt):
                number = self._number(action.attempt)
                self._network.close_from_wrapper(_NAME, number, action.code, action.reason)
            else:
                self.signals.append(action)

    def _number(self, attempt: int) -> int:
        """The network's number for an attempt of the present process: a machine counts from one,
        and what belongs to a process that has died must not be taken for the next one's."""
        return self._processes * 1_000_000 + attempt

    def _attempt(self, connection: Connection) -> int | None:
        """The machine's own number; `None` for a process that has died."""
        process, attempt = divmod(connection.attempt, 1_000_000)
        return attempt if process == self._processes and self._machine is not None else None


class _Ends:
    """The two ends, as the network sees them."""

    def __init__(self, pair: WrapperPair) -> None:
        self._pair = pair

    def network_attach(self, connection: Connection) -> str:
        pair = self._pair
        attempt = connection.attempt % 1_000_000
        is_acknowledged = connection.protocol == 2
        try:
            link = pair.session.attach(
                pair.execution_id,
                token=pair._token,
                acknowledged=is_acknowledged,
                producer=connection.producer if is_acknowledged else None,
                attempt=attempt if is_acknowledged else None,
            )
        except stayline.Error as error:
            raise OperationError(error.name, str(error), dict(error.fields)) from error
        handle = str(connection.attempt)
        pair._links[handle] = link
        return handle

    def network_receive(self, link: str, text: str) -> None:
        # What comes too late is ignored (R26).
        if link in self._pair._links:
            self._pair._links[link].receive(text)

    def network_link_closed(self, link: str, code: int, reason: str) -> None:
        if link in self._pair._links:
            self._pair._links.pop(link).closed(code, reason)

    def network_opened(self, connection: Connection) -> None:
        attempt = self._pair._attempt(connection)
        if attempt is not None:
            self._pair.wrapper.handle_opened(attempt, connection.protocol, self._pair.now_ms)
            self._pair._drain()

    def network_refused(self, connection: Connection, refused: Mapping[str, Any]) -> None:
        attempt = self._pair._attempt(connection)
        if attempt is not None:
            self._pair.wrapper.handle_refused(
                attempt,
                self._pair.now_ms,
                http_status=refused.get("status"),
                refusal=refused.get("refusal"),
                execution_status=refused.get("execution_status"),
            )
            self._pair._drain()

    def network_frame(self, connection: Connection, text: str) -> None:
        attempt = self._pair._attempt(connection)
        if attempt is not None:
            self._pair.wrapper.handle_frame(attempt, text, self._pair.now_ms)
            self._pair._drain()

    def network_closed(self, connection: Connection, code: int, reason: str) -> None:
        attempt = self._pair._attempt(connection)
        if attempt is not None:
            self._pair.wrapper.handle_closed(attempt, code, reason, self._pair.now_ms)
            self._pair._drain()

    def collect(self) -> None:
        network = self._pair._network
        for handle, link in list(self._pair._links.items()):
            while (output := link.try_output()) is not None:
                if isinstance(output, stayline.Send):
                    network.send_to_wrapper(handle, output.text)
                else:
                    network.close_from_coordinator(handle, output.code, output.reason)
