"""`docs/python.md` as a newcomer follows it, and `examples/plain_host.py`, as programs."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import stayline
from conftest import PATIENCE, eventually
from hosts import free_port, post, watching

ROOT = Path(__file__).parents[2]

StartAgent = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def page(tmp_path: Path) -> dict[str, str]:
    """The page's programs, saved under the names it gives them."""
    text = (ROOT / "docs" / "python.md").read_text()
    programs = dict(re.findall(r"^<!-- (\S+) -->\n```python\n(.*?)^```$", text, re.M | re.S))
    assert programs.keys() == {"host.py", "agent.py", "plain.py"}
    for name, source in programs.items():
        (tmp_path / name).write_text(source)
    return programs


@pytest.fixture
def start_agent(tmp_path: Path) -> Iterator[StartAgent]:
    """Starts the page's agent; none outlives its test."""
    agents: list[subprocess.Popen[str]] = []

    def start(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "agent.py", *words]
        agents.append(subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True))
        return agents[-1]

    yield start
    for agent in agents:
        agent.kill()
        agent.communicate()


@contextmanager
def serving(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The page's FastAPI host, until it is killed as by a power cut."""
    command = [sys.executable, "-m", "uvicorn", "host:app", "--ws", "websockets-sansio"]
    host = subprocess.Popen([*command, "--port", str(port), "--log-level", "warning"], cwd=folder)
    try:

        def answers() -> bool:
            assert host.poll() is None, "the host ended"
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/docs", timeout=PATIENCE).close()
                return True
            return False

        eventually(answers)
        yield host
    finally:
        host.kill()
        host.wait()


def test_the_host_is_under_forty_lines(page: dict[str, str]) -> None:
    assert page["host.py"].count("\n") < 40


@pytest.mark.timeout(180)
def test_the_run_survives_the_death_of_the_host(
    page: dict[str, str], tmp_path: Path, start_agent: StartAgent
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with serving(tmp_path, port):
        run = post(f"{url}/sessions/demo/runs")
        agent = start_agent(url, "demo", run["execution_id"], run["token"])
        with watching(url, "demo") as records:
            assert any(record["data"].get("text") == "step 5 of 30" for record in records)
    # Killed. The agent goes on, and its wrapper with it.
    with serving(tmp_path, port):
        told, _ = agent.communicate(timeout=PATIENCE * 5)
        assert (told, agent.returncode) == ("completed\n", 0)
    with stayline.Coordinator(f"sqlite:{tmp_path / 'runs.db'}", read_only=True) as coordinator:
        session = coordinator.session("demo")
        assert [event.data["text"] for event in session.events(types=["output"])] == [
            f"step {step} of 30" for step in range(1, 31)
        ]
        assert session.count_events(types=["wrapper_reconnected"]) >= 1
        assert session.execution(run["execution_id"]).status == "completed"


@pytest.mark.timeout(120)
def test_the_host_without_a_framework(
    page: dict[str, str],
    tmp_path: Path,
    start_agent: StartAgent,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    agents: list[subprocess.Popen[str]] = []
    printed: list[str] = []
    scope = {
        "launch_sandbox": lambda *words: agents.append(start_agent(*words)),
        "print": lambda *words: printed.append(" ".join(map(str, words))),
    }
    exec(compile(page["plain.py"], "plain.py", "exec"), scope)
    assert agents[0].wait(PATIENCE) == 0
    assert printed[-1] == "completed"
    assert [line.split(" ", 2)[1] for line in printed[:-1]].count("output") == 30


@pytest.mark.timeout(120)
def test_the_plain_example_hosts_a_run(tmp_path: Path) -> None:
    example = ROOT / "examples" / "plain_host.py"
    location = f"sqlite:{tmp_path / 'runs.db'}"
    run = subprocess.run(
        [sys.executable, "-W", "error", str(example), location],
        capture_output=True,
        text=True,
        timeout=PATIENCE * 4,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    for line in ("serving at http://127.0.0.1:", 'output {"text":"step 5 of 5"}', "\ncompleted\n"):
        assert line in run.stdout.replace('": "', '":"')
    with stayline.Coordinator(location, read_only=True) as coordinator:
        assert coordinator.pending_notifications() == []
