"""The built-in server as Python starts it."""

from __future__ import annotations

import http.client
import socket
import threading
import time
import urllib.error
import urllib.request
from contextlib import closing
from typing import Any

import pytest
import stayline
from conftest import PATIENCE
from proxy import CuttingProxy


def get(url: str, key: str | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(url)
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def connect(server: stayline.Server, token: str | None = None) -> stayline.Wrapper:
    return stayline.Wrapper(server.url, session_id="s", execution_id="e", token=token)


@pytest.fixture
def coordinator() -> stayline.Coordinator:
    coordinator = stayline.Coordinator("memory:")
    coordinator.session("s").start("e")
    return coordinator


def test_it_serves_until_closed(coordinator: stayline.Coordinator) -> None:
    with coordinator.serve() as server:
        assert server.url == f"http://{server.address}"
        assert repr(server) == f"<stayline.Server at {server.url}>"
        assert get(f"{server.url}/health")[0] == 200
    server.close()
    with pytest.raises(urllib.error.URLError):
        get(f"{server.url}/health")


def test_it_serves_although_nobody_holds_it(coordinator: stayline.Coordinator) -> None:
    url = coordinator.serve(base_path="/agents").url
    assert url.endswith("/agents")
    assert get(f"{url}/health")[0] == 200
    coordinator.close()
    with pytest.raises(urllib.error.URLError):
        get(f"{url}/health")


def test_an_ending_reaches_the_wrapper_although_the_host_closes_at_once(location: str) -> None:
    ended: list[stayline.Ended] = []

    def finish(wrapper: stayline.Wrapper) -> None:
        ended.append(wrapper.complete())

    for number in range(25):
        with (
            stayline.Coordinator(location) as coordinator,
            coordinator.serve() as server,
        ):
            execution = coordinator.session("s").start(f"e{number}", token="t")
            wrapper = stayline.Wrapper(
                server.url, session_id="s", execution_id=execution.id, token="t"
            )
            agent = threading.Thread(target=finish, args=(wrapper,))
            agent.start()
            for _ in coordinator.session("s").stream(until=execution.id):
                pass
        agent.join(PATIENCE)
        told = not agent.is_alive()
        wrapper.close()
        assert told, "the wrapper waits for an ending that was never sent"
    assert [one.status for one in ended] == ["completed"] * 25


def test_a_key_is_asked_for(coordinator: stayline.Coordinator) -> None:
    with pytest.raises(stayline.InvalidArgument, match="key"):
        coordinator.serve("0.0.0.0:0")
    with coordinator.serve(key="secret") as server:
        assert get(f"{server.url}/sessions")[0] == 401
        assert get(f"{server.url}/sessions", "secret")[0] == 200
    with pytest.raises(stayline.InvalidArgument):
        coordinator.serve("nowhere")


def test_tickets(coordinator: stayline.Coordinator) -> None:
    ticket = coordinator.issue_ticket("s", ttl=60)
    coordinator.verify_ticket("s", ticket)
    for session_id, wrong in (("other", ticket), ("s", ticket + "x"), ("s", "")):
        with pytest.raises(stayline.Unauthorized):
            coordinator.verify_ticket(session_id, wrong)


def test_authorize_decides_on_a_python_thread(coordinator: stayline.Coordinator) -> None:
    asked: list[tuple[str, str, str | None, str]] = []

    def authorize(session_id: str, execution_id: str, bearer: str | None) -> bool:
        thread = threading.current_thread().name
        asked.append((session_id, execution_id, bearer, thread))
        return bearer == "open sesame"

    with coordinator.serve(authorize=authorize) as server:
        with pytest.raises(stayline.Disconnected), connect(server, "wrong"):
            pytest.fail("let in")
        with connect(server, "open sesame") as wrapper:
            assert wrapper.state == "connected"
    assert asked == [
        ("s", "e", "wrong", "stayline-authorize"),
        ("s", "e", "open sesame", "stayline-authorize"),
    ]
    for thread in threading.enumerate():
        if thread.name == "stayline-authorize":
            thread.join(PATIENCE)
            assert not thread.is_alive()


@pytest.mark.parametrize("fails", ["raises", "None", "exits"])
def test_an_authorize_that_fails_once_costs_a_run_nothing(
    coordinator: stayline.Coordinator, fails: str
) -> None:
    calls: list[str | None] = []

    def authorize(session_id: str, execution_id: str, bearer: str | None) -> bool | None:
        calls.append(bearer)
        if len(calls) == 2:
            if fails == "None":
                return None
            raise RuntimeError("no database") if fails == "raises" else SystemExit(1)
        return True

    with coordinator.serve(authorize=authorize) as server:
        settings = stayline.Settings(reconnect_base_ms=5)
        with (
            CuttingProxy(server.address) as proxy,
            stayline.Wrapper(
                proxy.url, session_id="s", execution_id="e", settings=settings
            ) as wrapper,
        ):
            proxy.cut()
            for signal in wrapper.signals(timeout=PATIENCE):
                assert not isinstance(signal, stayline.Kill), signal
                if isinstance(signal, stayline.Reconnected):
                    break
            else:
                pytest.fail("it did not come back")
            assert len(calls) == 3
            assert wrapper.complete(timeout=PATIENCE).status == "completed"


def test_an_authorize_that_goes_on_failing_is_told_once_a_minute(
    coordinator: stayline.Coordinator,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def authorize(*asked: object) -> bool:
        raise RuntimeError("no database")

    def ask(server: stayline.Server, times: int) -> None:
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        for _ in range(times):
            with closing(http.client.HTTPConnection(server.address, timeout=PATIENCE)) as peer:
                peer.request("GET", "/sessions/s/ingest?executionId=e", headers=headers)
                assert peer.getresponse().status == 503

    def told() -> list[str]:
        records = [one for one in caplog.records if "authorize raised" in one.getMessage()]
        assert all(one.exc_info for one in records)
        return [one.getMessage() for one in records]

    with coordinator.serve(authorize=authorize) as server:
        ask(server, 40)
        assert len(told()) == 1
        # As if a minute were over.
        monkeypatch.setattr("stayline._threads._Seldom._INTERVAL", 0.0)
        ask(server, 1)
        assert len(told()) == 2
        assert told()[1].endswith("; 39 times more since this was told")


async def _async_no(*asked: object) -> bool:
    return False


@pytest.mark.parametrize("said", ["denied", 1, 0, [], _async_no])
def test_what_is_no_answer_lets_nobody_in(
    coordinator: stayline.Coordinator, said: object, caplog: pytest.LogCaptureFixture
) -> None:
    def authorize(*asked: object) -> Any:
        return said(*asked) if callable(said) else said

    with caplog.at_level("ERROR", "stayline"), coordinator.serve(authorize=authorize) as server:
        head = refused(server, "anything")
    assert head.startswith("HTTP/1.1 503 ")
    assert "stayline-refusal" not in head
    assert "True, False or None" in caplog.text


def test_an_authorize_that_takes_too_long_is_no_no() -> None:
    leave = threading.Event()
    settings = stayline.Settings(authorize_timeout_ms=50)
    with stayline.Coordinator("memory:", settings=settings) as coordinator:
        coordinator.session("s").start("e")

        def authorize(session_id: str, execution_id: str, bearer: str | None) -> bool:
            return bearer != "slow" or leave.wait(PATIENCE)

        with coordinator.serve(authorize=authorize) as server:
            head = refused(server, "slow")
            assert head.startswith("HTTP/1.1 503 ")
            assert "stayline-refusal" not in head
            assert "retry-after: 1" in head
            # It holds up nobody else meanwhile.
            with connect(server, "quick") as wrapper:
                assert wrapper.state == "connected"
            leave.set()


def refused(server: stayline.Server, bearer: str) -> str:
    """The head of the answer to an upgrade, in small letters but for its first line."""
    host, _, port = server.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as peer:
        peer.sendall(
            f"GET /sessions/s/ingest?executionId=e&token={bearer} HTTP/1.1\r\n"
            f"host: {server.address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            more = peer.recv(4096)
            assert more, head
            head += more
    first, _, rest = head.decode().partition("\r\n")
    return f"{first}\r\n{rest.lower()}"


def test_an_authorize_that_hangs_does_not_hold_up_closing(
    coordinator: stayline.Coordinator,
) -> None:
    entered, leave = threading.Event(), threading.Event()

    def authorize(*asked: object) -> bool:
        entered.set()
        return leave.wait(PATIENCE)

    server = coordinator.serve(authorize=authorize)
    wrappers = [connect(server) for _ in range(2)]
    assert entered.wait(PATIENCE)
    began = time.monotonic()
    server.close()
    # Neither for the callback nor for the time a question may take.
    assert time.monotonic() - began < 8
    leave.set()
    for wrapper in wrappers:
        wrapper.close()
