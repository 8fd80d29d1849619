"""Runs the command line as people do: in a process, in a folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import stayline

PATIENCE = 30.0
STAYLINE = [sys.executable, "-W", "error", "-m", "stayline"]

#: Says "up" and ends at the first SIGINT after that. (A shell handles SIGINT itself: one that comes
#: between its `echo` and its `exec` is lost.)
UP = [
    sys.executable,
    "-c",
    "import signal, time\n"
    "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
    "print('up', flush=True)\n"
    "time.sleep(60)",
]

#: So that outages and their ends are short; the relations of R24 hold.
QUICK = [
    *("--set", "disconnect_grace_ms=1000"),
    *("--set", "reconnect_base_ms=20"),
    *("--set", "reconnect_cap_ms=100"),
]


def environment(**changes: str) -> dict[str, str]:
    """Ours, without what would change the command line's behaviour."""
    known = {"STAYLINE_KEY", "STAYLINE_TOKEN", "NO_COLOR"}
    return {name: value for name, value in os.environ.items() if name not in known} | changes


def call(folder: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[bytes]:
    """Runs one command to its end."""
    return subprocess.run(
        [*STAYLINE, *arguments],
        capture_output=True,
        cwd=folder,
        env=environment(**changes),
        timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
    )


def begin(folder: Path, *arguments: str, **changes: str) -> subprocess.Popen[bytes]:
    """Starts one command."""
    return subprocess.Popen(
        [*STAYLINE, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment(**changes),
        # What was read ahead would be missing from what `communicate` returns.
        bufsize=0,
    )


def finish(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    """Its exit code and the rest of what it says."""
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, (out or b"").decode(), (err or b"").decode()


def line_of(process: subprocess.Popen[bytes]) -> str:
    """The next line of its stdout."""
    assert process.stdout is not None
    return process.stdout.readline().decode().rstrip("\n")


@contextmanager
def serving(folder: Path, *arguments: str, **changes: str) -> Iterator[str]:
    """`stayline serve` on a free port; its address."""
    listen = () if "--listen" in arguments else ("--listen", "127.0.0.1:0")
    process = begin(folder, "serve", *listen, *QUICK, *arguments, **changes)
    try:
        found = re.search(r"https?://\S+", line_of(process))
        assert found is not None, finish(process)
        yield found.group()
    finally:
        process.terminate()
        finish(process)


def closing_line(err: bytes | str) -> str:
    """The last line on stderr."""
    text = err.decode(errors="replace") if isinstance(err, bytes) else err
    return text.rstrip("\n").rpartition("\n")[2]


def listed(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """What `stayline runs --json` says."""
    answer = call(folder, "runs", "--json", *arguments)
    assert answer.returncode == 0, answer.stderr
    return [json.loads(line) for line in answer.stdout.splitlines()]


def stored(folder: Path, session: str, store: str = "runs.db") -> list[tuple[str, Any]]:
    """The events of a session as (type, data)."""
    location = f"sqlite:{folder / '.stayline' / store}"
    with stayline.Coordinator(location, read_only=True) as coordinator:
        return [(event.type, event.data) for event in coordinator.session(session).events()]
