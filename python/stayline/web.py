"""For hosts whose own web framework has the sockets: handshakes and pumps.

The built-in server (``Coordinator.serve``) does all of this by itself. A host that has wrappers
and browsers come to routes of its own brings the socket. `docs/python.md` shows a whole one, with
FastAPI::

    @app.websocket("/sessions/{session_id}/ingest")
    async def ingest(socket: WebSocket, session_id: str) -> None:
        asked = web.attach_arguments(socket.query_params, socket.headers)
        async with coordinator.session(session_id).attach(**asked) as link:
            await web.serve_link(socket, link)

What a request asks for (`attach_arguments`, `stream_arguments`) and what a refusal looks like, so
that a wrapper understands it (`refusal`), are plain functions over mappings of texts, as every
framework has them. `serve_link` and `serve_stream` carry frames between a socket that speaks ASGI,
as FastAPI's and Starlette's do, and a link or a stream of `stayline.aio`; with other sockets a host
writes that loop itself, as `examples/fastapi_host.py` does. `serve_sse` answers a request with a
stream, as server-sent events.

The framework's server pings. When it gives a socket up, the link has to be told (R47a):
`serve_link` does, by the end of the socket. A basic wrapper cannot send again what its socket
swallowed; let the server wait 80 s before it gives one up (uvicorn: ``--ws-ping-timeout 70``).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypedDict, cast

from stayline._internal import (
    Closed,
    Error,
    Event,
    InvalidArgument,
    Link,
    Send,
    StoreError,
    Unauthorized,
)
from stayline._threads import checked_verdict

if TYPE_CHECKING:
    from starlette.responses import Response

    from stayline import aio

_Message: TypeAlias = MutableMapping[str, Any]
_Receive: TypeAlias = Callable[[], Awaitable[_Message]]
_Send: TypeAlias = Callable[[_Message], Awaitable[None]]

__all__ = [
    "AttachArguments",
    "Refusal",
    "Socket",
    "StreamArguments",
    "accept_headers",
    "attach_arguments",
    "bearer",
    "later",
    "refusal",
    "refusal_of",
    "serve_link",
    "serve_sse",
    "serve_stream",
    "server_sent_event",
    "stream_arguments",
]

_PROTOCOL = "Stayline-Protocol"
_ACKNOWLEDGED = "2"

#: What the wrapper is told of a refused attach (R25, R46). Whatever else goes wrong may pass by
#: itself, so the wrapper is to come again.
_REFUSALS: Mapping[str, str] = {
    "InvalidArgument": "bad_request",
    "Unauthorized": "unauthorized",
    "NotFound": "not_found",
    "ExecutionNotActive": "not_active",
    "Superseded": "superseded",
}

#: The error table's HTTP statuses: by the hundreds of an error's number, and those that differ.
_STATUS_OF_HUNDRED: Mapping[int, int] = {1: 400, 2: 409, 3: 401, 4: 429, 5: 503}
_STATUS_OF: Mapping[str, int] = {
    "NotFound": 404,
    "Timeout": 504,
    "Closed": 503,
    "Disconnected": 502,
}

_GOING_AWAY = (1012, "coordinator restarted")
_DELETED = (4004, "session deleted")

_SSE_HEADERS: Mapping[str, str] = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    # Proxies must not collect events before they pass them on.
    "X-Accel-Buffering": "no",
}
#: So much is collected before it is sent, where there is so much, or one event.
_CHUNK_CHARACTERS = 64 * 1024


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


class Refusal(NamedTuple):
    """The answer to a handshake that is refused: a plain HTTP response instead of the upgrade.

    In the order in which Starlette's and FastAPI's ``Response`` takes it.
    """

    #: The reason, one line, for people.
    text: str
    #: The HTTP status.
    status: int
    #: Its headers. With ``Stayline-Refusal`` the wrapper knows that it need not come again.
    headers: dict[str, str]


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


def refusal(error: Exception) -> Refusal:
    """How to answer a request for which `error` was raised, by ``attach``, ``stream`` or any other
    call: with the status of the error table.

    Only what was decided is final for a wrapper (R25): an error that may pass by itself has no
    ``Stayline-Refusal``, and one that is none of ours (your own check failed) is ``later()``.
    """
    if not isinstance(error, Error):
        return later()
    status = _STATUS_OF.get(error.name) or _STATUS_OF_HUNDRED.get(error.number // 100, 500)
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    if error.name in _REFUSALS and not getattr(error, "_passing", False):
        headers["Stayline-Refusal"] = _REFUSALS[error.name]
    if status == 503:
        headers["Retry-After"] = "1"
    if error.name == "ExecutionNotActive":
        headers["Stayline-Status"] = str(error.fields["status"])
    return Refusal(_line(str(error)), status, headers)


def refusal_of(verdict: bool | None) -> Refusal | None:
    """How to answer a wrapper about which your own check says `verdict` (R25): ``None`` for
    ``True``, let it in (``attach(trusted=True)``); for ``False`` a final refusal, with which it
    stops; for ``None``, not known now, ``later()``. ``TypeError`` for anything else: what is no
    answer lets nobody in.
    """
    if checked_verdict(verdict) is None:
        return later()
    return None if verdict else refusal(Unauthorized("unauthorized"))


def later(reason: str = "it cannot be told now whether this may connect; try again") -> Refusal:
    """The answer to a request about which nothing is known now: 503, with which a wrapper tries
    again and its run goes on.
    """
    headers = {"Content-Type": "text/plain; charset=utf-8", "Retry-After": "1"}
    return Refusal(_line(reason), 503, headers)


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


def server_sent_event(event: Event, epoch: str) -> str:
    """One event of a stream as a server-sent event; stored ones carry ``id: <epoch>.<id>``."""
    lines = [f"id: {epoch}.{event.id}"] if event.id else []
    # Between two values JSON may have line breaks; within a text only what other rules, those of
    # `str.splitlines`, take for one.
    lines += [f"data: {line}" for line in re.split(r"[\r\n]+", event.frame) if line]
    return "\n".join(lines) + "\n\n"


class Socket(Protocol):
    """A WebSocket that speaks ASGI and has not been accepted yet: FastAPI's, Starlette's."""

    async def receive(self) -> _Message:
        """The next message of the server."""

    async def send(self, message: _Message, /) -> None:
        """A message for the server."""


async def serve_link(socket: Socket, link: aio.Link) -> None:
    """Accepts the socket and carries frames both ways until either end closes.

    The link is told how the socket ended. Cancelling leaves the link open; as a context manager
    around this call it is closed all the same.
    """
    if not await _accept(socket, accept_headers(link)):
        await link.closed(1006, "gone before it was accepted")
        return
    sending = asyncio.ensure_future(_send_outputs(socket, link))
    try:
        while (message := await socket.receive())["type"] != "websocket.disconnect":
            text = message.get("text")
            # A link that has ended, or whose store fails, has put out its close by itself (R27).
            with contextlib.suppress(Closed, StoreError):
                await link.receive(message["bytes"] if text is None else text)
        await link.closed(message.get("code") or 1006, message.get("reason") or "")
    finally:
        sending.cancel()
        await asyncio.wait([sending])


async def serve_stream(socket: Socket, events: aio.Subscription) -> None:
    """Accepts the socket and writes what comes until the subscriber goes, or the stream ends: then
    it is closed with 4004 where the session was deleted, else with 1012, upon which subscribers
    come again.
    """
    if not await _accept(socket, {}):
        return
    listening = asyncio.ensure_future(_until_gone(socket, events))
    last: Event | None = None
    try:
        async for last in events:
            if not await _sent(socket.send, {"type": "websocket.send", "text": last.frame}):
                return
        if not listening.done():
            is_deleted = last is not None and last.control and last.type == "deleted"
            code, reason = _DELETED if is_deleted else _GOING_AWAY
            await _sent(socket.send, {"type": "websocket.close", "code": code, "reason": reason})
    finally:
        listening.cancel()
        await asyncio.wait([listening])


def serve_sse(events: aio.Subscription, *, keep_alive: float | timedelta = 10.0) -> Response:
    """The answer to a request for server-sent events (``…/events``): a route returns it::

        @app.get("/sessions/{session_id}/events")
        async def events(request: Request, session_id: str):
            asked = web.stream_arguments(request.query_params, request.headers)
            return web.serve_sse(coordinator.session(session_id).stream(**asked))

    It opens the stream where it is not open yet, writes what comes, and closes the stream when the
    subscriber goes. What opening raises goes to the app, before anything is sent: ``refusal`` is an
    answer. Where the stream ends, by ``deleted`` or because the coordinator closes, so does the
    answer. A subscriber who reads slowly, or not at all, is waited for, with one chunk in memory.
    After `keep_alive` seconds without an event a comment goes out, so that proxies do not close
    what is silent (``ping_interval_ms`` of the built-in server).

    It is a ``starlette.responses.Response`` in a process that uses Starlette or FastAPI, with
    headers to add to and a ``background``; for other frameworks it is a plain ASGI application:
    ``await web.serve_sse(events)(scope, receive, send)``. Raises ``InvalidArgument`` for a
    `keep_alive` that is not positive.
    """
    seconds = keep_alive.total_seconds() if isinstance(keep_alive, timedelta) else keep_alive
    if not seconds > 0:
        raise _invalid(f"keep_alive cannot be {keep_alive}; it is a time above 0")
    # A host with another framework is not made to load this one.
    starlette = sys.modules.get("starlette.responses")
    kind = _EventStream if starlette is None else _event_response(starlette.Response)
    return cast("Response", kind(events, seconds))


class _EventStream:
    """An ASGI application that serves one subscription, once."""

    def __init__(self, events: aio.Subscription, keep_alive: float) -> None:
        self._events = events
        self._keep_alive = keep_alive
        # As Starlette's responses have them.
        self.status_code = 200
        self.background: Callable[[], Awaitable[None]] | None = None
        self.raw_headers = [
            (name.lower().encode(), value.encode()) for name, value in _SSE_HEADERS.items()
        ]

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: _Receive, send: _Send
    ) -> None:
        async with self._events as events:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            if scope.get("method") != "HEAD":
                await self._serve(events, receive, send)
            await _sent(send, {"type": "http.response.body", "body": b"", "more_body": False})
        if self.background is not None:
            await self.background()

    async def _serve(self, events: aio.Subscription, receive: _Receive, send: _Send) -> None:
        listening = asyncio.ensure_future(_until_disconnected(receive, events))
        try:
            async with contextlib.aclosing(_chunks(events, self._keep_alive)) as chunks:
                async for chunk in chunks:
                    body = {"type": "http.response.body", "body": chunk.encode()}
                    if listening.done() or not await _sent(send, {**body, "more_body": True}):
                        return
        finally:
            listening.cancel()
            await asyncio.wait([listening])


@functools.cache
def _event_response(response: type) -> type[_EventStream]:
    """What frameworks take for an answer that is ready."""
    return type("EventStreamResponse", (_EventStream, response), {})


async def _chunks(events: aio.Subscription, keep_alive: float) -> AsyncGenerator[str, None]:
    """What there is, in chunks of some size, and a comment where there is nothing for long."""
    epoch, following = events.epoch, None
    try:
        while True:
            following = following or asyncio.ensure_future(_following(events))
            done, _ = await asyncio.wait([following], timeout=keep_alive)
            if not done:
                yield ":\n\n"
                continue
            event, following = following.result(), None
            if event is None:
                return
            chunk, size = [], 0
            while event is not None:
                text = server_sent_event(event, epoch)
                chunk.append(text)
                size += len(text)
                # Behind the last of them nothing is taken that could not be given any more.
                event = None if size >= _CHUNK_CHARACTERS else events.sync._try_next_in_memory()
            yield "".join(chunk)
    finally:
        if following is not None:
            following.cancel()
            await asyncio.wait([following])


async def _following(events: aio.Subscription) -> Event | None:
    return await anext(events, None)


async def _until_disconnected(receive: _Receive, events: aio.Subscription) -> None:
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
    finally:
        events.close()


def _invalid(what: str) -> InvalidArgument:
    error = InvalidArgument(f"invalid argument: {what}")
    error.what = what
    return error


def _line(text: str) -> str:
    return "".join(" " if ord(letter) < 32 else letter for letter in text) + "\n"


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
        return number if number < 2**63 else None
    # The plus of an offset that was not encoded arrives as a space; older Pythons read no Z.
    plain = text.strip().replace(" ", "+").replace("Z", "+00:00").replace("z", "+00:00")
    try:
        moment = datetime.fromisoformat(plain)
    except ValueError:
        return None
    if moment.tzinfo is None and len(plain) == len("2026-03-07"):
        # A day without a time: its beginning in UTC, as the built-in server reads it.
        moment = moment.replace(tzinfo=timezone.utc)
    return moment if moment.tzinfo is not None else None


def _resumed(last_event_id: str | None) -> tuple[str | None, int] | None:
    """``<epoch>.<eventId>``, as ``…/events`` writes it."""
    epoch, dot, event_id = (last_event_id or "").strip().rpartition(".")
    number = _number(event_id)
    return (epoch, number) if dot and number is not None else None


async def _accept(socket: Socket, headers: Mapping[str, str]) -> bool:
    """Whether the peer was still there."""
    message = await socket.receive()
    if message["type"] != "websocket.connect":
        return False
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return await _sent(socket.send, {"type": "websocket.accept", "headers": raw})


async def _send_outputs(socket: Socket, link: aio.Link) -> None:
    async for output in link.outgoing():
        if isinstance(output, Send):
            message: dict[str, Any] = {"type": "websocket.send", "text": output.text}
        else:
            message = {
                "type": "websocket.close",
                "code": output.code,
                "reason": output.reason,
            }
        if not await _sent(socket.send, message):
            return


async def _sent(send: _Send, message: dict[str, Any]) -> bool:
    """Whether it went out. Frameworks raise errors of their own where the peer has gone; that is
    no error here, and receiving tells of it."""
    try:
        await send(message)
    except Exception:
        return False
    return True


async def _until_gone(socket: Socket, events: aio.Subscription) -> None:
    """What a subscriber sends means nothing; its end ends the stream."""
    try:
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass
    finally:
        events.close()
