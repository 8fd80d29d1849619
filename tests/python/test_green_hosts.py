"""Hosts whose threads are greenlets: gevent and eventlet, patched before and after the import."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from command import PATIENCE, environment

#: How threads are replaced, and how a greenlet sleeps and is started.
PATCHES = {
    "gevent": "from gevent import monkey; monkey.patch_all()",
    "eventlet": "import eventlet; eventlet.monkey_patch()",
}
GREEN = {
    "gevent": "from gevent import sleep, spawn",
    "eventlet": "from eventlet import sleep, spawn",
}

HOST = """
import stayline
{patch_late}
import logging, time
{green}

records = []


class Kept(logging.Handler):
    def emit(self, record):
        records.append(record.getMessage())


logging.getLogger("stayline").addHandler(Kept())
logging.getLogger("stayline").setLevel(logging.DEBUG)
coordinator = stayline.Coordinator("sqlite:runs.db")
session = coordinator.session("s")
execution = session.start("e")
asked, killed, ticks = [], [], []


def tick():
    while True:
        ticks.append(1)
        sleep(0.02)


spawn(tick)


def authorize(session_id, execution_id, bearer):
    asked.append(bearer)
    if bearer == "raise":
        raise RuntimeError("the hook failed")
    time.sleep(0.01)
    return bearer == "open sesame"


server = coordinator.serve(authorize=authorize)
wrapper = stayline.Wrapper(server.url, session_id="s", execution_id="e", token="open sesame")
wrapper.on_kill(lambda kill: killed.append(kill.signal))
wrapper.wait_connected(timeout=20)
for n in range(20):
    wrapper.send("output", {{"n": n}})
before = len(ticks)
while len(ticks) < before + 5:
    sleep(0.05)
session.interrupt()
while not killed:
    sleep(0.02)
print(killed, wrapper.interrupted("asked to", timeout=20).status)
print(session.count_events(types=["output"]), len(asked) > 0, len(records) > 0)
print([event.type for event in session.events()][-1])
with stayline.Coordinator("memory:") as other:
    serving = other.serve(authorize=authorize)
    other.session("s").start("e")
    bad = stayline.Wrapper(serving.url, session_id="s", execution_id="e", token="raise")
    try:
        bad.wait_connected(timeout=0.5)
    except stayline.Disconnected:
        print("not told")
    bad.close()
server.close()
coordinator.close()
print("done")
"""


def run(tmp_path: Path, source: str) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "host.py"
    script.write_text(source)
    return subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        cwd=tmp_path,
        env=environment(),
    )


def need(green: str) -> None:
    if importlib.util.find_spec(green) is None:
        pytest.skip(f"{green} is not installed")


@pytest.mark.parametrize("when", ["first", "late"])
@pytest.mark.parametrize("green", ["gevent", "eventlet"])
def test_everything_works_beside_greenlets(tmp_path: Path, green: str, when: str) -> None:
    need(green)
    patch = PATCHES[green]
    source = HOST.format(patch_late=patch if when == "late" else "", green=GREEN[green])
    ended = run(tmp_path, source if when == "late" else f"{patch}\n{source}")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [
        "['SIGTERM'] interrupted",
        "20 True True",
        "interrupted",
        "not told",
        "done",
    ], ended.stderr


@pytest.mark.parametrize("green", ["gevent", "eventlet"])
def test_event_loops_say_that_they_need_threads(tmp_path: Path, green: str) -> None:
    need(green)
    ended = run(
        tmp_path,
        PATCHES[green]
        + textwrap.dedent(
            """
            try:
                import stayline.aio
            except ImportError as error:
                print(error)
            """
        ),
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"stayline.aio needs threads of the system, and {green} has")
