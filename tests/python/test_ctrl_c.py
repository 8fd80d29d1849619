"""Ctrl-C is answered at once in every call that waits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from conftest import PATIENCE

SCRIPT = """
import stayline

coordinator = stayline.Coordinator("memory:")
session = coordinator.session("s")
execution = session.start("e")
link = session.attach("e", trusted=True)
link.receive('{"streamEventType":"output"}')
%s
try:
    print("waiting", flush=True)
    %s
except KeyboardInterrupt:
    # And everything still works.
    assert session.active == "e"
    print("interrupted", flush=True)
"""

SERVED = """
server = coordinator.serve()
wrapper = stayline.Wrapper(
    server.url, session_id="s", execution_id="e", token=execution.token
)
wrapper.wait_connected()
"""

BLOCKED = """
import socket
# A port that was just given back: nobody answers there.
with socket.create_server(("127.0.0.1", 0)) as gone:
    url = f"http://127.0.0.1:{gone.getsockname()[1]}"
settings = stayline.Settings(buffer_events=1, overflow="block")
wrapper = stayline.Wrapper(
    url, session_id="s", execution_id="e", settings=settings, retry_first=True
)
wrapper.send("output")
"""

WAITS = {
    "outgoing": ("", "list(link.outgoing())"),
    "stream": ("", "list(session.stream())"),
    "stream with a timeout": ("", "list(session.stream(timeout=600))"),
    "wait": ("", "execution.wait()"),
    "notifications": ("", "next(coordinator.notifications())"),
    "signals": (SERVED, "list(wrapper.signals())"),
    "outcome": (SERVED, "wrapper.outcome()"),
    "send": (BLOCKED, "wrapper.send('output')"),
    "wait_connected": (BLOCKED, "wrapper.wait_connected()"),
}


@pytest.mark.parametrize("wait", WAITS)
def test_a_waiting_call_raises_keyboard_interrupt(tmp_path: Path, wait: str) -> None:
    setup, call = WAITS[wait]
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(SCRIPT % (setup, call)))
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        # Long enough to be inside the wait; an interrupt on the way there counts as well.
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, output, errors) == (0, "interrupted\n", "")
