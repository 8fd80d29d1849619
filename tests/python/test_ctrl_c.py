"""Ctrl-C is answered at once in every call that waits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
import stayline_command
from conftest import PATIENCE
from stayline import cli

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


#: As the console script does it.
ENTRY = "import sys; from stayline_command import main; sys.exit(main())"


def reading(folder: Path, code: str, **options: Any) -> subprocess.Popen[str]:
    """The command, held up where Python reads what it is made of."""
    package = folder / "stayline"
    package.mkdir()
    (package / "__init__.py").write_text(f"print('reading', flush=True)\n{code}\n")
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", ENTRY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(folder)},
        **options,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "reading\n"
    return process


def test_while_the_command_is_read_it_leaves_without_a_word(tmp_path: Path) -> None:
    process = reading(tmp_path, "import time\ntime.sleep(600)")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (130, "", "")


def test_where_it_is_ignored_it_stays_ignored(tmp_path: Path) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    process = reading(tmp_path, "input()\nraise SystemExit(7)", preexec_fn=ignore)
    process.send_signal(signal.SIGINT)
    assert process.communicate("\n", timeout=PATIENCE) == ("", "")
    assert process.returncode == 7


def test_once_it_is_read_it_is_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> int:
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        os.kill(os.getpid(), signal.SIGINT)
        return 0

    monkeypatch.setattr(cli, "main", command)
    assert stayline_command.main() == 130
