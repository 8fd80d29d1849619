"""The example hosts in C++: built, run, and believed by what they print."""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PATIENCE, ROOT, Compile

sys.path.insert(0, str(ROOT / "tests" / "python"))

from proxy import CuttingProxy  # type: ignore[import-not-found]

EXAMPLES = ROOT / "examples" / "cpp"
EVENTS = 400


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory:" if request.param == "memory" else f"sqlite:{tmp_path / 'runs.db'}"


@pytest.fixture(params=["gcc", "clang"])
def compiler(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def embedded(compile: Compile, compiler: str) -> Path:
    return compile(EXAMPLES / "embedded.cpp", language="c++", compiler=compiler)


@pytest.fixture
def agent(compile: Compile) -> Path:
    return compile(EXAMPLES / "agent.cpp", language="c++")


@pytest.fixture
def beast_host(compile: Compile) -> Path:
    return compile(EXAMPLES / "beast_host.cpp", language="c++", flags=["-pthread"])


@pytest.fixture
def beast_host_by_clang(compile: Compile) -> Path:
    return compile(
        EXAMPLES / "beast_host.cpp", language="c++", compiler="clang", flags=["-pthread"]
    )


class Program:
    """A program that runs: what it prints, line by line."""

    def __init__(self, *command: str | Path) -> None:
        self._process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._errors: list[str] = []
        self._threads = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def line(self) -> str | None:
        """The next line; None at the end."""
        return self._lines.get(timeout=PATIENCE)

    def rest(self) -> list[str]:
        """What it prints until its end, which has to be a good one."""
        lines = list(iter(self.line, None))
        assert self._process.wait(PATIENCE) == 0, "".join(self._errors)
        return lines

    def write(self, *lines: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("".join(f"{line}\n" for line in lines))
        self._process.stdin.flush()

    def end_input(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join(PATIENCE)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        self._errors.extend(self._process.stderr)


@contextlib.contextmanager
def running(*command: str | Path) -> Iterator[Program]:
    program = Program(*command)
    try:
        yield program
    finally:
        program.close()


def url_of(host: Program) -> str:
    line = host.line()
    assert line is not None
    assert line.startswith("serving at http://127.0.0.1:")
    return line.removeprefix("serving at ")


def run_of(host: Program) -> list[str]:
    """Session, execution and token of a run that the host started."""
    word, *run = (host.line() or "").split(" ")
    assert word == "run"
    assert len(run) == 3
    return run


def event(number: int) -> str:
    return json.dumps({"number": number}, separators=(",", ":"))


def assert_kept(session: str, printed: list[str], *, cuts: int) -> None:
    """Each event exactly once and in order, whatever the connection did, and then the end."""
    told = [line.removeprefix(f"{session}: ") for line in printed if line.startswith(session)]
    # It may be told before the last events are.
    told.remove("execution_ended completed main")
    numbers, types, data = zip(*(line.split(" ", 2) for line in told), strict=True)
    assert [int(number) for number in numbers] == list(range(1, EVENTS + 2 + cuts))
    assert types.count("wrapper_reconnected") == cuts
    outputs = [told for kind, told in zip(types, data, strict=True) if kind == "output"]
    assert outputs == [event(number) for number in range(1, EVENTS + 1)]
    assert (types[-1], data[-1]) == ("complete", '{"currentBranch":"main","exitCode":0}')


def test_embedded_prints_what_the_readme_says(embedded: Path, store: str) -> None:
    with running(embedded, store) as program:
        assert program.rest() == [
            "completed",
            '1 output {"text":"reading the tests"}',
            '2 output {"text":"all green"}',
            '3 complete {"currentBranch":"main","exitCode":0}',
            "execution_ended main",
        ]


def test_embedded_is_short() -> None:
    assert len((EXAMPLES / "embedded.cpp").read_text().splitlines()) < 60


def test_embedded_says_what_is_wrong(embedded: Path) -> None:
    ended = subprocess.run([embedded, "nowhere:"], capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 1
    assert ended.stderr.startswith("InvalidArgument: ")


def test_beast_host_keeps_a_run_through_a_cut(beast_host: Path, agent: Path, store: str) -> None:
    half = EVENTS // 2
    with running(beast_host, store, "user:1/a b") as host, CuttingProxy(url_of(host)[7:]) as proxy:
        word, *rest = (host.line() or "").split(" ")
        # A session id may have what must be encoded in a path.
        assert (word, rest[:2]) == ("run", ["user:1/a", "b"])
        session, execution, token = "user:1/a b", rest[2], rest[3]
        with running(agent, proxy.url, session, execution, token) as wrapper:
            wrapper.write(*map(event, range(1, half + 1)))
            first = host.line()
            assert first is not None
            assert proxy.cut() == 1
            wrapper.write(*map(event, range(half + 1, EVENTS + 1)))
            wrapper.end_input()
            assert wrapper.rest() == ["completed, reconnects 1, unacknowledged 0"]
        printed = [first, *host.rest()]
    assert printed[-1] == "all runs have ended"
    assert_kept(session, printed, cuts=1)


def test_beast_host_serves_wrappers_of_python_too(
    beast_host: Path, agent: Path, store: str
) -> None:
    stayline = pytest.importorskip("stayline")
    with running(beast_host, store, "one", "two") as host:
        url = url_of(host)
        first, second = run_of(host), run_of(host)
        with (
            CuttingProxy(url[7:]) as proxy,
            running(agent, url, *first) as in_cpp,
            stayline.Wrapper(
                proxy.url, session_id=second[0], execution_id=second[1], token=second[2]
            ) as in_python,
        ):
            in_cpp.write(*map(event, range(1, EVENTS + 1)))
            in_cpp.end_input()
            in_python.wait_connected(PATIENCE)
            for number in range(1, EVENTS + 1):
                in_python.send("output", {"number": number})
                if number == EVENTS // 2:
                    assert proxy.cut() == 1
            assert in_python.complete(exit_code=0, branch="main").status == "completed"
            assert in_python.reconnects == 1
            assert in_cpp.rest() == ["completed, reconnects 0, unacknowledged 0"]
        printed = host.rest()
    assert printed[-1] == "all runs have ended"
    assert_kept("one", printed, cuts=0)
    assert_kept("two", printed, cuts=1)


def test_beast_host_refuses_so_that_wrappers_understand(
    beast_host_by_clang: Path, agent: Path
) -> None:
    with running(beast_host_by_clang, "memory:", "s", "t") as host:
        url = url_of(host)
        (_, execution, token), other = run_of(host), run_of(host)

        def handshake(target: str, token: str, **more: str) -> tuple[int, str | None, str | None]:
            connection = http.client.HTTPConnection(url[7:], timeout=PATIENCE)
            headers = {
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
                "Authorization": f"Bearer {token}",
                **more,
            }
            with contextlib.closing(connection):
                connection.request("GET", target, headers=headers)
                answer = connection.getresponse()
                return (
                    answer.status,
                    answer.getheader("Stayline-Refusal") or answer.getheader("Stayline-Protocol"),
                    answer.getheader("Stayline-Status"),
                )

        path = "/sessions/s/ingest"
        known = f"{path}?executionId={execution}"
        assert handshake(path, token) == (400, "bad_request", None)
        assert handshake(f"{path}?executionId=none", token) == (404, "not_found", None)
        assert handshake(known, "wrong") == (401, "unauthorized", None)
        assert handshake("/elsewhere", token) == (404, None, None)
        asking = {"Stayline-Protocol": "2"}
        assert handshake(known, token, **asking) == (400, "bad_request", None)
        with running(agent, url, "s", execution, "wrong") as refused:
            assert refused.line() is None
        # Basic mode is granted without a header, the other one with it.
        assert handshake(known, token) == (101, None, None)
        granted = f"{known}&producer=p&attempt=1"
        assert handshake(granted, token, **asking) == (101, "2", None)
        with running(agent, url, "s", execution, token) as wrapper:
            wrapper.end_input()
            assert wrapper.rest() == ["completed, reconnects 0, unacknowledged 0"]
        assert handshake(known, token) == (409, "not_active", "completed")
        with running(agent, url, *other) as wrapper:
            wrapper.end_input()
            wrapper.rest()
        assert host.rest()[-1] == "all runs have ended"
