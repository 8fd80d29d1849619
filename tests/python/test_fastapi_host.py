"""`examples/fastapi_host.py` and `stayline.web`, with real wrappers and real sockets."""

from __future__ import annotations

import importlib.util
import threading
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import stayline
from conftest import PATIENCE, eventually
from fastapi import FastAPI, Request, Response, WebSocket
from hosts import AppServer, post, watching
from proxy import CuttingProxy
from stayline import aio, web
from test_server import get

EXAMPLES = Path(__file__).parents[2] / "examples"
SESSION = "user_1/agent:1"


def example_app(location: str) -> FastAPI:
    """The example, as its file has it."""
    spec = importlib.util.spec_from_file_location("fastapi_host", EXAMPLES / "fastapi_host.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make_app(location)


def ready_made_app(location: str) -> FastAPI:
    """The same routes with the pumps of `stayline.web`."""
    coordinator = aio.Coordinator(location)

    @asynccontextmanager
    async def lifespan(_: FastAPI):
        async with coordinator:
            yield

    app = FastAPI(lifespan=lifespan)

    async def refuse(_: Request, error: stayline.Error) -> Response:
        refused = web.refusal(error)
        return Response(refused.text, refused.status, refused.headers)

    async def start(session_id: str) -> dict[str, str | None]:
        execution = await coordinator.session(session_id).start()
        return {"execution_id": execution.id, "token": execution.token}

    async def stop(session_id: str) -> dict[str, str]:
        return {"verdict": await coordinator.session(session_id).interrupt()}

    async def delete(session_id: str) -> dict[str, bool]:
        await coordinator.session(session_id).delete()
        return {"deleted": True}

    async def ingest(socket: WebSocket) -> None:
        asked = web.attach_arguments(socket.query_params, socket.headers)
        session = coordinator.session(socket.path_params["session_id"])
        async with session.attach(**asked) as link:
            await web.serve_link(socket, link)

    async def stream(socket: WebSocket) -> None:
        asked = web.stream_arguments(socket.query_params)
        session = coordinator.session(socket.path_params["session_id"])
        async with session.stream(**asked) as events:
            await web.serve_stream(socket, events)

    app.add_exception_handler(stayline.Error, refuse)
    base = "/sessions/{session_id:path}"
    # Plain routes: annotations inside a function cannot be looked up by the framework.
    for name, route in (("runs", start), ("stop", stop), ("delete", delete)):
        route.__annotations__ = {"session_id": str}
        app.post(f"{base}/{name}")(route)
    for name, socket_route in (("ingest", ingest), ("stream", stream)):
        socket_route.__annotations__ = {"socket": WebSocket}
        app.websocket(f"{base}/{name}")(socket_route)
    return app


@pytest.fixture(params=[example_app, ready_made_app], ids=["example", "ready-made"])
def make_app(request: pytest.FixtureRequest) -> Callable[[str], FastAPI]:
    return request.param


@pytest.fixture
def host(make_app: Callable[[str], FastAPI], location: str) -> Iterator[AppServer]:
    with AppServer(make_app(location)) as server:
        yield server


def start(host: AppServer) -> dict[str, str]:
    return post(f"{host.url}/sessions/{SESSION}/runs")


def wrapper(url: str, run: dict[str, str]) -> stayline.Wrapper:
    settings = stayline.Settings(reconnect_base_ms=20, reconnect_cap_ms=100, jitter=0.0)
    return stayline.Wrapper(
        url,
        session_id=SESSION,
        execution_id=run["execution_id"],
        token=run["token"],
        settings=settings,
    )


def test_a_run_survives_cuts_and_a_watcher_sees_each_event_once(host: AppServer) -> None:
    run = start(host)
    steps = 300
    with CuttingProxy(host.address) as proxy, watching(host.url, SESSION) as records:
        with wrapper(proxy.url, run) as sender:
            for n in range(steps):
                sender.send("output", {"n": n})
                if n % 100 == 50:
                    sender.wait_connected(PATIENCE)
                    assert eventually(proxy.cut)
            assert sender.complete(branch="main").status == "completed"
            assert sender.reconnects >= 1
        seen = []
        for record in records:
            if record["eventId"]:
                seen.append(record)
            if record["streamEventType"] == "complete":
                break
    assert [event["eventId"] for event in seen] == list(range(1, len(seen) + 1))
    outputs = [event["data"]["n"] for event in seen if event["streamEventType"] == "output"]
    assert outputs == list(range(steps))
    # A watcher who comes back goes on where it was.
    last = seen[-1]["eventId"]
    with watching(host.url, SESSION, fromId=last - 1, eventTypes="complete") as records:
        assert next(records)["eventId"] == last
        assert next(records)["streamEventType"] == "connected"


def test_refusals_tell_the_wrapper_whether_to_come_again(host: AppServer) -> None:
    run = start(host)
    began = threading.Event()
    for wrong in (run | {"token": "wrong"}, run | {"execution_id": "unknown"}):
        with pytest.raises(stayline.Error) as refused, wrapper(host.url, wrong):
            began.set()
        assert isinstance(refused.value, stayline.Disconnected)
    assert not began.is_set()
    with pytest.raises(urllib.error.HTTPError) as busy:
        start(host)
    with busy.value as answer:
        assert answer.code == 409
        assert run["execution_id"].encode() in answer.read()
    with wrapper(host.url, run) as sender:
        sender.complete()
    late = wrapper(host.url, run)
    # The run has its ending: this wrapper is told so, and does not come again.
    assert late.outcome(timeout=PATIENCE).status == "completed"


def test_a_stop_reaches_the_wrapper(host: AppServer) -> None:
    run = start(host)
    with wrapper(host.url, run) as sender:
        sender.wait_connected(PATIENCE)
        assert post(f"{host.url}/sessions/{SESSION}/stop") == {"verdict": "sent"}
        signals = sender.signals(timeout=PATIENCE)
        assert next(signals) == stayline.Kill("SIGTERM")
        assert sender.interrupted("asked to").status == "interrupted"


def test_bad_frames_are_answered_by_the_link(host: AppServer) -> None:
    run = start(host)
    from websockets.sync.client import connect

    query = f"executionId={run['execution_id']}&token={run['token']}"
    url = host.url.replace("http", "ws", 1)
    with connect(f"{url}/sessions/{SESSION}/ingest?{query}", proxy=None) as client:
        for bad in ("no json", b"\x00"):
            client.send(bad)
            assert "WS_PROTOCOL_ERROR" in client.recv(timeout=PATIENCE)
        client.send('{"streamEventType":"complete","data":{"exitCode":0}}')
        with pytest.raises(Exception, match="4000"):
            client.recv(timeout=PATIENCE)


def test_the_example_shows_its_metrics(location: str) -> None:
    with AppServer(example_app(location)) as host:
        start(host)
        status, page = get(f"{host.url}/metrics")
        assert status == 200
        assert b'stayline_executions{status="pending"} 1\n' in page


def test_a_deleted_session_ends_its_watchers(location: str) -> None:
    with AppServer(ready_made_app(location)) as host:
        start(host)
        with watching(host.url, SESSION) as records:
            assert next(records)["streamEventType"] == "connected"
            post(f"{host.url}/sessions/{SESSION}/delete")
            assert [record["streamEventType"] for record in records][-1] == "deleted"
        assert get(f"{host.url}/sessions/{SESSION}/runs")[0] == 405
