"""What a host needs whose own web framework has the sockets: handshakes, translated.

The built-in server (``Coordinator.serve``) does all of this by itself. A host that has wrappers
and browsers come to routes of its own brings the socket; what a request asks for, and what a
refusal looks like so that a wrapper understands it, is here. Nothing here knows a framework:
queries and headers are mappings of texts, as FastAPI, Starlette, aiohttp, Quart and Django have
them. `docs/python.md` shows a whole host::

    try:
        session = coordinator.session(session_id)
        link = await session.attach(**web.attach_arguments(query, headers))
    except stayline.Error as error:
        refused = web.refusal(error)              # status, headers, text: no WebSocket
    else:
        accepted = web.accept_headers(link)       # headers of the 101 answer

The host's own WebSocket library pings; when it gives a socket up, tell the link:
``link.closed(1006)`` (R47a).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict

from stayline._internal import Error, InvalidArgument, Link

if TYPE_CHECKING:
    from stayline import aio

__all__ = [
    "AttachArguments",
    "Refusal",
    "StreamArguments",
    "accept_headers",
    "attach_arguments",
    "bearer",
    "refusal",
    "stream_arguments",
]

_PROTOCOL = "Stayline-Protocol"
_ACKNOWLEDGED = "2"

#: What the wrapper is told of a refused attach (R25, R46). Whatever else goes wrong may pass by
#: itself, so the wrapper is to come again.
_REFUSALS: Mapping[str, tuple[int, str]] = {
    "InvalidArgument": (400, "bad_request"),
    "Unauthorized": (401, "unauthorized"),
    "NotFound": (404, "not_found"),
    "ExecutionNotActive": (409, "not_active"),
    "Superseded": (409, "superseded"),
}


class AttachArguments(TypedDict):
    """What ``Session.attach`` takes."""

    execution_id: str
    token: str | None
    acknowledged: bool
    producer: str | None
    attempt: int | None


class StreamArguments(TypedDict):
    """What ``Session.stream`` takes."""

    after: int
    epoch: str | None
    executions: list[str] | None
    types: list[str] | None
    since: datetime | int | None
    live_only: bool


@dataclass(frozen=True)
class Refusal:
    """The answer to a handshake that is refused: a plain HTTP response instead of the upgrade."""

    #: The HTTP status.
    status: int
    #: Its headers. With ``Stayline-Refusal`` the wrapper knows that it need not come again.
    headers: dict[str, str]
    #: The reason, one line, for people.
    text: str


def attach_arguments(query: Mapping[str, str], headers: Mapping[str, str]) -> AttachArguments:
    """What the request of a wrapper (``…/ingest``) asks for: ``session.attach(**these)``.

    Raises ``InvalidArgument`` where the request lacks something. The token comes from the
    ``Authorization`` header or the query; a host that authenticates in its own way passes
    ``trusted=True`` to ``attach`` and leaves ``token`` out.
    """
    execution_id = query.get("executionId")
    if not execution_id:
        raise _invalid("the query has no executionId")
    asked = _header(headers, _PROTOCOL) or query.get("protocol")
    acknowledged = asked == _ACKNOWLEDGED
    producer, attempt = query.get("producer") or None, _number(query.get("attempt"))
    if acknowledged and (producer is None or attempt is None):
        raise _invalid("protocol 2 needs producer and attempt in the query")
    return AttachArguments(
        execution_id=execution_id,
        token=bearer(headers) or query.get("token") or None,
        acknowledged=acknowledged,
        producer=producer if acknowledged else None,
        attempt=attempt if acknowledged else None,
    )


def accept_headers(link: Link | aio.Link) -> dict[str, str]:
    """Headers of the 101 answer: they grant the acknowledged mode where the link has it (R45)."""
    return {_PROTOCOL: _ACKNOWLEDGED} if link.acknowledged else {}


def refusal(error: Error) -> Refusal:
    """How to refuse a handshake for which `error` was raised, by ``attach`` or ``stream``."""
    status, name = _REFUSALS.get(error.name, (503, ""))
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    if name:
        headers["Stayline-Refusal"] = name
    if error.name == "ExecutionNotActive":
        headers["Stayline-Status"] = str(error.fields["status"])
    text = "".join(" " if ord(letter) < 32 else letter for letter in str(error))
    return Refusal(status, headers, text + "\n")


def stream_arguments(
    query: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> StreamArguments:
    """What the request of a subscriber (``…/stream``) asks for: ``session.stream(**these)``.

    What cannot be read is ignored, as by the built-in server. ``endTime`` is left to the host. A
    ``Last-Event-ID`` among the headers, which browsers send when they come back to server-sent
    events, goes before ``fromId`` and ``epoch``.
    """
    resumed = _resumed(_header(headers or {}, "Last-Event-ID"))
    if resumed is None:
        epoch, after = query.get("epoch") or None, _number(query.get("fromId")) or 0
    else:
        epoch, after = resumed
    return StreamArguments(
        after=after,
        epoch=epoch,
        executions=_list(query.get("executionIds")),
        types=_list(query.get("eventTypes")),
        since=_moment(query.get("startTime")),
        live_only=resumed is None and query.get("replay") == "false",
    )


def bearer(headers: Mapping[str, str]) -> str | None:
    """What follows ``Authorization: Bearer``; ``None`` where that is not sent."""
    scheme, _, token = (_header(headers, "Authorization") or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _invalid(what: str) -> InvalidArgument:
    error = InvalidArgument(f"invalid argument: {what}")
    error.what = what
    return error


def _header(headers: Mapping[str, str], name: str) -> str | None:
    """By a name in any case: some mappings of headers mind it and some do not."""
    wanted = name.lower()
    return next((value for key, value in headers.items() if key.lower() == wanted), None)


def _number(text: str | None) -> int | None:
    digits = (text or "").strip()
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 20 else None


def _list(text: str | None) -> list[str] | None:
    items = [item.strip() for item in (text or "").split(",")]
    return [item for item in items if item] or None


def _moment(text: str | None) -> datetime | int | None:
    if not text:
        return None
    number = _number(text)
    if number is not None:
        return number
    # The plus of an offset that was not encoded arrives as a space; older Pythons read no Z.
    plain = text.strip().replace(" ", "+").replace("Z", "+00:00").replace("z", "+00:00")
    try:
        moment = datetime.fromisoformat(plain)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _resumed(last_event_id: str | None) -> tuple[str | None, int] | None:
    """``<epoch>.<eventId>``, as ``…/events`` writes it."""
    epoch, dot, event_id = (last_event_id or "").strip().rpartition(".")
    number = _number(event_id)
    return (epoch, number) if dot and number is not None else None


def server_sent_event(event: Any, epoch: str) -> str:
    """One event of a stream as a server-sent event; stored ones carry ``id: <epoch>.<id>``."""
    lines = [f"id: {epoch}.{event.id}"] if event.id else []
    lines += [f"data: {line}" for line in event.frame.splitlines() if line]
    return "\n".join(lines) + "\n\n"
