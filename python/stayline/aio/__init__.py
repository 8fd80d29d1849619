"""Stayline on an event loop: the names of ``stayline``, awaitable.

A view over the same objects: whatever may wait is awaited, iterations are ``async for``, blocks
are ``async with``; properties and what never waits stay as they are::

    from stayline import aio

    async with aio.Coordinator("sqlite:runs.db") as coordinator:
        session = coordinator.session("user_1:agent_1")
        async with session.launch(mode="code") as execution:
            await launch_sandbox(execution.id, execution.token)
        async for event in session.stream(until=execution.id):
            print(event.type, event.data)

``aio.Coordinator.of(coordinator)`` is a view of an object of ``stayline``, and ``.sync`` the
object of a view; both may be used at once, from several loops and threads. Works with asyncio and
uvloop.

Cancelling a task cancels its wait only: what a call stored stands, and nothing that arrived
meanwhile is lost. Waiting goes through ``loop.add_reader``; calls that may wait for a disk are
made by a small pool of threads.
"""

from __future__ import annotations

from stayline import (
    AlreadyExists,
    AlreadyHeld,
    Close,
    Closed,
    Command,
    Disconnected,
    Drained,
    Ended,
    Error,
    Event,
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
    LimitExceeded,
    ManualClock,
    NoActiveExecution,
    NotFound,
    Panic,
    Reconnected,
    Reconnecting,
    Replaced,
    RestartFeed,
    RunTask,
    Send,
    Settings,
    Signal,
    StoreError,
    StoreFormat,
    StoreInUse,
    StoreUnknown,
    Superseded,
    Timeout,
    Unauthorized,
    WrongHolder,
    __version__,
    sansio,
)
from stayline.aio.coordinator import Coordinator, Server
from stayline.aio.execution import Execution, Launch, Lease
from stayline.aio.link import Link, Outgoing
from stayline.aio.notification import Notification, Notifications
from stayline.aio.session import Session, SessionInfo
from stayline.aio.signals import Signals
from stayline.aio.subscription import Events, Subscription
from stayline.aio.wrapper import Wrapper

#: The same names as in ``stayline``; errors, values and settings are the same objects.
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
