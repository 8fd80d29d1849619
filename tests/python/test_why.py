"""Errors say why, and what to look at."""

from __future__ import annotations

import asyncio
import http.server
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import stayline
from command import call
from conftest import PATIENCE, eventually
from stayline import aio, sansio
from stayline.cli import places
from stayline.cli.rest import Rest, ServerRefused


@pytest.fixture
def server(coordinator: stayline.Coordinator) -> Iterator[stayline.Server]:
    with coordinator.serve() as server:
        yield server


@pytest.fixture
def wrapper(server: stayline.Server, session: stayline.Session) -> Iterator[stayline.Wrapper]:
    token = session.start("e").token
    with stayline.Wrapper(
        server.url, session_id=session.id, execution_id="e", token=token
    ) as wrapper:
        yield wrapper


# --- Closed ---------------------------------------------------------------------------------------


def said(call: Callable[[], object]) -> str:
    with pytest.raises(stayline.Closed) as caught:
        call()
    return str(caught.value)


def test_a_wrapper_that_its_host_closed_says_so(wrapper: stayline.Wrapper) -> None:
    wrapper.close()
    for ask in (
        lambda: wrapper.send("output"),
        lambda: wrapper.try_send("output"),
        wrapper.complete,
        lambda: wrapper.fail("x"),
        wrapper.outcome,
        wrapper.wait_connected,
        wrapper.begin_turn,
    ):
        assert said(ask) == "the wrapper was closed by its own host"


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (lambda wrapper: wrapper.complete(timeout=PATIENCE), "completed"),
        (lambda wrapper: wrapper.fail("x", timeout=PATIENCE), "failed"),
        (lambda wrapper: wrapper.interrupted(timeout=PATIENCE), "interrupted"),
        (lambda wrapper: wrapper.send("complete", {"exitCode": 0}), "completed"),
    ],
)
def test_a_wrapper_that_ended_its_run_says_so(
    end: Callable[[stayline.Wrapper], object], status: str, wrapper: stayline.Wrapper
) -> None:
    end(wrapper)
    told = f"this wrapper has ended its run itself, as {status}; nothing can follow"
    assert said(lambda: wrapper.send("output")) == told
    assert said(wrapper.complete) == told
    wrapper.close()
    assert said(lambda: wrapper.send("output")) == told


def test_a_run_that_others_ended_says_how(
    wrapper: stayline.Wrapper, session: stayline.Session
) -> None:
    session.fail("e", "no sandbox left")
    assert eventually(lambda: wrapper.poll_outcome())
    told = "the run has ended: failed (no sandbox left)"
    assert said(lambda: wrapper.send("output")) == told
    assert said(wrapper.complete) == told
    assert said(lambda: wrapper.interrupted("x")) == told


def test_what_has_no_coordinator_any_more_says_so() -> None:
    coordinator = stayline.Coordinator("memory:")
    session = coordinator.session("s")
    session.start("e")
    link = session.attach("e", trusted=True)
    coordinator.close()
    assert said(lambda: session.start("f")) == "the coordinator was closed"
    assert said(coordinator.sessions) == "the coordinator was closed"
    assert "closed" in said(lambda: link.receive("{}"))


def test_no_reason_steers_a_terminal(wrapper: stayline.Wrapper, session: stayline.Session) -> None:
    session.fail("e", "\x1b[31m" + "x" * 10_000)
    assert eventually(lambda: wrapper.poll_outcome())
    told = said(lambda: wrapper.send("output"))
    assert "\x1b" not in told
    assert len(told) < 1_000


def test_the_machine_alone_says_the_same() -> None:
    machine = sansio.Wrapper()
    machine.open("e", 1_000)
    machine.fail("x", now_ms=1_000)
    assert "as failed" in said(lambda: machine.send("output", now_ms=1_000))
    other = sansio.Wrapper()
    other.open("e", 1_000)
    other.close(1_000)
    assert isinstance(other.outcome, stayline.Closed)
    assert str(other.outcome) == "the wrapper was closed by its own host"


def test_an_event_loop_says_the_same(server: stayline.Server, session: stayline.Session) -> None:
    token = session.start("e").token

    async def main() -> None:
        async with aio.Wrapper(
            server.url, session_id=session.id, execution_id="e", token=token
        ) as wrapper:
            await wrapper.complete(timeout=PATIENCE)
            with pytest.raises(stayline.Closed, match="itself, as completed"):
                await wrapper.send("output")

    asyncio.run(main())


# --- a wrong address ------------------------------------------------------------------------------

PAGES = {
    "/page": (200, {"Content-Type": "text/html"}, b"<!doctype html>\n<title>Welcome</title>"),
    "/moved": (308, {"Location": "https://user:secret@elsewhere.example/sessions"}, b""),
    "/none": (404, {}, b"no such page\n"),
    "/away": (502, {"Content-Type": "text/html"}, b"<title>502 Bad Gateway</title>"),
}


class Stranger(http.server.BaseHTTPRequestHandler):
    """What is no server of ours."""

    protocol_version = "HTTP/1.1"
    #: A wrapper shows of an answer what comes with its head.
    wbufsize = -1

    def do_GET(self) -> None:
        status, headers, body = PAGES[f"/{self.path.split('/')[1]}"]
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def stranger() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


LOOK = "check the address and its base path"
ANSWERED = {
    "/page": f'answered 200 with a web page "Welcome"; {LOOK}',
    "/moved": "answered 308, a redirect to https://…@elsewhere.example/sessions; "
    "give the address that it leads to",
    "/none": f"answered 404 (no such page); {LOOK}",
    "/away": 'answered 502 with a web page "502 Bad Gateway"',
}


@pytest.mark.parametrize("path", PAGES)
def test_a_wrapper_says_what_answers_at_a_wrong_address(path: str, stranger: str) -> None:
    with (
        pytest.raises(stayline.Disconnected) as caught,
        stayline.Wrapper(stranger + path, session_id="s", execution_id="e", token="t"),
    ):
        pytest.fail("entered")
    asked = f"{stranger}{path}/sessions/s/ingest"
    assert caught.value.reason == (
        f"ingest websocket could not be opened ({asked} {ANSWERED[path]})"
    )


def test_a_server_below_another_base_path_says_so(server: stayline.Server) -> None:
    wrapper = stayline.Wrapper(f"{server.url}/api", session_id="s", execution_id="e", token="t")
    with pytest.raises(stayline.Disconnected) as caught:
        wrapper.wait_connected(PATIENCE)
    asked = f"{server.url}/api/sessions/s/ingest"
    assert f"{asked} answered 404 (not found: this address); {LOOK}" in caught.value.reason


def test_a_refusal_of_a_server_says_what_for(server: stayline.Server) -> None:
    wrapper = stayline.Wrapper(server.url, session_id="nobody", execution_id="e", token="t")
    with pytest.raises(stayline.Disconnected) as caught:
        wrapper.wait_connected(PATIENCE)
    told = 'the coordinator refused the link (not_found): not found: session "nobody"'
    assert caught.value.reason == told


def test_what_is_tried_again_is_not_tried_in_silence(
    stranger: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = stayline.Settings(reconnect_base_ms=10, reconnect_cap_ms=20, give_up_after_ms=1_500)
    with caplog.at_level(logging.WARNING, "stayline"):
        for path in PAGES:
            caplog.clear()
            wrapper = stayline.Wrapper(
                stranger + path,
                session_id="s",
                execution_id="e",
                token="t",
                retry_first=True,
                settings=settings,
            )
            with pytest.raises(stayline.Disconnected) as caught:
                wrapper.wait_connected(PATIENCE)
            assert wrapper.attempts > 1
            asked = f"{stranger}{path}/sessions/s/ingest"
            gave_up = "ingest websocket closed (reconnection failed)"
            if path == "/away":
                assert (caplog.messages, caught.value.reason) == ([], gave_up)
            else:
                # Once a minute, however often it was tried.
                assert eventually(lambda: caplog.messages)
                assert caplog.messages == [f"{asked} {ANSWERED[path]}; it is tried again"]
                assert caught.value.reason == f"{gave_up}: {asked} {ANSWERED[path]}"


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    "command", [("runs",), ("runs", "--session", "s"), ("events", "s"), ("run", "--", "true")]
)
def test_the_command_line_says_it_too(
    path: str, command: tuple[str, ...], stranger: str, tmp_path: Path
) -> None:
    first, *rest = command
    answer = call(tmp_path, first, "--to", stranger + path, *rest, STAYLINE_KEY="key")
    assert answer.returncode == 1
    assert answer.stderr.count(b"\n") == 1
    told = answer.stderr.decode()
    assert f"{stranger}{path}/sessions" in told
    expected = ANSWERED[path].replace(f"; {LOOK}", f", which is no answer of Stayline; {LOOK}")
    assert expected in told
    assert "secret" not in told


def test_the_command_line_knows_a_base_path_from_a_session(
    server: stayline.Server, tmp_path: Path
) -> None:
    for command in (("runs",), ("runs", "--session", "s"), ("events", "s")):
        answer = call(tmp_path, command[0], "--to", f"{server.url}/api", *command[1:])
        assert answer.returncode == 1
        assert f"answered 404 (not found: this address); {LOOK}" in answer.stderr.decode()


def test_a_redirect_takes_the_key_nowhere(stranger: str) -> None:
    seen: list[str] = []

    class Redirecting(Stranger):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"{stranger}/page")
            self.send_header("Content-Length", "0")
            self.end_headers()
            seen.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        rest = Rest(f"http://127.0.0.1:{server.server_port}", "key")
        with pytest.raises(ServerRefused, match="a redirect to"):
            rest.get("s")
        server.shutdown()
        thread.join()
    assert seen == ["/sessions/s"]


# --- StoreInUse -----------------------------------------------------------------------------------


def test_a_store_in_use_says_by_whom_since_when_and_what_to_do(tmp_path: Path) -> None:
    location = f"sqlite:{tmp_path / 'runs.db'}"
    with stayline.Coordinator(location) as coordinator, coordinator.serve() as server:
        with pytest.raises(stayline.StoreInUse) as caught:
            stayline.Coordinator(location)
        told = str(caught.value)
        assert (caught.value.pid, caught.value.url) == (os.getpid(), server.url)
        assert caught.value.program
        assert f"({caught.value.program}, pid {os.getpid()}) since " in told
        assert " UTC, " in told
        assert " ago, and serves " in told
        assert told.endswith("stop it, choose another file, or open read-only")
        answer = call(tmp_path, "serve", "--store", location, "--listen", "127.0.0.1:0")
        assert answer.returncode == 1
        said = answer.stderr.decode()
        assert f"runs.db is in use ({caught.value.program}, pid {os.getpid()}) since " in said
        assert f"reach it by --to {server.url}, stop it (kill {os.getpid()})" in said
        assert said.rstrip().endswith("or name another file by --store")


@pytest.mark.parametrize(
    ("ago_s", "told"),
    [
        (1, "1 second ago"),
        (119, "119 seconds ago"),
        (190, "3 minutes ago"),
        (7_200, "2 hours ago"),
        (9 * 86_400, "9 days ago"),
    ],
)
def test_an_owner_is_told_in_the_readers_time(ago_s: int, told: str) -> None:
    now_ms = 1_772_884_800_000
    owner = stayline.StoreInUse("x")
    fields = {"pid": 42, "since": now_ms - ago_s * 1_000, "url": None, "program": "agent"}
    vars(owner).update(fields)
    error = places.in_use("sqlite:a/runs.db", owner, now_ms)
    assert str(error).startswith("a/runs.db is in use (agent, pid 42) since ")
    assert f", {told}; stop it (kill 42)" in str(error)
    assert {name: getattr(error, name) for name in fields} == fields
    assert isinstance(error, stayline.StoreInUse)


def test_an_owner_that_cannot_be_named_has_no_pid() -> None:
    owner = stayline.StoreInUse("x")
    vars(owner).update(pid=0, since=0, url=None, program=None)
    assert "pid" not in str(places.in_use("sqlite:runs.db", owner))
