"""The state of one running scenario: time, both ends, and the books of what was seen.

Every book answers "since the last look": outputs are taken from the driver after every step and
kept here, per link, attempt, wrapper or subscriber, until an expectation takes them all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .drivers import Driver, OperationError
from .format import Scenario
from .network import DROPPED, Connection, Network

__all__ = ["START", "LinkEnd", "World", "WrapperEnd"]

#: The moment at which every scenario begins, ms.
START = 1_700_000_000_000


@dataclass
class LinkEnd:
    """One ingest link at the coordinator."""

    handle: str
    frames: list[Any] = field(default_factory=list)
    #: How it ended; `None` while it is open.
    ended: tuple[int, str] | None = None
    #: The coordinator's own close was taken, or the socket is gone: nothing comes out any more.
    silent: bool = False


@dataclass
class WrapperEnd:
    """One wrapper by name, through all its processes."""

    name: str
    #: The present process's machine; `None` before the first and after a crash.
    handle: str | None = None
    processes: int = 0
    #: Connection attempts of all processes.
    attempts: int = 0
    #: The machine's own attempt numbers, by ours, of the present process.
    own_attempts: dict[int, int] = field(default_factory=dict)
    sent: dict[int, list[Any]] = field(default_factory=dict)
    told: list[Any] = field(default_factory=list)


class World:
    """One scenario's coordinator, wrappers and network, driven through `driver`."""

    def __init__(self, scenario: Scenario, driver: Driver, location: str, outbox: str) -> None:
        self.scenario = scenario
        self.driver = driver
        #: The coordinator's settings at its next opening, and those of the next wrapper process.
        self.settings = dict(scenario.settings)
        self.wrapper_settings = dict(scenario.wrapper_settings)
        self.now = START
        self.network = Network(self)
        self.wrappers: dict[str, WrapperEnd] = {}
        self.tokens: dict[tuple[str, str], str | None] = {}
        self.streams: dict[str, list[Any]] = {}
        self._ended_streams: set[str] = set()
        self._location = location
        self._outbox = outbox
        self._links: dict[tuple[str, str], LinkEnd] = {}
        self._links_by_handle: dict[str, LinkEnd] = {}
        self._attempts: dict[tuple[str, str, str | None], int] = {}

    # The coordinator.

    def open(self, fresh: bool) -> None:
        """Opens the coordinator on its store, an empty one if `fresh`."""
        self.driver.call(
            "open",
            location=self._location,
            settings=dict(self.settings),
            now=self.now,
            fresh=fresh,
        )

    def lose_coordinator(self) -> None:
        """The coordinator's process dies: links and subscribers are gone at once."""
        self.collect()
        self.driver.call("abandon")
        for link in self._links_by_handle.values():
            link.ended = link.ended or (DROPPED, "")
            link.silent = True
        self._ended_streams.update(self.streams)
        self.network.coordinator_lost()

    def next_attempt(
        self, session: str, execution: str, producer: str | None, given: int | None
    ) -> int:
        """The number of an attempt that the scenario makes itself: they count up."""
        key = (session, execution, producer)
        number = self._attempts.get(key, 0) + 1 if given is None else given
        self._attempts[key] = max(self._attempts.get(key, 0), number)
        return number

    def attach(
        self,
        session: str,
        name: str,
        execution: str,
        token: str | None,
        protocol: int | None,
        producer: str | None,
        attempt: int | None,
    ) -> LinkEnd:
        """Attaches a link and gives it its name, which an earlier one loses."""
        handle = f"{name}#{len(self._links_by_handle) + 1}"
        self.driver.call(
            "attach",
            link=handle,
            session=session,
            execution=execution,
            token=token,
            acknowledged=protocol == 2,
            producer=producer,
            attempt=attempt,
        )
        link = LinkEnd(handle)
        self._links_by_handle[handle] = link
        # The last of its name also becomes the last in order.
        self._links.pop((session, name), None)
        self._links[session, name] = link
        return link

    def link(self, session: str | None, name: str) -> LinkEnd | None:
        """The newest link of that name: in the session, or in the default one, or in any."""
        if session is not None:
            return self._links.get((session, name))
        if ("s", name) in self._links:
            return self._links["s", name]
        found = [link for (_, of_name), link in self._links.items() if of_name == name]
        return found[-1] if found else None

    def close_link(self, link: LinkEnd, code: int, reason: str) -> None:
        """The socket of a link is gone."""
        # What was sent before is still what it was sent.
        self.collect()
        link.ended = link.ended or (code, reason)
        link.silent = True
        self._hand_over(link, "link_closed", code=code, reason=reason)

    def receive(self, link: LinkEnd, text: str) -> None:
        """One text frame arrives."""
        self._hand_over(link, "receive", text=text)

    def receive_binary(self, link: LinkEnd, size: int) -> None:
        """One binary frame arrives."""
        self._hand_over(link, "receive_binary", bytes=size)

    def _hand_over(self, link: LinkEnd, operation: str, **content: Any) -> None:
        """What comes too late for the coordinator is ignored by it (R26), and a failed commit is
        told on the link (R27, R28): neither is an error of the sender."""
        try:
            self.driver.call(operation, link=link.handle, **content)
        except OperationError as error:
            if error.name not in ("Closed", "StoreError"):
                raise

    def collect(self) -> None:
        """Takes into the books what links and streams put out."""
        for link in self._links_by_handle.values():
            if not link.silent:
                self._collect_link(link)
        for name, records in self.streams.items():
            if name not in self._ended_streams:
                taken = self.driver.call("stream_records", stream=name)
                records.extend(taken["records"])
                if taken["ended"]:
                    self._ended_streams.add(name)

    def _collect_link(self, link: LinkEnd) -> None:
        for output in self.driver.call("link_outputs", link=link.handle):
            if "send" in output:
                link.frames.append(json.loads(output["send"]))
                self.network.send_to_wrapper(link.handle, output["send"])
            else:
                code, reason = output["close"]["code"], output["close"]["reason"]
                link.ended = link.ended or (code, reason)
                link.silent = True
                self.network.close_from_coordinator(link.handle, code, reason)

    def subscribe(self, name: str, **arguments: Any) -> None:
        """Begins a stream; an earlier one of that name is forgotten."""
        self.driver.call("subscribe", stream=name, **arguments)
        self.streams[name] = []
        self._ended_streams.discard(name)

    # Wrappers.

    def wrapper(self, name: str) -> WrapperEnd:
        """The wrapper of that name, whether it has a process or not."""
        return self.wrappers.setdefault(name, WrapperEnd(name))

    def wrapper_call(self, end: WrapperEnd, operation: str, **arguments: Any) -> Any:
        """An input to a wrapper's machine, which is made at the first one."""
        handle = end.handle or self.new_process(end)
        try:
            return self.driver.call(operation, wrapper=handle, now=self.now, **arguments)
        finally:
            self.drain(end)

    def new_process(self, end: WrapperEnd) -> str:
        """A new wrapper process, with a machine of its own; its handle."""
        end.processes += 1
        handle = f"{end.name}#{end.processes}"
        settings = dict(self.wrapper_settings)
        if self.scenario.needs_durable_outbox:
            settings["outbox"] = f"{self._outbox}/{end.name}.outbox"
        # Two processes never share their luck, nor their producer's id.
        digest = hashlib.sha256(f"{self.scenario.name}/{handle}".encode()).hexdigest()
        self.driver.call("w_new", wrapper=handle, settings=settings, seed=digest[:32])
        end.handle = handle
        end.own_attempts = {}
        return handle

    def crash_wrapper(self, end: WrapperEnd) -> None:
        """Its process dies."""
        if end.handle is not None:
            self.driver.call("w_drop", wrapper=end.handle)
            end.handle = None
            end.own_attempts = {}
        self.network.crash(end.name)

    def drain(self, end: WrapperEnd) -> None:
        """Takes what a machine wants done: into the books, and onto the network."""
        if end.handle is None:
            return
        for action in self.driver.call("w_poll", wrapper=end.handle):
            kind, content = next(iter(action.items()))
            if kind == "tell":
                end.told.append(content)
                continue
            if kind == "connect":
                end.attempts += 1
                end.own_attempts[end.attempts] = content["attempt"]
                end.sent[end.attempts] = []
                self.network.connect(
                    end.name, end.attempts, content.get("protocol"), content.get("producer")
                )
                continue
            attempt = self._our_attempt(end, content["attempt"])
            if kind == "write":
                end.sent[attempt].append(json.loads(content["text"]))
                self.network.write(end.name, attempt, content["text"])
            else:
                self.network.close_from_wrapper(
                    end.name, attempt, content["code"], content["reason"]
                )

    def _our_attempt(self, end: WrapperEnd, own: int) -> int:
        for ours, of_machine in end.own_attempts.items():
            if of_machine == own:
                return ours
        raise OperationError("Panic", f"the wrapper speaks of attempt {own}, never begun", {})

    def wrapper_attempt_call(
        self, end: WrapperEnd, attempt: int | None, operation: str, **arguments: Any
    ) -> None:
        """An input that belongs to an attempt, by default the newest. What belongs to a process
        that has died reaches nobody."""
        ours = end.attempts if attempt is None else attempt
        if not 1 <= ours <= end.attempts:
            raise OperationError("Panic", "this attempt was never begun", {})
        own = end.own_attempts.get(ours)
        if own is not None:
            self.wrapper_call(end, operation, attempt=own, **arguments)

    # The ends, as the network sees them.

    def network_attach(self, connection: Connection) -> str:
        """Attaches a wrapper's attempt."""
        link = self.attach(
            connection.session,
            connection.wrapper,
            connection.execution,
            self.tokens.get((connection.session, connection.execution)),
            connection.protocol,
            connection.producer if connection.protocol == 2 else None,
            connection.attempt if connection.protocol == 2 else None,
        )
        return link.handle

    def network_receive(self, link: str, text: str) -> None:
        """Hands a frame to the coordinator."""
        self.receive(self._links_by_handle[link], text)

    def network_link_closed(self, link: str, code: int, reason: str) -> None:
        """Tells the coordinator that a link is gone."""
        self.close_link(self._links_by_handle[link], code, reason)

    def network_opened(self, connection: Connection) -> None:
        """Tells a wrapper that its attempt is answered."""
        self._network_input(connection, "w_opened", protocol=connection.protocol)

    def network_refused(self, connection: Connection, refused: Mapping[str, Any]) -> None:
        """Tells a wrapper that its attempt has failed."""
        answer = {"status": None, "refusal": None, "execution_status": None, **refused}
        self._network_input(connection, "w_refused", **answer)

    def network_frame(self, connection: Connection, text: str) -> None:
        """Hands a frame to a wrapper."""
        self._network_input(connection, "w_frame", text=text)

    def network_closed(self, connection: Connection, code: int, reason: str) -> None:
        """Tells a wrapper that its connection is gone."""
        self._network_input(connection, "w_closed", code=code, reason=reason)

    def _network_input(self, connection: Connection, operation: str, **arguments: Any) -> None:
        end = self.wrapper(connection.wrapper)
        self.wrapper_attempt_call(end, connection.attempt, operation, **arguments)
