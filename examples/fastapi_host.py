"""A FastAPI host that brings its own sockets: wrappers and watchers come to routes of the app.

Frames go in and out of a link by hand here, to show what that takes, and so that it can be done
with any other framework; `stayline.web.serve_link` and `serve_stream` are the same, ready made
(`docs/python.md`). What a link puts out is written to the socket, what the socket receives is
handed to the link, and when the socket is gone the link is told.

    python examples/fastapi_host.py [sqlite:runs.db [PORT]]
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

import stayline
import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from stayline import aio, web


def make_app(location: str) -> FastAPI:
    """The host's app, with a coordinator that lives as long as it."""
    coordinator = aio.Coordinator(location)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with coordinator:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.exception_handler(stayline.Error)
    async def refuse(_: Request, error: stayline.Error) -> Response:
        # Of a WebSocket too: a wrapper sees by the headers whether it is to come again.
        refused = web.refusal(error)
        return Response(refused.text, refused.status, refused.headers)

    @app.post("/sessions/{session_id:path}/runs")
    async def start(session_id: str) -> dict[str, str | None]:
        execution = await coordinator.session(session_id).start()
        return {"execution_id": execution.id, "token": execution.token}

    @app.post("/sessions/{session_id:path}/stop")
    async def stop(session_id: str) -> dict[str, str]:
        return {"verdict": await coordinator.session(session_id).interrupt()}

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(coordinator.metrics(), media_type="text/plain; version=0.0.4")

    @app.websocket("/sessions/{session_id:path}/ingest")
    async def ingest(socket: WebSocket, session_id: str) -> None:
        asked = web.attach_arguments(socket.query_params, socket.headers)
        async with coordinator.session(session_id).attach(**asked) as link:
            granted = web.accept_headers(link).items()
            await socket.accept(headers=[(k.encode(), v.encode()) for k, v in granted])
            sending = asyncio.create_task(send_outputs(socket, link))
            try:
                await receive_frames(socket, link)
            finally:
                sending.cancel()

    @app.websocket("/sessions/{session_id:path}/stream")
    async def stream(socket: WebSocket, session_id: str) -> None:
        asked = web.stream_arguments(socket.query_params)
        async with coordinator.session(session_id).stream(**asked) as events:
            await socket.accept()
            listening = asyncio.create_task(wait_until_gone(socket, events))
            try:
                # WebSocketDisconnect: the subscriber went while we wrote.
                with contextlib.suppress(WebSocketDisconnect):
                    async for event in events:
                        await socket.send_text(event.frame)
                    if not listening.done():
                        await socket.close(1012, "coordinator restarted")
            finally:
                listening.cancel()

    return app


async def send_outputs(socket: WebSocket, link: aio.Link) -> None:
    """Writes what the link puts out; its close is the last of it."""
    # When the socket is gone writing fails, and receiving is told why.
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        async for output in link.outgoing():
            if isinstance(output, stayline.Send):
                await socket.send_text(output.text)
            else:
                await socket.close(output.code, output.reason)


async def receive_frames(socket: WebSocket, link: aio.Link) -> None:
    """Hands over what the socket receives, and in the end how it ended."""
    while (message := await socket.receive())["type"] != "websocket.disconnect":
        text = message.get("text")
        # What comes behind the link's own close finds it closed.
        with contextlib.suppress(stayline.Closed, stayline.StoreError):
            await link.receive(message["bytes"] if text is None else text)
    await link.closed(message.get("code") or 1006, message.get("reason") or "")


async def wait_until_gone(socket: WebSocket, events: aio.Subscription) -> None:
    """Ends the stream when its subscriber goes."""
    async for _ in socket.iter_text():
        pass
    events.close()


def main(location: str = "memory:", port: str = "8000") -> None:
    """Serves the app on this machine."""
    # Pings find links that died without a word within the wrapper's own patience (R47a).
    uvicorn.run(
        make_app(location),
        port=int(port),
        ws="websockets-sansio",
        ws_ping_interval=10,
        ws_ping_timeout=15,
        log_level="warning",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
