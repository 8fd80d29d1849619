"""`stayline.web.serve_sse`, with a real server and clients that stay, go, read, and do not."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import stayline
from conftest import PATIENCE, eventually, frame
from fastapi import FastAPI, Request, Response
from hosts import AppServer
from starlette.responses import Response as StarletteResponse
from stayline import aio, web

SESSION = "user_1/agent:1"
PATH = f"/sessions/{quote(SESSION, safe='')}/events"


def make_app(
    coordinator: stayline.Coordinator, keep_alive: float, *, has_middleware: bool
) -> FastAPI:
    """Two routes: FastAPI's, and Starlette's own."""
    shown = aio.Coordinator.of(coordinator)

    @asynccontextmanager
    async def lifespan(_: FastAPI):
        yield
        # Those who read are told so when the host ends.
        coordinator.close()

    app = FastAPI(lifespan=lifespan)
    app.add_exception_handler(stayline.Error, lambda _, error: Response(*web.refusal(error)))

    async def events(request: Request) -> Response:
        asked = web.stream_arguments(request.query_params, request.headers)
        session = shown.session(request.path_params["session_id"])
        answer = web.serve_sse(session.stream(**asked), keep_alive=keep_alive)
        answer.headers["X-Of-The-Host"] = "yes"
        return answer

    events.__annotations__ = {"request": Request}
    app.get("/sessions/{session_id:path}/events")(events)
    app.add_route("/plain/sessions/{session_id:path}/events", events)
    if has_middleware:

        @app.middleware("http")
        async def passes_on(request: Any, call_next: Any) -> Any:
            return await call_next(request)

    return app


@pytest.fixture(params=[False, True], ids=["bare", "middleware"])
def has_middleware(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture
def host(coordinator: stayline.Coordinator, has_middleware: bool) -> Iterator[AppServer]:
    app = make_app(coordinator, 10.0, has_middleware=has_middleware)
    with AppServer(app) as server:
        yield server


@contextmanager
def reading(url: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        yield answer


def events(answer: http.client.HTTPResponse) -> Iterator[tuple[str | None, dict[str, Any]]]:
    event_id, data = None, []
    for line in answer:
        match line.decode().rstrip("\n").partition(": "):
            case ("id", _, event_id):
                pass
            case ("data", _, text):
                data.append(text)
            case _ if data:
                yield event_id, json.loads("\n".join(data))
                event_id, data = None, []


def subscribers(coordinator: stayline.Coordinator) -> int:
    lines = coordinator.metrics().splitlines()
    return int(next(line for line in lines if line.startswith("stayline_subscribers ")).split()[1])


def told(coordinator: stayline.Coordinator, count: int, text: str = "") -> stayline.Link:
    session = coordinator.session(SESSION)
    session.start("e")
    link = session.attach("e", trusted=True)
    for n in range(1, count + 1):
        link.receive(frame("output", {"n": n, "text": text}))
    eventually(lambda: session.count_events() == count)
    return link


def test_it_is_what_the_built_in_server_sends(
    coordinator: stayline.Coordinator, host: AppServer
) -> None:
    told(coordinator, 300, "x\u2028y" * 20)
    with coordinator.serve() as server:
        texts = []
        for url in (host.url, f"{host.url}/plain", server.url):
            with reading(f"{url}{PATH}?fromId=7") as answer:
                headers = answer.headers
                assert headers["Content-Type"] == "text/event-stream"
                assert headers["Cache-Control"] == "no-store"
                assert headers["X-Accel-Buffering"] == "no"
                assert headers["Content-Length"] is None
                # An id, its data, and an empty line.
                texts.append([answer.readline() for _ in range(3 * 293)])
                connected = next(events(answer))
            assert connected[0] is None
            assert connected[1]["data"]["lastEventId"] == 300
        assert texts[0] == texts[1] == texts[2]
    with reading(f"{host.url}{PATH}") as answer:
        assert answer.headers["X-Of-The-Host"] == "yes"


def test_a_reader_that_comes_back_goes_on_where_it_was(
    coordinator: stayline.Coordinator, host: AppServer
) -> None:
    link = told(coordinator, 5)
    with reading(f"{host.url}{PATH}") as answer:
        stream = events(answer)
        last_id = [next(stream)[0] for _ in range(3)][-1]
    assert last_id is not None
    with reading(f"{host.url}{PATH}?fromId=0", **{"Last-Event-ID": last_id}) as answer:
        stream = events(answer)
        kinds = [next(stream)[1]["streamEventType"] for _ in range(3)]
        assert kinds == ["output", "output", "connected"]
        link.receive(frame("complete", {"exitCode": 0}))
        event_id, event = next(stream)
        assert (event_id, event["eventId"]) == (f"{last_id.rpartition('.')[0]}.6", 6)


def test_the_route_of_the_page(coordinator: stayline.Coordinator) -> None:
    """As `docs/python.md` has it."""
    page = (Path(__file__).parents[2] / "docs" / "python.md").read_text()
    (source,) = re.findall(r"^```python\n(@app.get.*?)^```$", page, re.M | re.S)
    app = FastAPI()
    shown = aio.Coordinator.of(coordinator)
    exec(source, {"app": app, "web": web, "coordinator": shown, "Request": Request})
    coordinator.session("demo").start()
    with AppServer(app) as host, reading(f"{host.url}/sessions/demo/events") as answer:
        assert next(events(answer))[1]["streamEventType"] == "connected"


def test_refusals_come_before_anything_is_sent(host: AppServer) -> None:
    for base in ("", "/plain"):
        with pytest.raises(urllib.error.HTTPError) as refused, reading(f"{host.url}{base}{PATH}"):
            pass
        with refused.value as answer:
            assert answer.code == 404
            assert SESSION.encode() in answer.read()


def test_silence_is_filled_with_comments(coordinator: stayline.Coordinator) -> None:
    link = told(coordinator, 1)
    app = make_app(coordinator, 0.02, has_middleware=False)
    with AppServer(app) as host, reading(f"{host.url}{PATH}?replay=false") as answer:
        stream = events(answer)
        assert next(stream)[1]["streamEventType"] == "connected"
        assert [answer.readline() for _ in range(6)] == [b":\n", b"\n"] * 3
        link.receive(frame("output", {"n": 2}))
        assert next(stream)[1]["data"] == {"n": 2}
    for wrong in (0, -1.0, float("nan")):
        with pytest.raises(stayline.InvalidArgument, match="keep_alive"):
            web.serve_sse(aio.Coordinator.of(coordinator).session("s").stream(), keep_alive=wrong)


def test_who_goes_leaves_nothing_behind(coordinator: stayline.Coordinator, host: AppServer) -> None:
    told(coordinator, 3)
    with reading(f"{host.url}{PATH}") as answer:
        next(events(answer))
    eventually(lambda: subscribers(coordinator) == 0)
    threads = threading.active_count()
    for _ in range(20):
        with reading(f"{host.url}{PATH}") as answer:
            stream = events(answer)
            while next(stream)[1]["streamEventType"] != "connected":
                pass
            # It waits for what comes next, which never does.
            assert subscribers(coordinator) >= 1
    eventually(lambda: subscribers(coordinator) == 0)
    assert threading.active_count() <= threads + 2


def connected_socket(host: AppServer) -> socket.socket:
    """A reader with little room, that has asked and reads nothing."""
    address, port = host.address.split(":")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024)
    client.settimeout(PATIENCE)
    client.connect((address, int(port)))
    client.sendall(f"GET {PATH} HTTP/1.1\r\nHost: {host.address}\r\n\r\n".encode())
    return client


def lag(coordinator: stayline.Coordinator) -> int:
    lines = coordinator.metrics().splitlines()
    name = "stayline_subscriber_lag_events_max "
    return int(next(line for line in lines if line.startswith(name)).split()[1])


@pytest.mark.timeout(120)
def test_who_reads_nothing_holds_up_nobody_and_misses_nothing(
    coordinator: stayline.Coordinator, host: AppServer
) -> None:
    count = 600
    told(coordinator, count, "x" * 32 * 1024)
    with connected_socket(host) as silent:
        eventually(lambda: subscribers(coordinator) == 1)
        with reading(f"{host.url}{PATH}") as answer:
            stream = events(answer)
            assert [next(stream)[1]["eventId"] for _ in range(count)] == [*range(1, count + 1)]
        eventually(lambda: subscribers(coordinator) == 1)
        # What the kernel holds of 20 MB is less than the half of it; the rest was not looked at.
        assert lag(coordinator) > count // 2
        received = http.client.HTTPResponse(silent)
        received.begin()
        stream = events(received)
        assert [next(stream)[1]["eventId"] for _ in range(count)] == [*range(1, count + 1)]
        received.close()
    with connected_socket(host):
        eventually(lambda: subscribers(coordinator) == 1)
        eventually(lambda: lag(coordinator) < count)
    # It goes without ever having read.
    eventually(lambda: subscribers(coordinator) == 0)


@pytest.mark.parametrize("end", ["delete", "close"])
def test_the_answer_ends_with_the_stream(
    coordinator: stayline.Coordinator, host: AppServer, end: str
) -> None:
    told(coordinator, 1)
    with reading(f"{host.url}{PATH}") as answer:
        stream = events(answer)
        assert [next(stream)[1]["streamEventType"] for _ in range(2)] == ["output", "connected"]
        if end == "delete":
            threading.Thread(target=coordinator.session(SESSION).delete).start()
        else:
            threading.Thread(target=coordinator.close).start()
        kinds = [event["streamEventType"] for _, event in stream]
    assert kinds[-1:] == (["deleted"] if end == "delete" else [])


def test_head_is_answered_without_a_stream(
    coordinator: stayline.Coordinator, host: AppServer
) -> None:
    told(coordinator, 1)
    request = urllib.request.Request(f"{host.url}/plain{PATH}", method="HEAD")
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.read() == b""
    eventually(lambda: subscribers(coordinator) == 0)


def test_a_host_that_ends_ends_its_streams(coordinator: stayline.Coordinator) -> None:
    told(coordinator, 1)
    server = AppServer(make_app(coordinator, 10.0, has_middleware=False))
    # Uvicorn waits for answers that are under way, for ever unless it is told how long.
    server._server.config.timeout_graceful_shutdown = 1
    with server, reading(f"{server.url}{PATH}") as answer:
        stream = events(answer)
        assert [next(stream)[1]["streamEventType"] for _ in range(2)] == ["output", "connected"]
        server._server.should_exit = True
        with suppress(http.client.IncompleteRead, ConnectionError):
            assert list(stream) == []


PLAIN = """
import asyncio, sys
import stayline
from stayline import aio, web

async def main():
    async with aio.Coordinator("memory:") as coordinator:
        session = coordinator.session("s")
        sent, gone = [], asyncio.Event()

        async def receive():
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)
            if b"connected" in message.get("body", b""):
                gone.set()

        scope = {"type": "http", "method": "GET"}
        try:
            await web.serve_sse(session.stream())(scope, receive, send)
        except stayline.NotFound:
            print("not found", sent)
        await session.start("e")
        events = await session.stream()
        await web.serve_sse(events)(scope, receive, send)
        assert sent[0]["headers"][0] == (b"content-type", b"text/event-stream"), sent
        assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}, sent
        print(len(sent), events.ended, len(asyncio.all_tasks()), "starlette" in sys.modules)

asyncio.run(main())
"""


def test_without_starlette_it_is_an_asgi_application() -> None:
    ran = subprocess.run([sys.executable, "-c", PLAIN], capture_output=True, text=True)
    assert ran.stdout.splitlines() == ["not found []", "3 True 1 False"], ran.stderr


def test_with_starlette_it_is_an_answer(coordinator: stayline.Coordinator) -> None:
    session = aio.Coordinator.of(coordinator).session("s")
    first, second = (web.serve_sse(session.stream()) for _ in range(2))
    assert isinstance(first, StarletteResponse)
    # The kind is made once.
    assert type(first) is type(second)
