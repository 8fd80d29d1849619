"""The example hosts in C: built by both compilers, run, and believed by what they print."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from conftest import PATIENCE, ROOT, Compile

EXAMPLES = ROOT / "examples" / "c"


@pytest.fixture(params=["gcc", "clang"])
def compiler(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory:" if request.param == "memory" else f"sqlite:{tmp_path / 'runs.db'}"


@pytest.fixture
def poll_host(compile: Compile, compiler: str) -> Path:
    return compile(EXAMPLES / "poll_host.c", compiler=compiler)


@pytest.fixture
def poll_agent(compile: Compile, compiler: str) -> Path:
    return compile(EXAMPLES / "poll_agent.c", compiler=compiler, packages=())


def lines(*command: str | Path) -> list[str]:
    """What a program prints; it has to end well and say nothing else."""
    ended = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=PATIENCE
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.splitlines()


def numbered(events: list[str]) -> list[str]:
    """The events without their ids, which have to count up from 1."""
    found = [re.fullmatch(r"event (\d+): (.*)", line) for line in events]
    assert [match and int(match[1]) for match in found] == list(range(1, len(events) + 1))
    return [match[2] for match in found if match]


def test_poll_host_stops_its_agent(poll_host: Path, poll_agent: Path, store: str) -> None:
    printed = lines(poll_host, store, poll_agent)
    assert printed.count('to the agent: {"signal":"SIGTERM","type":"kill"}') == 1
    assert printed.count("notification: execution_ended, interrupted") == 1
    assert sum(line.startswith("link closed: ") for line in printed) == 1
    *outputs, end = numbered([line for line in printed if line.startswith("event ")])
    assert end == 'interrupted {"reason":"as you wish"}'
    # It may have counted on until the kill arrived.
    assert len(outputs) >= 3
    assert outputs == [f'output {{"number":{n}}}' for n in range(1, len(outputs) + 1)]
    third = next(n for n, line in enumerate(printed) if line.startswith("event 3:"))
    assert printed.index('to the agent: {"signal":"SIGTERM","type":"kill"}') > third


def test_poll_host_waits_for_an_agent_that_ends_by_itself(
    poll_host: Path, poll_agent: Path, store: str
) -> None:
    printed = lines(poll_host, store, poll_agent, "2")
    assert numbered([line for line in printed if line.startswith("event ")]) == [
        'output {"number":1}',
        'output {"number":2}',
        'complete {"exitCode":0}',
    ]
    assert "notification: execution_ended, completed" in printed
    assert not any(line.startswith("to the agent: ") for line in printed)


def test_poll_host_hands_over_more_than_it_can_hold(
    poll_host: Path, store: str, tmp_path: Path
) -> None:
    """An agent faster than its host: no frame is lost, none comes twice, none out of order."""
    count = 3000
    frame = '{{"streamEventType":"output","data":{{"number":%d,"text":"{}"}}}}\n'.format("x" * 100)
    # Ends before anybody can stop it, which is fine.
    frames = "".join(frame % number for number in range(count))
    frames += '{"streamEventType":"complete","data":{"exitCode":0}}\n'
    source = tmp_path / "frames"
    source.write_text(frames)
    printed = lines(poll_host, store, "cat", source)
    events = numbered([line for line in printed if line.startswith("event ")])
    assert len(events) == count + 1
    assert [int(re.findall(r"\d+", event)[0]) for event in events[:-1]] == list(range(count))
    assert "notification: execution_ended, completed" in printed


def test_serve_host_decides_who_may_connect(compile: Compile, compiler: str, store: str) -> None:
    serve_host = compile(EXAMPLES / "serve_host.c", compiler=compiler)
    first, *rest = lines(serve_host, store)
    assert re.fullmatch(r"serving at http://127\.0\.0\.1:\d+", first)
    assert rest == [
        "without the word: the coordinator refused the link (unauthorized): "
        "the token or ticket is missing or wrong",
        "the wrapper is done: completed",
        'event 1: output {"number":1}',
        'event 2: output {"number":2}',
        'event 3: output {"number":3}',
        'event 4: complete {"currentBranch":"main","exitCode":0}',
        "the stream is over",
        "the execution is completed, on branch main",
        "the gate is closed",
    ]


@pytest.mark.parametrize("program", ["poll_host.c", "serve_host.c"])
def test_a_store_that_cannot_be_opened_is_named(
    compile: Compile, compiler: str, program: str, tmp_path: Path
) -> None:
    host = compile(EXAMPLES / program, compiler=compiler)
    (tmp_path / "runs.db").mkdir()
    ended = subprocess.run(
        [host, f"sqlite:{tmp_path / 'runs.db'}", "unused"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("StoreError: ")
    assert str(tmp_path) in ended.stderr
    assert ended.stderr.count("\n") == 1
