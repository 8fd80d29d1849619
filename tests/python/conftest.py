"""What the tests of the Python module share."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import stayline

# Ignored under `nohup` and in the background of a script, by every program that is started here
# too; some are tested with them.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Upper bounds, far above what anything here takes; no test depends on speed.
PATIENCE = 20.0


def frame(event_type: str, data: object = None, **more: object) -> str:
    """An event frame as a wrapper sends it."""
    return json.dumps({"streamEventType": event_type, "data": data or {}, **more})


@pytest.fixture(scope="session", autouse=True)
def _no_notes_at_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What `stayline run` notes about its programs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


T = TypeVar("T")


def eventually(look: Callable[[], T]) -> T:
    """Looks until there is something: a durable store commits on a thread of its own."""
    deadline = time.monotonic() + PATIENCE
    while not (seen := look()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.001)
    return seen


@pytest.fixture(params=["memory", "sqlite"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where to keep runs: in memory and in a file."""
    return "memory:" if request.param == "memory" else f"sqlite:{tmp_path / 'runs.db'}"


@pytest.fixture
def coordinator(location: str) -> Iterator[stayline.Coordinator]:
    with stayline.Coordinator(location) as coordinator:
        yield coordinator


@pytest.fixture
def session(coordinator: stayline.Coordinator) -> stayline.Session:
    return coordinator.session("user_1:agent_1")


@pytest.fixture
def clock() -> stayline.ManualClock:
    return stayline.ManualClock()


RunScript = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run_script(tmp_path: Path) -> RunScript:
    """Runs a script in an interpreter of its own, with warnings as errors."""

    def run(source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "script.py"
        path.write_text(textwrap.dedent(source))
        return subprocess.run(
            [sys.executable, "-W", "error", str(path), *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            cwd=tmp_path,
        )

    return run
