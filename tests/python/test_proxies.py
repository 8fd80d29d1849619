"""Proxies and dead addresses on the way to a server: wrappers, and the command line's HTTP."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import stayline
from command import STAYLINE, call
from stayline import aio
from stayline.cli import rest

#: A name that only the proxy knows.
NAME = "coordinator.invalid"

KEY = "a key"


class Proxy:
    """Answers ``CONNECT`` with a line, and after a 200 carries on to one place."""

    def __init__(self, target: tuple[str, int], answer: str = "200 Connection established") -> None:
        self.asked: list[str] = []
        self._target = target
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "{}:{}".format(*self._listener.getsockname())
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                byte = near.recv(1)
                if not byte:
                    return
                head += byte
            self.asked.append(head.decode())
            near.sendall(f"HTTP/1.1 {self._answer}\r\n\r\n".encode())
            if not self._answer.startswith("200"):
                return
            with socket.create_connection(self._target) as far:
                back = threading.Thread(target=_carry, args=(far, near), daemon=True)
                back.start()
                _carry(near, far)
                back.join()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(4096):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@contextmanager
def served() -> Iterator[tuple[stayline.Coordinator, stayline.Server, tuple[str, int]]]:
    with stayline.Coordinator("memory:") as coordinator:
        with coordinator.serve("127.0.0.1:0", key=KEY) as server:
            host, _, port = server.url.removeprefix("http://").partition(":")
            yield coordinator, server, (host, int(port))


@contextmanager
def proxied(answer: str = "200 yes") -> Iterator[tuple[stayline.Coordinator, Proxy]]:
    with served() as (coordinator, _, target):
        proxy = Proxy(target, answer)
        try:
            yield coordinator, proxy
        finally:
            proxy.close()


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    cleared = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    return subprocess.run(
        [*STAYLINE, *arguments],
        env={**cleared, "STAYLINE_KEY": KEY, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_wrapper_goes_through_a_proxy_with_credentials() -> None:
    with proxied() as (coordinator, proxy):
        execution = coordinator.session("s").start()
        with stayline.Wrapper(
            f"http://{NAME}",
            session_id="s",
            execution_id=execution.id,
            token=execution.token,
            proxy=f"http://user:p%40ss@{proxy.address}",
        ) as wrapper:
            wrapper.send("output", {"text": "hi"})
            assert wrapper.complete().status == "completed"
        credentials = base64.b64encode(b"user:p@ss").decode()
        assert proxy.asked == [
            f"CONNECT {NAME}:80 HTTP/1.1\r\nHost: {NAME}:80\r\n"
            f"Proxy-Authorization: Basic {credentials}\r\n\r\n"
        ]


def test_asyncio_too_and_a_refusal_names_the_proxy_without_its_password() -> None:
    async def connect(proxy: Proxy, execution_id: str) -> None:
        async with aio.Wrapper(
            f"http://{NAME}",
            session_id="s",
            execution_id=execution_id,
            proxy=f"http://user:p%40ss@{proxy.address}",
        ):
            pass

    with proxied("407 p@ss") as (coordinator, proxy):
        execution = coordinator.session("s").start()
        with pytest.raises(stayline.Disconnected) as caught:
            asyncio.run(connect(proxy, execution.id))
        told = str(caught.value)
        assert f"the proxy http://{proxy.address} refused with 407" in told
        assert "p@ss" not in told
        assert "p%40ss" not in told


def test_a_proxy_that_is_none_is_an_invalid_argument() -> None:
    with pytest.raises(stayline.InvalidArgument, match="socks5") as caught:
        stayline.Wrapper(
            f"http://{NAME}", session_id="s", execution_id="e", proxy="socks5://u:geheim@p"
        )
    assert "geheim" not in str(caught.value)


def test_the_environment_is_honoured_and_may_be_switched_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with proxied() as (coordinator, proxy):
        monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
        execution = coordinator.session("s").start()
        ids = {"session_id": "s", "execution_id": execution.id, "token": execution.token}
        with stayline.Wrapper(f"http://{NAME}", **ids) as wrapper:
            wrapper.complete()
        assert len(proxy.asked) == 1
        direct = stayline.Wrapper(f"http://{NAME}", proxy="none", **ids)
        with pytest.raises(stayline.Disconnected):
            direct.wait_connected(60)
        direct.close()
        assert len(proxy.asked) == 1


def test_a_run_and_what_looks_at_it_go_through_the_proxy_of_the_environment() -> None:
    with proxied() as (_, proxy):
        to = ["--to", f"http://{NAME}:8787"]
        through = {"HTTP_PROXY": f"http://u:p@{proxy.address}"}
        ran = command("run", *to, "--session", "s", "--", "echo", "hello", **through)
        assert (ran.returncode, ran.stdout) == (0, "hello\n"), ran.stderr
        seen = command("events", "s", *to, **through)
        assert seen.returncode == 0, seen.stderr
        assert "hello" in seen.stdout
        assert len(proxy.asked) >= 3
        assert all(head.startswith(f"CONNECT {NAME}:8787 ") for head in proxy.asked)
        excepted = command("runs", *to, NO_PROXY="invalid", **through)
        assert excepted.returncode != 0
        assert "cannot reach" in excepted.stderr


def test_the_command_line_tells_what_the_proxy_said() -> None:
    with proxied("502 Bad Gateway") as (_, proxy):
        refused = command(
            "runs", "--to", f"http://{NAME}", HTTP_PROXY=f"http://u:geheim@{proxy.address}"
        )
        assert refused.returncode != 0
        assert f"the proxy http://{proxy.address} refused with 502" in refused.stderr
        assert "geheim" not in refused.stderr


def test_a_local_run_asks_no_proxy(tmp_path: Path) -> None:
    ran = call(tmp_path, "run", "--", "echo", "hello", HTTP_PROXY="http://127.0.0.1:1")
    assert (ran.returncode, ran.stdout) == (0, b"hello\n"), ran.stderr


def test_answers_without_an_end_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "_LARGEST_ANSWER", 100)
    with served() as (coordinator, server, _):
        for n in range(10):
            coordinator.session(f"session-{n}").start()
        with pytest.raises(ConnectionError, match="ask for less"):
            rest.Rest(server.url, KEY).get("")


def test_a_flag_says_which_proxy_for_every_command_that_asks_a_server() -> None:
    with proxied() as (_, proxy):
        to = ["--to", f"http://{NAME}:8787", "--proxy", f"http://u:p%40ss@{proxy.address}"]
        ran = command("run", *to, "--session", "s", "--", "echo", "hello")
        assert (ran.returncode, ran.stdout) == (0, "hello\n"), ran.stderr
        for arguments in (
            ["runs", *to],
            ["events", "s", *to],
            ["watch", "s", "--until-end", *to],
            ["interrupt", "s", "no such", *to],
            ["fail", "s", "no such", "-m", "why", *to],
        ):
            before = len(proxy.asked)
            asked = command(*arguments)
            assert len(proxy.asked) > before, arguments
            assert (asked.returncode == 0) == (arguments[0] not in ("interrupt", "fail")), asked
            assert "p@ss" not in asked.stderr
            assert "p%40ss" not in asked.stderr
        credentials = base64.b64encode(b"u:p@ss").decode()
        assert all(f"Proxy-Authorization: Basic {credentials}" in head for head in proxy.asked)


def test_the_flag_is_stronger_than_the_environment(tmp_path: Path) -> None:
    with proxied() as (_, proxy):
        through = {"HTTP_PROXY": f"http://{proxy.address}"}
        direct = command("runs", "--to", f"http://{NAME}", "--proxy", "none", **through)
        assert (direct.returncode, proxy.asked) == (1, [])
        assert "cannot reach" in direct.stderr
        said = command("runs", "--to", f"http://{NAME}", "--proxy", "environment", **through)
        assert (said.returncode, len(proxy.asked)) == (0, 1), said.stderr
    for arguments, wrong in (
        (["runs", "--proxy", "none"], "--proxy needs --to"),
        (["run", "--proxy", "http://u:geheim@p", "--", "true"], "--proxy needs --to"),
        (["runs", "--to", f"http://{NAME}", "--proxy", ""], "--proxy is empty"),
        (["runs", "--to", f"http://{NAME}", "--proxy", "socks5://u:geheim@p"], "socks5://"),
        (["runs", "--to", f"http://{NAME}", "--proxy", "http://u:geheim\udcff@p"], "not UTF-8"),
        (["serve", "--proxy", "http://u:geheim@p"], "does not take"),
    ):
        refused = call(tmp_path, *arguments)
        assert refused.returncode == 2, refused.stderr
        assert wrong in refused.stderr.decode(), refused.stderr
        assert b"geheim" not in refused.stderr


def test_a_resolver_that_hangs_holds_one_thread_and_nobody(tmp_path: Path) -> None:
    """However often it is tried, by wrappers and by the command line, in their own time."""
    source = tmp_path / "hanging.c"
    source.write_text(
        "#include <netdb.h>\n#include <unistd.h>\n"
        "int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,\n"
        "                struct addrinfo **found) {\n"
        "    (void)name, (void)service, (void)hints, (void)found;\n"
        "    for (;;) pause();\n}\n"
    )
    library = tmp_path / "hanging.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True, timeout=60)
    script = """
import os, time, stayline
from stayline._internal import _dial

def threads():
    return len(os.listdir("/proc/self/task"))

settings = stayline.Settings(
    dial_timeout_ms=50, reconnect_base_ms=10, reconnect_cap_ms=20, jitter=0.0,
    disconnect_grace_ms=10_000,
)
wrapper = stayline.Wrapper(
    "http://hangs.invalid", session_id="s", execution_id="e", settings=settings,
    proxy="none", retry_first=True,
)
deadline = time.monotonic() + 30
while wrapper.attempts < 2:
    assert time.monotonic() < deadline, wrapper.attempts
    time.sleep(0.01)
before = threads()
while wrapper.attempts < 12:
    assert time.monotonic() < deadline, wrapper.attempts
    time.sleep(0.01)
for _ in range(10):
    try:
        _dial("http://hangs.invalid:1", 0.05, "none")
    except ConnectionError as error:
        assert "took too long" in str(error), error
    else:
        raise AssertionError("it has an address")
assert threads() <= before, (before, threads())
wrapper.close()
"""
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
