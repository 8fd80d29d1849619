"""Runs that went in every way there is, for what draws and lists them. Time is virtual."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import stayline

SESSION = "shop:fix <tests> & more"


class Agent:
    """A wrapper in acknowledged mode over a link of our own."""

    def __init__(self, session: stayline.Session, clock: stayline.ManualClock, mode: str) -> None:
        self.execution = session.start(mode=mode)
        self._session = session
        self._clock = clock
        self._number = 0
        self._attempt = 0
        self._link: stayline.Link | None = None

    def attach(self) -> None:
        self._attempt += 1
        self._link = self._session.attach(
            self.execution.id,
            token=self.execution.token,
            acknowledged=True,
            producer=f"producer of {self.execution.id}",
            attempt=self._attempt,
        )

    def send(self, event_type: str, data: object = None, *, at_ms: int | None = None) -> None:
        self._number += 1
        assert self._link is not None
        self._link.receive(
            json.dumps(
                {
                    "streamEventType": event_type,
                    "timestamp": self._clock.now_ms if at_ms is None else at_ms,
                    "data": data or {},
                    "seq": self._number,
                }
            )
        )

    def work(self, seconds: int, events: int = 3) -> None:
        for second in range(seconds):
            for _ in range(events * (8 if second % 9 == 8 else 1)):
                self.send("output", {"text": f"step {self._number}"})
            self._clock.advance(1)

    def cut(self, seconds: int) -> None:
        assert self._link is not None
        self._link.closed(1006, "gone")
        self._clock.advance(seconds)


def completed(session: stayline.Session, clock: stayline.ManualClock) -> str:
    """Pending for 9 s, cut for 7 s, completed."""
    agent = Agent(session, clock, "code")
    clock.advance(9)
    agent.attach()
    agent.work(30)
    agent.cut(7)
    agent.attach()
    agent.work(20)
    agent.send("error", {"error": "tool call timed out", "fatal": False})
    agent.work(10)
    agent.send("complete", {"exitCode": 0})
    clock.advance(3)
    return agent.execution.id


def interrupted(session: stayline.Session, clock: stayline.ManualClock) -> str:
    """Asked to stop, and did."""
    agent = Agent(session, clock, "code")
    clock.advance(2)
    agent.attach()
    agent.work(12)
    session.interrupt(agent.execution.id)
    agent.send("interrupted", {"reason": "User interrupted"})
    clock.advance(3)
    return agent.execution.id


def failed_with_late_truth(session: stayline.Session, clock: stayline.ManualClock) -> str:
    """Cut and given up; its wrapper came back two minutes later (R10a)."""
    agent = Agent(session, clock, "debug")
    clock.advance(5)
    agent.attach()
    agent.work(20)
    agent.cut(15)
    clock.advance(120)
    agent.attach()
    for _ in range(30):
        agent.send("output", {"text": "more"})
    agent.send("complete", {"exitCode": 0})
    clock.advance(3)
    return agent.execution.id


def unfinished(session: stayline.Session, clock: stayline.ManualClock) -> str:
    """Running, and cut at this moment."""
    agent = Agent(session, clock, "code")
    clock.advance(2)
    agent.attach()
    agent.work(20)
    agent.cut(6)
    return agent.execution.id


@contextmanager
def everything(path: Path) -> Iterator[stayline.Session]:
    """A file with one run of each kind, oldest first as above."""
    clock = stayline.ManualClock(1_772_900_000_000)
    with stayline.Coordinator(f"sqlite:{path}", clock=clock) as coordinator:
        session = coordinator.session(SESSION)
        for kind in (completed, interrupted, failed_with_late_truth, unfinished):
            kind(session, clock)
        yield session
