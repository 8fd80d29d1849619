"""A driver whose answers a test writes down, and which remembers what it was asked."""

from __future__ import annotations

from typing import Any

from stayline.testing import Driver, OperationError

#: What an implementation in which nothing ever happens answers.
_NOTHING: dict[str, Any] = {
    "start": {"execution_id": "e", "token": "t"},
    "next_deadline": None,
    "link_outputs": [],
    "stream_records": {"records": [], "ended": False},
    "notifications": [],
    "take_notification": None,
    "events": [],
    "session": {
        "branch": None,
        "agent_session_id": None,
        "active": None,
        "grace": False,
        "link_attached": False,
    },
    "execution": {
        "status": "running",
        "message": None,
        "health": "healthy",
        "interrupt_requested": False,
        "completed_at": None,
        "last_heartbeat_at": None,
    },
    "w_poll": [],
    "w_next_deadline": None,
    "w_state": {"state": "connected", "buffered": 0, "unacknowledged": 0},
}


class ScriptedDriver(Driver):
    """`answers` holds a value, an error to raise, or a function of the arguments."""

    def __init__(self, answers: dict[str, Any] | None = None) -> None:
        self.answers = {**_NOTHING, **(answers or {})}
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def call(self, operation: str, **arguments: Any) -> Any:
        self.asked.append((operation, arguments))
        answer = self.answers.get(operation)
        if isinstance(answer, OperationError):
            raise answer
        if callable(answer):
            return answer(**arguments)
        return answer

    def reset(self) -> None:
        self.asked.append(("reset", {}))

    def close(self) -> None:
        self.asked.append(("close", {}))

    def arguments(self, operation: str) -> list[dict[str, Any]]:
        """What one operation was asked with, each time."""
        return [arguments for name, arguments in self.asked if name == operation]
