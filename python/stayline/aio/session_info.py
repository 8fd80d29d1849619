"""What is known about a session: ``SessionInfo``."""

from __future__ import annotations

from datetime import datetime

import stayline
from stayline.aio._view import View
from stayline.aio.execution import Execution


class SessionInfo(View[stayline.SessionInfo]):
    """What was known about a session when it was read."""

    @property
    def id(self) -> str:
        """The session's id."""
        return self._sync.id

    @property
    def epoch(self) -> str:
        """The log's epoch (R34a)."""
        return self._sync.epoch

    @property
    def created_at(self) -> datetime:
        """When it was made."""
        return self._sync.created_at

    @property
    def last_activity_at(self) -> datetime:
        """Start, heartbeats, events, completion (R19)."""
        return self._sync.last_activity_at

    @property
    def last_event_id(self) -> int:
        """The id of the newest event."""
        return self._sync.last_event_id

    @property
    def branch(self) -> str | None:
        """The branch of the last completed execution that named one (R29)."""
        return self._sync.branch

    @property
    def agent_session_id(self) -> str | None:
        """The agent's own session id (R30)."""
        return self._sync.agent_session_id

    @property
    def active(self) -> str | None:
        """The id of the active execution."""
        return self._sync.active

    @property
    def grace(self) -> bool:
        """Whether the active execution is without a link and in its grace (R20)."""
        return self._sync.grace

    @property
    def link_attached(self) -> bool | None:
        """Whether a wrapper is connected; ``None`` in a list of sessions."""
        return self._sync.link_attached

    @property
    def latest(self) -> Execution | None:
        """In a list of sessions: the active execution, or else the newest one."""
        latest = self._sync.latest
        return None if latest is None else Execution(latest)
