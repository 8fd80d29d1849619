"""Servers, and proxies before them, that have no room just now, or no end: what commands do."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from command import PATIENCE, begin, call, environment, finish
from conftest import eventually
from stayline.cli import main, remote, rest
from stayline.cli.again import Again, pause_after
from stayline.cli.rest import Rest, ServerRefused

#: A status, headers and a body.
Answer = tuple[int, dict[str, str], bytes]


def told(status: int, name: str = "LimitExceeded", **headers: str) -> Answer:
    """As our server refuses."""
    body = json.dumps({"error": name, "message": "there is no room"}).encode()
    return status, {key.replace("_", "-"): value for key, value in headers.items()}, body


NONE = (200, {}, json.dumps({"sessions": []}).encode())
STARTED = (201, {}, json.dumps({"executionId": "e", "token": "t"}).encode())
SOON = {"Retry_After": "1"}
#: As a proxy refuses, which says nothing of what became of the request.
PROXY = (503, {"Retry-After": "1"}, b"<html>busy</html>")


class Scripted:
    """Answers each request with the next of its answers, the last one for ever."""

    def __init__(self, answers: list[Answer | Callable[[Any], None]]) -> None:
        self.asked: list[str] = []
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                scripted.asked.append(f"{self.command} {self.path}")
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                if not isinstance(answer, tuple):
                    answer(self)
                    return
                status, headers, body = answer
                self.send_response(status)
                for name, value in (headers | {"Content-Length": str(len(body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@contextmanager
def scripted(*answers: Answer | Callable[[Any], None]) -> Iterator[Scripted]:
    server = Scripted(list(answers))
    thread = threading.Thread(target=server.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.server.shutdown()
        thread.join()
        server.server.server_close()


def asking(url: str) -> tuple[Rest, list[float]]:
    """One whose waits take no time, and the waits."""
    asking, waits = Rest(url, None), []
    asking.pause = waits.append
    return asking, waits


@pytest.mark.parametrize("refusal", [told(429, **SOON), told(503, **SOON), PROXY])
def test_a_question_is_asked_again(refusal: Answer, capsys: pytest.CaptureFixture[str]) -> None:
    with scripted(refusal, refusal, NONE) as server:
        ask, waits = asking(server.url)
        assert ask.get("") == {"sessions": []}
        assert (waits, len(server.asked)) == ([1.0, 1.0], 3)
    told = capsys.readouterr().err
    assert told.count("; trying again") == told.count("\n") == 1


def test_the_wait_is_as_long_as_the_server_says_within_bounds() -> None:
    with scripted(told(503, Retry_After="0"), told(503, Retry_After="7"), NONE) as server:
        ask, waits = asking(server.url)
        ask.get("")
        assert waits == [0.2, 7.0]
    with scripted(told(429, Retry_After="4")) as server:
        ask, waits = asking(server.url)
        with pytest.raises(ServerRefused, match=r"no room; try again in 4 s$"):
            ask.get("")
        assert sum(waits) == 28.0
    for far in ("31", "999999999"):
        with scripted(told(429, Retry_After=far)) as server:
            ask, waits = asking(server.url)
            with pytest.raises(
                ServerRefused, match=rf"try again in {float(far):g} s".replace("+", r"\+")
            ):
                ask.get("")
            assert (waits, len(server.asked)) == ([], 1)


@pytest.mark.parametrize("header", ["", "soon", "-1", "1e3", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_without_a_time_to_wait_it_is_told_at_once(header: str) -> None:
    headers = {"Retry_After": header} if header else {}
    for status in (429, 503):
        with scripted(told(status, **headers)) as server:
            ask, waits = asking(server.url)
            with pytest.raises(ServerRefused, match=r"no room$"):
                ask.get("")
            assert waits == []
    # Only these two say that there will be room.
    with scripted(told(500, Retry_After="1")) as server:
        ask, waits = asking(server.url)
        with pytest.raises(ServerRefused):
            ask.get("")
        assert waits == []


def test_what_may_be_done_twice_is_asked_again() -> None:
    failed = (200, {}, b'{"failed": true}')
    with scripted(PROXY, failed) as server:
        ask, waits = asking(server.url)
        assert ask.fail("s", "e", "why") is True
        assert (waits, len(server.asked)) == ([1.0], 2)
    with scripted(PROXY, (200, {}, b'{"verdict": "sent"}')) as server:
        ask, waits = asking(server.url)
        assert ask.interrupt("s", "e", {}) == "sent"
        assert (waits, len(server.asked)) == ([1.0], 2)


def test_a_run_is_not_started_twice() -> None:
    with scripted(told(429, **SOON), told(503, **SOON), STARTED) as server:
        ask, waits = asking(server.url)
        assert ask.start("s", None) == ("e", "t")
        assert (waits, len(server.asked)) == ([1.0, 1.0], 3)
    for refusal in (PROXY, told(503, "StoreUnknown", **SOON)):
        with scripted(refusal, STARTED) as server:
            ask, waits = asking(server.url)
            with pytest.raises(ServerRefused, match=f"`stayline runs --to {server.url}` before"):
                ask.start("s", None)
            assert (waits, len(server.asked)) == ([], 1)


def test_commands_wait_and_say_so(tmp_path: Path) -> None:
    with scripted(told(429, **SOON), NONE) as server:
        ended = call(tmp_path, "runs", "--to", server.url, "--json")
        assert (ended.returncode, ended.stdout) == (0, b"")
        assert b"refused (429): there is no room; trying again\n" in ended.stderr
    with scripted(told(503, Retry_After="600")) as server:
        ended = call(tmp_path, "fail", "s", "e", "-m", "why", "--to", server.url)
        assert ended.returncode == 1
        assert ended.stderr.endswith(b"refused (503): there is no room; try again in 600 s\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_waits_to_be_started_can_be_stopped(
    tmp_path: Path, number: signal.Signals
) -> None:
    with scripted(told(429, Retry_After="25")) as server:
        run = begin(tmp_path, "run", "--to", server.url, "--", "echo", "never")
        assert run.stderr is not None
        assert b"trying again" in run.stderr.readline()
        run.send_signal(number)
        assert finish(run)[:2] == (128 + number, "")
        assert len(server.asked) == 1


def test_who_asks_again_by_itself_waits_between_its_questions() -> None:
    texts: list[str] = []
    again = Again(texts.append)
    with scripted(told(503, Retry_After="3"), told(503, Retry_After="9999"), NONE) as server:
        ask, waits = asking(server.url)
        ask.impatient = True
        assert again.ask(lambda: ask.get("")) is None
        assert again.pause == 3.0
        assert again.ask(lambda: ask.get("")) is None
        assert again.pause == 30.0
        assert again.ask(lambda: ask.get("")) == {"sessions": []}
        assert (again.pause, waits) == (1.0, [])
    assert pause_after(ConnectionError()) == 1.0
    assert len(texts) == 2


def endless(line: bytes) -> Callable[[Any], None]:
    """An event stream that goes on with this for as long as somebody reads."""

    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(line * (65_536 // len(line)))
        except OSError:
            handler.close_connection = True

    return answer


@pytest.mark.parametrize("line", [b"data: ", b"data: x\n", b"id: 7\n", b": \n"])
@pytest.mark.parametrize("follow", [[], ["--follow"]])
def test_an_event_without_an_end_is_not_read_on(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: bytes,
    follow: list[str],
) -> None:
    monkeypatch.setattr(remote, "_LARGEST_RECORD", 1 << 20)
    with scripted(endless(line)) as server:
        assert main(["events", "s", "--to", server.url, *follow]) == 1
        # It is told once, and not asked for again.
        assert len(server.asked) == 1
    text = capsys.readouterr().err
    assert text == f"stayline: {server.url} sends an event of more than 1 MiB; it is not read on\n"


def test_large_events_are_read_and_each_has_the_bound_to_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(remote, "_LARGEST_RECORD", 10_000)

    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        for number in range(1, 6):
            data = {
                **{"eventId": number, "executionId": "e", "sessionId": "s"},
                **{"streamEventType": "output", "timestamp": "2026-03-07T12:00:00.000Z"},
                "data": {"text": "x" * 9_000},
            }
            handler.wfile.write(f"id: {number}\ndata: {json.dumps(data)}\n\n".encode())
        connected = {"streamEventType": "connected", "data": {}, "executionId": None}
        handler.wfile.write(f"data: {json.dumps(connected)}\n\n".encode())
        handler.close_connection = True

    with scripted(answer) as server:
        assert main(["events", "s", "--to", server.url, "--json"]) == 0
    assert capsys.readouterr().out.count("x" * 9_000) == 5


def test_an_answer_that_only_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "_WHOLE", 0.2)

    def drip(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b" ")
                threading.Event().wait(0.01)
        except OSError:
            handler.close_connection = True

    with scripted(drip) as server, pytest.raises(ConnectionError, match="too long to answer"):
        Rest(server.url, None).get("")


def test_an_answer_that_breaks_off_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"sessions": []}')
        handler.close_connection = True

    with scripted(broken) as server, pytest.raises(ConnectionError, match="broke off"):
        Rest(server.url, None).get("")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_ends_a_run_whose_server_is_silent(tmp_path: Path, number: int) -> None:
    """It takes the connection, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        process = begin(tmp_path, "run", "--to", url, "--session", "s", "--", "echo", "never")
        server.settimeout(PATIENCE)
        connection, _ = server.accept()
        with connection:
            assert connection.recv(1) == b"P"
            process.send_signal(number)
            code, out, err = finish(process)
    assert (code, out) == (128 + number, ""), err
    expected = f"{signal.Signals(number).name} came before the program was started, session s"
    assert err == f"stayline: {expected}\n"


#: With more time for the last answer than any machine needs.
PATIENT = """
import sys
from stayline.cli import main, target
target._LAST_WORDS = 20.0
sys.exit(main(sys.argv[1:]))
"""


def test_what_a_server_starts_after_the_signal_is_failed(tmp_path: Path) -> None:
    goes_on = threading.Event()

    def start(handler: Any) -> None:
        goes_on.wait(PATIENCE)
        status, _, body = STARTED
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    failed = (200, {}, json.dumps({"failed": True}).encode())
    with scripted(start, failed) as server:
        words = ["run", "--to", server.url, "--session", "s", "--", "echo", "never"]
        process = subprocess.Popen(
            [sys.executable, "-c", PATIENT, *words],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        eventually(lambda: server.asked)
        process.send_signal(signal.SIGTERM)
        goes_on.set()
        code, out, err = finish(process)
        assert (code, out) == (128 + signal.SIGTERM, ""), err
        assert server.asked[1:] == ["POST /sessions/s/executions/e/fail"]
