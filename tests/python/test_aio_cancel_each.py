"""Every call of ``stayline.aio`` that can be awaited is cancelled, by its name: the wait is over,
what the call stored stands, and what it was made on goes on.

Which calls there are is read from the package, so that a new one needs a case. Calls that wait for
a commit are in `test_aio_cancel.py`, where commits can be held up; here are the others.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import stayline
from aio_loops import LOOPS, cancelled, run_on, soon
from conftest import PATIENCE, frame
from stayline import aio
from test_aio_cancel import CALLS

#: The names of `test_aio_cancel.CALLS`, as they are on their classes.
HELD_UP = {"Session." + name if "." not in name else name[0].upper() + name[1:] for name in CALLS}


def awaitable_calls() -> set[str]:
    """Every public method that waits: coroutines, and what `async with` opens."""
    found = set()
    for name in aio.__all__:
        owner = getattr(aio, name)
        if not isinstance(owner, type) or not owner.__module__.startswith("stayline.aio"):
            continue
        for member in dir(owner):
            if member.startswith("_") and member != "__anext__":
                continue
            plain = inspect.getattr_static(owner, member)
            if isinstance(plain, (classmethod, staticmethod, property)):
                continue
            returns = str(getattr(plain, "__annotations__", {}).get("return", ""))
            opens = returns.startswith("Opening") or returns == "Launch"
            if inspect.iscoroutinefunction(plain) or opens:
                found.add(f"{name}.{member}")
    return found


@dataclass
class World:
    """A run that goes on, with both of its ends."""

    coordinator: aio.Coordinator
    session: aio.Session
    execution: aio.Execution
    server: aio.Server
    wrapper: aio.Wrapper

    def frames(self, number: int) -> list[str]:
        return [frame("output", {"n": n}) for n in range(number)]

    async def link(self) -> aio.Link:
        """A link of another execution in another session."""
        session = self.coordinator.session("linked")
        await session.start("linked")
        return await session.attach("linked", trusted=True)

    async def notification(self) -> aio.Notification:
        session = self.coordinator.session("ended")
        await session.start("ended")
        await session.fail("ended", "over")
        return await anext(self.coordinator.notifications(PATIENCE))


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    async with aio.Coordinator("memory:") as coordinator, coordinator.serve() as server:
        session = coordinator.session("s")
        execution = await session.start("e")
        async with aio.Wrapper(
            server.url, session_id="s", execution_id="e", token=execution.token
        ) as wrapper:
            yield World(coordinator, session, execution, server, wrapper)


Case = Callable[[World], Awaitable[object]]
CASES: dict[str, Case] = {}


def case(name: str) -> Callable[[Case], Case]:
    def put(function: Case) -> Case:
        CASES[name] = function
        return function

    return put


async def twice(call: Callable[[], Awaitable[Any]]) -> Any:
    """Cancelled wherever it has come to; then made again, to its end."""
    for _ in range(5):
        await cancelled(call(), may_end=True)
    return await call()


# --- what reads, and what may be made again -------------------------------------------------------


@case("Coordinator.sessions")
async def _(w: World) -> None:
    assert [info.id for info in await twice(w.coordinator.sessions)] == ["s"]


@case("Coordinator.pending_notifications")
async def _(w: World) -> None:
    assert await twice(w.coordinator.pending_notifications) == []


@case("Coordinator.issue_ticket")
async def _(w: World) -> None:
    ticket = await twice(lambda: w.coordinator.issue_ticket(w.session.id))
    await w.coordinator.verify_ticket(w.session.id, ticket)


@case("Coordinator.verify_ticket")
async def _(w: World) -> None:
    ticket = await w.coordinator.issue_ticket(w.session.id)
    await twice(lambda: w.coordinator.verify_ticket(w.session.id, ticket))


@case("Coordinator.serve")
async def _(w: World) -> None:
    # Openings that were cancelled left no server behind.
    server = await twice(w.coordinator.serve)
    await server.close()


@case("Coordinator.close")
async def _(w: World) -> None:
    await twice(w.coordinator.close)
    with pytest.raises(stayline.Closed):
        await w.session.start("other")


@case("Server.reload_tls")
async def _(w: World) -> None:
    server = await w.coordinator.serve()
    # It has no certificate; that is said, and it serves on.
    with pytest.raises(stayline.InvalidArgument):
        await twice(server.reload_tls)
    await server.close()


@case("Server.close")
async def _(w: World) -> None:
    server = await w.coordinator.serve()
    await twice(server.close)


@case("Session.info")
async def _(w: World) -> None:
    assert (await twice(w.session.info)).active == "e"


@case("Session.execution")
async def _(w: World) -> None:
    assert (await twice(lambda: w.session.execution("e"))).id == "e"


@case("Session.executions")
async def _(w: World) -> None:
    assert len(await twice(w.session.executions)) == 1


@case("Session.active")
async def _(w: World) -> None:
    assert await twice(w.session.active) == "e"


@case("Session.health")
async def _(w: World) -> None:
    assert await twice(lambda: w.session.health("e")) == "healthy"


@case("Session.heartbeat")
async def _(w: World) -> None:
    await twice(lambda: w.session.heartbeat("e"))


@case("Session.count_events")
async def _(w: World) -> None:
    assert await twice(w.session.count_events) == 0


@case("Session.timeline")
async def _(w: World) -> None:
    assert len((await twice(w.session.timeline)).runs) == 1


@case("Execution.wait")
async def _(w: World) -> None:
    await cancelled(w.execution.wait())
    assert await w.session.active() == "e"
    await w.session.fail("e", "boom")
    assert (await w.execution.wait(PATIENCE)).status == "failed"


# --- what hands over, or takes --------------------------------------------------------------------


async def stored(w: World, session_id: str, number: int) -> None:
    """Waits for so many events, numbered as they were sent."""
    session = w.coordinator.sync.session(session_id)
    await soon(lambda: session.info().last_event_id >= number)
    assert [event.data["n"] for event in session.events()] == list(range(number))


@case("Link.receive")
async def _(w: World) -> None:
    link = await w.link()
    for one in w.frames(5):
        # It waits for back-pressure only, of which there is none: it has handed over at once.
        await cancelled(link.receive(one), may_end=True)
    await stored(w, "linked", 5)


@case("Link.receive_many")
async def _(w: World) -> None:
    link = await w.link()
    await cancelled(link.receive_many(w.frames(50)), may_end=True)
    await stored(w, "linked", 50)


@case("Outgoing.__anext__")
async def _(w: World) -> None:
    link = await w.link()
    outgoing = link.outgoing()
    await cancelled(anext(outgoing))
    await w.coordinator.session("linked").interrupt()
    assert "SIGTERM" in (await anext(outgoing)).text


@case("Subscription.__anext__")
async def _(w: World) -> None:
    async with w.session.stream() as stream:
        await cancelled(anext(stream), may_end=True)
        await w.wrapper.send("output", {"n": 0})
        async for event in stream:
            if event.type == "output":
                break


@case("Subscription.try_next")
async def _(w: World) -> None:
    await w.wrapper.send("output", {"n": 0})
    await stored(w, "s", 1)
    async with w.session.stream() as stream:
        await cancelled(stream.try_next(), may_end=True)
        types = []
        while (event := await stream.try_next()) is not None:
            types.append(event.type)
        assert types[-1:] == ["connected"]


@case("Events.__anext__")
async def _(w: World) -> None:
    await w.wrapper.send("output", {"n": 0})
    await stored(w, "s", 1)
    events = w.session.events()
    await cancelled(anext(events), may_end=True)
    left = [event.id async for event in events]
    assert left in ([1], [])
    # What the cancelled wait did not hand over was still there.
    again = w.session.events()
    waiting = asyncio.ensure_future(_awaited(anext(again)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    if waiting.cancelled():
        assert [event.id async for event in again] == [1]


async def _awaited(call: Awaitable[Any]) -> Any:
    return await call


@case("Notifications.__anext__")
async def _(w: World) -> None:
    notifications = w.coordinator.notifications()
    await cancelled(anext(notifications))
    assert (await w.notification()).status == "failed"


@case("Notifications.try_next")
async def _(w: World) -> None:
    notifications = w.coordinator.notifications()
    for _ in range(5):
        await cancelled(notifications.try_next(), may_end=True)
    assert (await w.notification()).attempt == 1


@case("Notification.ack")
async def _(w: World) -> None:
    notification = await w.notification()
    await cancelled(notification.ack(), may_end=True)
    sync = w.coordinator.sync
    await soon(lambda: not sync.pending_notifications())


@case("Notification.nack")
async def _(w: World) -> None:
    notification = await w.notification()
    await cancelled(notification.nack(0), may_end=True)
    # It comes again, as it was asked to.
    assert (await anext(w.coordinator.notifications(PATIENCE))).attempt == 2


@case("Notification.requeue")
async def _(w: World) -> None:
    notification = await w.notification()
    notifications = w.coordinator.notifications(PATIENCE)
    for _ in range(4):
        await notification.nack(0)
        notification = await anext(notifications)
    await notification.nack(0)
    # The sixth delivery does not come: it is parked instead.
    assert await notifications.try_next() is None
    sync = w.coordinator.sync
    assert sync.pending_notifications(parked_only=True)
    await cancelled(notification.requeue(), may_end=True)
    await soon(lambda: not sync.pending_notifications(parked_only=True))


# --- the wrapper ----------------------------------------------------------------------------------


@case("Wrapper.wait_connected")
async def _(w: World) -> None:
    await twice(lambda: w.wrapper.wait_connected(PATIENCE))


@case("Wrapper.send")
async def _(w: World) -> None:
    for n in range(5):
        await cancelled(w.wrapper.send("output", {"n": n}), may_end=True)
    await stored(w, "s", 5)


@case("Wrapper.try_send")
async def _(w: World) -> None:
    for n in range(5):
        await cancelled(w.wrapper.try_send("output", {"n": n}), may_end=True)
    await stored(w, "s", 5)


async def ends(w: World, call: Awaitable[object], status: str) -> None:
    """The ending is under way although nobody waits for it any more."""
    await cancelled(call, may_end=True)
    assert (await w.wrapper.outcome(PATIENCE)).status == status
    assert (await w.execution.wait(PATIENCE)).status == status


@case("Wrapper.complete")
async def _(w: World) -> None:
    await ends(w, w.wrapper.complete(), "completed")


@case("Wrapper.fail")
async def _(w: World) -> None:
    await ends(w, w.wrapper.fail("boom"), "failed")


@case("Wrapper.interrupted")
async def _(w: World) -> None:
    await ends(w, w.wrapper.interrupted(), "interrupted")


@case("Wrapper.idle")
async def _(w: World) -> None:
    await ends(w, w.wrapper.idle(), "completed")


@case("Wrapper.outcome")
async def _(w: World) -> None:
    await cancelled(w.wrapper.outcome())
    await ends(w, w.wrapper.complete(), "completed")


@case("Signals.__anext__")
async def _(w: World) -> None:
    signals = w.wrapper.signals()
    await cancelled(anext(signals))
    await w.session.interrupt()
    assert isinstance(await anext(signals), aio.Kill)


@case("Wrapper.start_job")
async def _(w: World) -> None:
    await twice(lambda: w.wrapper.start_job(tasks=["tidy"]))


@case("Wrapper.begin_turn")
async def _(w: World) -> None:
    assert (await twice(w.wrapper.begin_turn)).startswith("msg_e_")


@case("Wrapper.agent_event")
async def _(w: World) -> None:
    await twice(lambda: w.wrapper.agent_event("session.updated", {"a": 1}))


@case("Wrapper.task_done")
async def _(w: World) -> None:
    await twice(lambda: w.wrapper.task_done("nothing of the kind"))


@case("Wrapper.aborted")
async def _(w: World) -> None:
    await w.session.interrupt()
    assert isinstance(await anext(w.wrapper.signals(PATIENCE)), aio.Kill)
    await ends(w, w.wrapper.aborted(), "interrupted")


@case("Wrapper.close")
async def _(w: World) -> None:
    await twice(w.wrapper.close)
    with pytest.raises(stayline.Closed):
        await w.wrapper.send("output", {})


# --------------------------------------------------------------------------------------------------


def test_there_is_a_case_for_every_call() -> None:
    assert awaitable_calls() == CASES.keys() | HELD_UP


@pytest.mark.parametrize("kind", LOOPS)
@pytest.mark.parametrize("name", CASES)
def test_cancelling_is_of_the_wait_only(kind: str, name: str) -> None:
    async def main() -> None:
        async with world() as w:
            await CASES[name](w)

    run_on(kind, main())
