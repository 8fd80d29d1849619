"""The built-in server as Python starts it."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request

import pytest
import stayline
from conftest import PATIENCE


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
        with stayline.Coordinator(location) as coordinator, coordinator.serve() as server:
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


def test_an_authorize_that_raises_denies(coordinator: stayline.Coordinator) -> None:
    def authorize(*asked: object) -> bool:
        raise RuntimeError("no database")

    with coordinator.serve(authorize=authorize) as server:
        with pytest.raises(stayline.Disconnected), connect(server):
            pytest.fail("let in")


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
