"""What the store says: read from the file, beside the coordinator that owns it."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from dataclasses import dataclass

import stayline


@dataclass(frozen=True)
class Evidence:
    """One execution as it is in the store."""

    status: str
    error: str | None
    reconnects: int
    #: How often each type of event is there.
    types: Counter[str]
    #: The lines of its stdout, in the order of the log.
    lines: list[bytes]
    #: Events between its end and what is later in the log: there must be none.
    after_the_end: int

    @property
    def sha256(self) -> str:
        """Of the stored output, put together again."""
        return hashlib.sha256(b"".join(self.lines)).hexdigest()

    @property
    def endings(self) -> int:
        """Events that say that it ended."""
        return sum(self.types[name] for name in ("complete", "interrupted", "wrapper_disconnected"))

    def lost(self, sent: list[bytes]) -> int:
        """Lines that were printed and are not there."""
        return len(set(sent) - set(self.lines))

    def duplicated(self) -> int:
        """Lines that are there more than once."""
        return len(self.lines) - len(set(self.lines))


def execution_of(store: str, session_id: str) -> str | None:
    """The newest execution of a session, if there is one."""
    with stayline.Coordinator(store, read_only=True) as coordinator:
        try:
            newest = coordinator.session(session_id).executions(limit=1)
        except stayline.NotFound:
            return None
        return newest[0].id if newest else None


def status_of(store: str, session_id: str, execution_id: str) -> str:
    """An execution's status."""
    with stayline.Coordinator(store, read_only=True) as coordinator:
        return coordinator.session(session_id).execution(execution_id).status


def read(store: str, session_id: str, execution_id: str) -> Evidence:
    """All there is to know about one execution."""
    types: Counter[str] = Counter()
    lines: list[bytes] = []
    after_the_end = 0
    with stayline.Coordinator(store, read_only=True) as coordinator:
        session = coordinator.session(session_id)
        execution = session.execution(execution_id)
        for event in session.events(executions=[execution_id]):
            after_the_end += types["complete"] + types["wrapper_disconnected"] > 0
            types[event.type] += 1
            if event.type == "output" and event.data.get("stream") != "stderr":
                lines.append(_line(event.data))
        return Evidence(
            execution.status, execution.error, execution.reconnects, types, lines, after_the_end
        )


def _line(data: dict[str, str]) -> bytes:
    """A line as it was printed. Bytes that are no UTF-8 are there as base64."""
    exact = data.get("base64")
    text = base64.b64decode(exact) if exact is not None else data["text"].encode()
    return text + b"\n"
