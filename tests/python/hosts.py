"""What the tests of hosts with servers of their own share."""

from __future__ import annotations

import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any
from urllib.parse import quote

import uvicorn
from conftest import PATIENCE, eventually
from fastapi import FastAPI
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


class AppServer:
    """Serves an app from a thread of this process."""

    def __init__(self, app: FastAPI) -> None:
        config = uvicorn.Config(
            app, port=0, ws="websockets-sansio", lifespan="on", log_level="warning"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    @property
    def address(self) -> str:
        host, port = self._server.servers[0].sockets[0].getsockname()
        return f"{host}:{port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def __enter__(self) -> AppServer:
        self._thread.start()
        assert eventually(lambda: self._server.started or not self._thread.is_alive())
        assert self._thread.is_alive(), "the app did not start"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


def post(url: str) -> Any:
    """A POST without a body; what it answers."""
    request = urllib.request.Request(url, method="POST")
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.loads(answer.read())


@contextmanager
def watching(url: str, session_id: str, **query: object) -> Iterator[Iterator[dict[str, Any]]]:
    """The records of a session's stream, until the server closes it."""
    asked = "&".join(f"{name}={quote(str(value))}" for name, value in query.items())
    base = url.replace("http", "ws", 1)
    path = f"/sessions/{quote(session_id, safe='')}/stream?{asked}"
    with connect(f"{base}{path}", proxy=None, open_timeout=PATIENCE) as client:

        def records() -> Iterator[dict[str, Any]]:
            try:
                while True:
                    yield json.loads(client.recv(timeout=PATIENCE))
            except ConnectionClosed:
                return

        yield records()


def free_port() -> int:
    """One that nobody listens at now, to be taken again after a restart."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
