"""Programs that tests look at from outside."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from command import PATIENCE

needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in text.read_text().split()] if text.exists() else []


def works(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


#: Starts children that outlive their parents, and counts those that nobody waits for.
ORPHANS = """
import os, sys, time
for _ in range(20):
    if os.fork() == 0:
        if os.fork() == 0:
            time.sleep(0.3)
        os._exit(0)
    os.wait()
time.sleep(0.1)
keeper = os.getppid()
deadline = time.monotonic() + 20
def orphans():
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = open(f"/proc/{name}/stat").read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == keeper and int(name) != os.getpid():
                found.append(fields[0])
    return found
print(len(orphans()))
while orphans() and time.monotonic() < deadline:
    time.sleep(0.05)
print(len(orphans()))
"""
