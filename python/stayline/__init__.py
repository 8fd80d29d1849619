"""Stayline keeps long agent runs on the line.

The coordinator owns the runs of your sessions: their status, their events, their clean-up.
The wrapper sits next to the agent, sends its events, buffers and reconnects::

    import stayline

    with stayline.Coordinator("sqlite:runs.db") as coordinator:
        session = coordinator.session("user_1:agent_1")
        with session.launch(mode="code") as execution:
            launch_sandbox(execution.id, execution.token)
        for event in session.stream(until=execution.id):
            print(event.type, event.data)

Waiting calls take their time-out in seconds, release the interpreter lock, and answer Ctrl-C.
Objects belong to the process that made them; in a forked child they raise ``ForkError``.
Every error is a subclass of ``stayline.Error``.
"""

from __future__ import annotations

from stayline import sansio
from stayline._internal import (
    AlreadyExists,
    AlreadyHeld,
    Close,
    Closed,
    Command,
    Coordinator,
    Disconnected,
    Drained,
    Ended,
    Error,
    Event,
    Events,
    Execution,
    ExecutionInProgress,
    ExecutionNotActive,
    ForkError,
    Full,
    InvalidArgument,
    InvalidEvent,
    InvalidSettings,
    InvalidTransition,
    JobConflict,
    Kill,
    Launch,
    Lease,
    LimitExceeded,
    Link,
    ManualClock,
    NoActiveExecution,
    NotFound,
    Notification,
    Notifications,
    Outgoing,
    Panic,
    Reconnected,
    Reconnecting,
    Replaced,
    RestartFeed,
    RunTask,
    Send,
    Server,
    Session,
    SessionInfo,
    Settings,
    Signals,
    StoreError,
    StoreFormat,
    StoreInUse,
    StoreUnknown,
    Subscription,
    Superseded,
    Timeout,
    Unauthorized,
    Wrapper,
    WrongHolder,
    __version__,
)

#: What ``Wrapper.signals`` gives.
Signal = (
    Kill
    | Reconnecting
    | Reconnected
    | Ended
    | Replaced
    | Disconnected
    | RunTask
    | RestartFeed
    | Command
    | Drained
)

__all__ = [
    "AlreadyExists",
    "AlreadyHeld",
    "Close",
    "Closed",
    "Command",
    "Coordinator",
    "Disconnected",
    "Drained",
    "Ended",
    "Error",
    "Event",
    "Events",
    "Execution",
    "ExecutionInProgress",
    "ExecutionNotActive",
    "ForkError",
    "Full",
    "InvalidArgument",
    "InvalidEvent",
    "InvalidSettings",
    "InvalidTransition",
    "JobConflict",
    "Kill",
    "Launch",
    "Lease",
    "LimitExceeded",
    "Link",
    "ManualClock",
    "NoActiveExecution",
    "NotFound",
    "Notification",
    "Notifications",
    "Outgoing",
    "Panic",
    "Reconnected",
    "Reconnecting",
    "Replaced",
    "RestartFeed",
    "RunTask",
    "Send",
    "Server",
    "Session",
    "SessionInfo",
    "Settings",
    "Signal",
    "Signals",
    "StoreError",
    "StoreFormat",
    "StoreInUse",
    "StoreUnknown",
    "Subscription",
    "Superseded",
    "Timeout",
    "Unauthorized",
    "Wrapper",
    "WrongHolder",
    "__version__",
    "sansio",
]
