"""The simulated network between paired wrappers and the coordinator.

Whatever one end sends is *in flight*, in one queue for all, until `Network.deliver` hands it over
together with what it causes, until nothing is in flight any more. A connection belongs to one
attempt of one wrapper process and never comes back: the next attempt is another connection.

Going wrong is the point of it. `cut` drops a connection for both ends and loses what was under
way; a `black_hole` swallows bytes and tells nobody; `refuse` answers handshakes with a refusal;
and while the coordinator is down every handshake fails at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .drivers import OperationError

__all__ = ["Connection", "Ends", "Network", "Pairing"]

DROPPED = 1006

#: More deliveries than this at one moment mean that the two ends keep each other busy for ever.
_MOST_DELIVERIES = 200_000

#: What the built-in server answers to an attach that is refused (R25). Any other error is none of
#: our refusals: the attempt has failed, no more (R46).
_REFUSALS: Mapping[str, tuple[int, str]] = {
    "NotFound": (404, "not_found"),
    "Unauthorized": (401, "unauthorized"),
    "ExecutionNotActive": (409, "not_active"),
    "Superseded": (409, "superseded"),
    "InvalidArgument": (400, "bad_request"),
}


@dataclass
class Pairing:
    """Where the attempts of one wrapper go."""

    session: str
    execution: str
    black_hole: bool = False
    #: Refusals still to be given: how many, and as what.
    refusals: int = 0
    refusal: Mapping[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Connection:
    """One attempt of one wrapper process, from its handshake on."""

    wrapper: str
    attempt: int
    pairing: Pairing
    session: str
    execution: str
    protocol: int | None
    producer: str | None
    #: The coordinator's end; `None` until it has accepted.
    link: str | None = None
    #: The wrapper knows that it is up.
    opened: bool = False
    #: It carries nothing any more and nobody is told.
    swallowed: bool = False
    wrapper_gone: bool = False
    coordinator_gone: bool = False


@dataclass(frozen=True, eq=False)
class _Flight:
    """One thing in flight."""

    connection: Connection
    to_coordinator: bool
    #: handshake, frame or closed towards the coordinator; opened, refused, frame or closed back.
    kind: str
    content: Any = None


class Ends(Protocol):
    """The two ends, as the network sees them."""

    def network_attach(self, connection: Connection) -> str:
        """Attaches; the link's handle. `OperationError` when the coordinator refuses."""

    def network_receive(self, link: str, text: str) -> None:
        """A frame reaches the coordinator."""

    def network_link_closed(self, link: str, code: int, reason: str) -> None:
        """The coordinator learns that a link is gone."""

    def network_opened(self, connection: Connection) -> None:
        """The wrapper's attempt is answered."""

    def network_refused(self, connection: Connection, refused: Mapping[str, Any]) -> None:
        """The wrapper's attempt has failed."""

    def network_frame(self, connection: Connection, text: str) -> None:
        """A frame reaches the wrapper."""

    def network_closed(self, connection: Connection, code: int, reason: str) -> None:
        """The wrapper learns that its connection is gone."""

    def collect(self) -> None:
        """Takes what the coordinator has to send; it comes back through `send_to_wrapper` and
        `close_from_coordinator`."""


class Network:
    """All connections, and what is in flight on them."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._pairings: dict[str, Pairing] = {}
        self._connections: list[Connection] = []
        self._flights: deque[_Flight] = deque()
        #: The coordinator is down: handshakes fail.
        self.down = False

    def pair(self, wrapper: str, session: str, execution: str) -> None:
        """From now on the wrapper's attempts go to this execution."""
        pairing = self._pairings.setdefault(wrapper, Pairing(session, execution))
        pairing.session, pairing.execution = session, execution

    # What the ends send.

    def connect(
        self, wrapper: str, attempt: int, protocol: int | None, producer: str | None
    ) -> None:
        """A wrapper begins an attempt. Unpaired, that is the scenario's affair."""
        pairing = self._pairings.get(wrapper)
        if pairing is None:
            return
        connection = Connection(
            wrapper,
            attempt,
            pairing,
            pairing.session,
            pairing.execution,
            protocol,
            producer,
        )
        self._connections.append(connection)
        connection.swallowed = pairing.black_hole
        self._send(connection, True, "handshake")

    def write(self, wrapper: str, attempt: int, text: str) -> None:
        """A wrapper writes a frame."""
        for connection in self._of(wrapper, attempt):
            self._send(connection, True, "frame", text)

    def close_from_wrapper(self, wrapper: str, attempt: int, code: int, reason: str) -> None:
        """A wrapper closes; what it wrote before still arrives. An attempt that was not answered
        yet has never been."""
        for connection in self._of(wrapper, attempt):
            if connection.wrapper_gone:
                continue
            connection.wrapper_gone = True
            if connection.link is None:
                self._lose(connection, lambda flight: True)
            else:
                self._send(connection, True, "closed", (code, reason))

    def send_to_wrapper(self, link: str, text: str) -> None:
        """The coordinator sends a frame on a link."""
        for connection in self._with_link(link):
            self._send(connection, False, "frame", text)

    def close_from_coordinator(self, link: str, code: int, reason: str) -> None:
        """The coordinator closes a link."""
        for connection in self._with_link(link):
            self._send(connection, False, "closed", (code, reason))

    def _send(
        self, connection: Connection, to_coordinator: bool, kind: str, content: Any = None
    ) -> None:
        if not connection.swallowed:
            self._flights.append(_Flight(connection, to_coordinator, kind, content))

    # What goes wrong.

    def refuse(self, wrapper: str, times: int, refused: Mapping[str, Any]) -> None:
        """The next attempts fail."""
        for pairing in self._chosen(wrapper):
            pairing.refusals = times
            pairing.refusal = refused

    def black_hole(self, wrapper: str, on: bool) -> None:
        """Bytes vanish. What was up when it began never carries anything again."""
        for pairing in self._chosen(wrapper):
            pairing.black_hole = on
            for connection in self._connections:
                if on and connection.pairing is pairing:
                    connection.swallowed = True
                    self._lose(connection, lambda flight: True)

    def cut(self, wrapper: str, code: int, lose: int | None) -> None:
        """The connection drops for both ends. The wrapper knows at once; the coordinator behind
        the frames that still arrive, at once where there are none."""
        chosen = list(self._chosen(wrapper))
        for connection in list(self._connections):
            if connection.pairing in chosen:
                self._drop(connection, code, lose)
                self._tell_wrapper(connection, code)

    def crash(self, wrapper: str) -> None:
        """The wrapper's process dies. What it had written arrives, then the coordinator's end
        drops."""
        for connection in list(self._connections):
            if connection.wrapper == wrapper:
                if not connection.swallowed:
                    self._drop(connection, DROPPED, 0)
                connection.wrapper_gone = True

    def coordinator_lost(self) -> None:
        """The coordinator is gone: nothing in flight arrives, wrappers see 1006."""
        self.down = True
        self._flights.clear()
        for connection in list(self._connections):
            connection.coordinator_gone = True
            if not connection.swallowed:
                self._tell_wrapper(connection, DROPPED)

    def _drop(self, connection: Connection, code: int, lose: int | None) -> None:
        """The coordinator's side of a dropped connection."""
        frames = [
            flight
            for flight in self._flights
            if flight.connection is connection and flight.to_coordinator and flight.kind == "frame"
        ]
        arriving = frames[: 0 if lose is None else max(0, len(frames) - lose)]
        self._lose(connection, lambda flight: flight not in arriving)
        if connection.link is None:
            connection.coordinator_gone = True
        elif arriving:
            self._flights.append(_Flight(connection, True, "closed", (code, "")))
        else:
            self._coordinator_closed(connection, code, "")

    def _tell_wrapper(self, connection: Connection, code: int) -> None:
        if connection.wrapper_gone:
            return
        connection.wrapper_gone = True
        if connection.opened:
            self._ends.network_closed(connection, code, "")
        else:
            self._ends.network_refused(connection, {})

    def _lose(self, connection: Connection, lost: Any) -> None:
        self._flights = deque(
            flight
            for flight in self._flights
            if flight.connection is not connection or not lost(flight)
        )

    # Delivery.

    def deliver(self) -> bool:
        """Delivers all that is in flight and what it causes; whether there was anything."""
        deliveries = 0
        self._ends.collect()
        while self._flights:
            flight = self._flights.popleft()
            if flight.to_coordinator:
                self._deliver_to_coordinator(flight)
                self._ends.collect()
            else:
                self._deliver_to_wrapper(flight)
            deliveries += 1
            if deliveries > _MOST_DELIVERIES:
                raise OperationError("Panic", "the network is never still", {})
        self._connections = [
            connection
            for connection in self._connections
            if not (
                connection.wrapper_gone and (connection.coordinator_gone or connection.swallowed)
            )
        ]
        return deliveries > 0

    def _deliver_to_coordinator(self, flight: _Flight) -> None:
        connection = flight.connection
        if flight.kind == "handshake":
            self._deliver_handshake(connection)
        elif connection.link is None or connection.coordinator_gone:
            return
        elif flight.kind == "frame":
            self._ends.network_receive(connection.link, flight.content)
        else:
            self._coordinator_closed(connection, *flight.content)

    def _deliver_handshake(self, connection: Connection) -> None:
        pairing = connection.pairing
        if self.down:
            self._answer(connection, "refused", {})
        elif pairing.refusals > 0:
            pairing.refusals -= 1
            self._answer(connection, "refused", pairing.refusal)
        else:
            try:
                connection.link = self._ends.network_attach(connection)
            except OperationError as error:
                status, refusal = _REFUSALS.get(error.name, (503, None))
                refused = {"status": status, "refusal": refusal}
                if error.name == "ExecutionNotActive":
                    refused["execution_status"] = error.fields.get("status")
                self._answer(connection, "refused", refused)
            else:
                self._answer(connection, "opened", None)

    def _answer(self, connection: Connection, kind: str, content: Any) -> None:
        if kind == "refused":
            connection.coordinator_gone = True
        self._send(connection, False, kind, content)

    def _deliver_to_wrapper(self, flight: _Flight) -> None:
        connection = flight.connection
        if connection.wrapper_gone:
            return
        if flight.kind == "opened":
            connection.opened = True
            self._ends.network_opened(connection)
        elif flight.kind == "frame":
            self._ends.network_frame(connection, flight.content)
        elif flight.kind == "refused":
            connection.wrapper_gone = True
            self._ends.network_refused(connection, flight.content)
        else:
            connection.wrapper_gone = True
            code, reason = flight.content
            self._ends.network_closed(connection, code, reason)
            # The answer to a close comes behind what the wrapper had under way.
            self._send(connection, True, "closed", (code, reason))

    def _coordinator_closed(self, connection: Connection, code: int, reason: str) -> None:
        if connection.link is not None and not connection.coordinator_gone:
            connection.coordinator_gone = True
            self._ends.network_link_closed(connection.link, code, reason)

    # Finding.

    def _chosen(self, wrapper: str) -> Iterator[Pairing]:
        """The wrapper's pairing; where it has none, all there are."""
        if wrapper in self._pairings:
            yield self._pairings[wrapper]
        else:
            yield from self._pairings.values()

    def _of(self, wrapper: str, attempt: int) -> list[Connection]:
        return [
            connection
            for connection in self._connections
            if connection.wrapper == wrapper and connection.attempt == attempt
        ]

    def _with_link(self, link: str) -> list[Connection]:
        return [connection for connection in self._connections if connection.link == link]
