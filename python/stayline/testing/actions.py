"""The actions of scenario files, `do`, one function each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from . import timeline
from .drivers import OperationError
from .format import Step
from .network import DROPPED
from .world import LinkEnd, World, WrapperEnd

__all__ = ["perform"]

_Fields = Mapping[str, Any]


def perform(world: World, step: Step) -> Any:
    """Does one action and takes what it caused; its result. `OperationError` when it fails."""
    try:
        return _ACTIONS[step.name](world, step.fields)
    finally:
        world.collect()


def _session(fields: _Fields) -> str:
    return str(fields.get("session", "s"))


def _of_execution(fields: _Fields) -> dict[str, Any]:
    return {"session": _session(fields), "execution": fields.get("execution", "e")}


def _wrapper(world: World, fields: _Fields) -> WrapperEnd:
    return world.wrapper(fields.get("wrapper", "w"))


def _link(world: World, fields: _Fields) -> LinkEnd:
    name = fields.get("link", "l")
    link = world.link(fields.get("session"), name)
    if link is None:
        raise OperationError("NotFound", f"the scenario has no link {name}", {"what": name})
    return link


# The coordinator.


def _start(world: World, fields: _Fields) -> Any:
    place = _of_execution(fields)
    started = world.driver.call(
        "start", **place, mode=fields.get("mode"), token=fields.get("token")
    )
    world.tokens[place["session"], place["execution"]] = started["token"]
    return started


def _attach(world: World, fields: _Fields) -> None:
    session, execution = _session(fields), fields.get("execution", "e")
    acknowledged = fields.get("acknowledged", False)
    producer = fields.get("producer", "p" if acknowledged else None)
    attempt = fields.get("attempt")
    if producer is not None and ("attempt" not in fields or attempt is not None):
        attempt = world.next_attempt(session, execution, producer, attempt)
    world.attach(
        session,
        fields.get("link", "l"),
        execution,
        fields["token"] if "token" in fields else world.tokens.get((session, execution)),
        2 if acknowledged else None,
        producer,
        attempt,
    )


def _receive(world: World, fields: _Fields) -> None:
    link = _link(world, fields)
    if "binary" in fields:
        world.receive_binary(link, 4)
        return
    if "raw" in fields:
        text = fields["raw"]
    else:
        event = fields["event"]
        frame = {"streamEventType": event["type"]}
        frame.update({name: event[name] for name in ("timestamp", "data", "seq") if name in event})
        text = json.dumps(frame, separators=(",", ":"), ensure_ascii=False)
    world.receive(link, text)


def _close(world: World, fields: _Fields) -> None:
    world.close_link(_link(world, fields), fields.get("code", DROPPED), fields.get("reason", ""))


def _fail(world: World, fields: _Fields) -> Any:
    return world.driver.call(
        "fail",
        **_of_execution(fields),
        message=fields["message"],
        event_type=fields.get("event_type"),
        payload=fields.get("payload"),
        suppress_notification=fields.get("suppress_notification", False),
    )


def _finish(world: World, fields: _Fields) -> Any:
    return world.driver.call(
        "finish",
        **_of_execution(fields),
        status=fields["status"],
        message=fields.get("message"),
    )


def _interrupt(world: World, fields: _Fields) -> Any:
    # Not given, null (never) and a number are three different things.
    grace = {"grace": fields["grace"]} if "grace" in fields else {}
    return world.driver.call(
        "interrupt",
        session=_session(fields),
        execution=fields.get("execution"),
        escalate=fields.get("escalate", False),
        **grace,
    )


def _clear_interrupt(world: World, fields: _Fields) -> Any:
    return world.driver.call(
        "clear_interrupt", session=_session(fields), execution=fields.get("execution")
    )


def _heartbeat(world: World, fields: _Fields) -> Any:
    return world.driver.call("heartbeat", **_of_execution(fields))


def _lease(world: World, fields: _Fields) -> Any:
    arguments = {**_of_execution(fields), "lease_id": fields["lease_id"]}
    if fields["op"] == "acquire":
        arguments["message_id"] = fields.get("message_id")
    return world.driver.call(f"lease_{fields['op']}", **arguments)


def _advance(world: World, fields: _Fields) -> None:
    timeline.advance(world, fields["ms"])


def _suspend(world: World, fields: _Fields) -> None:
    timeline.suspend(world, fields["ms"])


def _restart(world: World, fields: _Fields) -> None:
    timeline.restart(world, fields.get("down_ms", 0))


def _reopen(world: World, fields: _Fields) -> None:
    world.settings.update(fields["settings"])
    world.wrapper_settings.update(fields["wrapper_settings"])
    timeline.restart(world, 0)


def _fail_next_commit(world: World, fields: _Fields) -> None:
    world.driver.call("fail_next_commit", outcome=fields["outcome"])


def _delete_session(world: World, fields: _Fields) -> Any:
    return world.driver.call("delete_session", session=_session(fields))


def _take_notification(world: World, fields: _Fields) -> Any:
    notification = world.driver.call("take_notification")
    if notification is not None and fields.get("ack", True):
        world.driver.call(
            "acknowledge_notification", notification_id=notification["notification_id"]
        )
    return notification


def _subscribe(world: World, fields: _Fields) -> None:
    # An epoch is random, so "other" is never one.
    world.subscribe(
        fields["name"],
        session=_session(fields),
        after=fields.get("after", 0),
        epoch=fields.get("epoch"),
        types=fields.get("types"),
    )


# Wrappers.


def _w_open(world: World, fields: _Fields) -> Any:
    return world.wrapper_call(
        _wrapper(world, fields), "w_open", execution=fields.get("execution", "e")
    )


def _w_opened(world: World, fields: _Fields) -> None:
    granted = 2 if world.wrapper_settings["acknowledged"] else None
    protocol = fields.get("protocol", granted)
    world.wrapper_attempt_call(
        _wrapper(world, fields),
        fields.get("attempt"),
        "w_opened",
        protocol=None if protocol == "none" else protocol,
    )


def _w_refused(world: World, fields: _Fields) -> None:
    world.wrapper_attempt_call(
        _wrapper(world, fields),
        fields.get("attempt"),
        "w_refused",
        status=fields.get("status"),
        refusal=fields.get("refusal"),
        execution_status=None,
    )


def _w_closed(world: World, fields: _Fields) -> None:
    world.wrapper_attempt_call(
        _wrapper(world, fields),
        fields.get("attempt"),
        "w_closed",
        code=fields.get("code", DROPPED),
        reason=fields.get("reason", ""),
    )


def _w_send(world: World, fields: _Fields) -> Any:
    return world.wrapper_call(
        _wrapper(world, fields),
        "w_send",
        type=fields["type"],
        data=fields.get("data", {}),
        droppable=fields.get("droppable", False),
    )


def _w_frame(world: World, fields: _Fields) -> None:
    frame = fields["frame"]
    text = frame if isinstance(frame, str) else json.dumps(frame, separators=(",", ":"))
    world.wrapper_attempt_call(_wrapper(world, fields), fields.get("attempt"), "w_frame", text=text)


def _w_job(world: World, fields: _Fields) -> Any:
    return world.wrapper_call(
        _wrapper(world, fields),
        "w_job",
        execution=fields.get("execution", "e"),
        agent_session=fields.get("agent_session"),
        tasks=fields.get("tasks", []),
    )


def _w_agent(world: World, fields: _Fields) -> Any:
    return world.wrapper_call(
        _wrapper(world, fields),
        "w_agent",
        type=fields["type"],
        properties=fields.get("properties", {}),
    )


def _w_task_done(world: World, fields: _Fields) -> Any:
    return world.wrapper_call(
        _wrapper(world, fields), "w_task_done", name=fields["name"], ok=fields.get("ok", True)
    )


def _w_plain(operation: str) -> Callable[[World, _Fields], Any]:
    return lambda world, fields: world.wrapper_call(_wrapper(world, fields), operation)


def _w_crash(world: World, fields: _Fields) -> None:
    world.crash_wrapper(_wrapper(world, fields))


# The network.


def _pair(world: World, fields: _Fields) -> None:
    world.network.pair(_wrapper(world, fields).name, **_of_execution(fields))


def _cut(world: World, fields: _Fields) -> None:
    world.network.cut(fields.get("wrapper", "w"), fields.get("code", DROPPED), fields.get("lose"))


def _black_hole(world: World, fields: _Fields) -> None:
    world.network.black_hole(fields.get("wrapper", "w"), fields["on"])


def _refuse(world: World, fields: _Fields) -> None:
    refused = {"status": fields.get("status"), "refusal": fields.get("refusal")}
    world.network.refuse(fields.get("wrapper", "w"), fields.get("times", 1), refused)


_ACTIONS: Mapping[str, Callable[[World, _Fields], Any]] = {
    "start": _start,
    "attach": _attach,
    "receive": _receive,
    "close": _close,
    "fail": _fail,
    "finish": _finish,
    "interrupt": _interrupt,
    "clear_interrupt": _clear_interrupt,
    "heartbeat": _heartbeat,
    "lease": _lease,
    "advance": _advance,
    "suspend": _suspend,
    "restart": _restart,
    "reopen": _reopen,
    "fail_next_commit": _fail_next_commit,
    "delete_session": _delete_session,
    "take_notification": _take_notification,
    "subscribe": _subscribe,
    "w_open": _w_open,
    "w_opened": _w_opened,
    "w_refused": _w_refused,
    "w_closed": _w_closed,
    "w_send": _w_send,
    "w_frame": _w_frame,
    "w_close": _w_plain("w_close"),
    "w_job": _w_job,
    "w_turn": _w_plain("w_turn"),
    "w_agent": _w_agent,
    "w_task_done": _w_task_done,
    "w_aborted": _w_plain("w_aborted"),
    "w_crash": _w_crash,
    "pair": _pair,
    "cut": _cut,
    "black_hole": _black_hole,
    "refuse": _refuse,
}
