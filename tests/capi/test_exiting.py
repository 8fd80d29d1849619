"""A C host may end while its server and its wrapper are there, from wherever it is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import PATIENCE, Compile

SOURCE = Path(__file__).with_name("exiting.c")


@pytest.mark.parametrize("static", [False, True], ids=["shared", "archive"])
@pytest.mark.parametrize("how", ["main", "atexit", "authorize", "kill", "thread"])
def test_a_host_ends_in_the_middle(compile: Compile, how: str, static: bool) -> None:
    program = compile(SOURCE, flags=["-pthread"], static=static)
    ended = subprocess.run([program, how], capture_output=True, text=True, timeout=PATIENCE)
    assert (ended.returncode, ended.stderr) == (7, "")
