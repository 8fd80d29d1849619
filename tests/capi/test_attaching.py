"""Attaching without waiting for it, from C++: only threads of the library wait for the disk."""

from __future__ import annotations

import sqlite3
import subprocess
from pathlib import Path

import pytest
from conftest import PATIENCE, Compile
from test_valgrind import VALGRIND

SOURCE = Path(__file__).with_name("attaching.cpp")
REST = """\
told 1 taken 1
this attach has been answered
more 20
refused 401 unauthorized
invalid argument: the query has no executionId
over
"""


@pytest.mark.parametrize("way", ["plain", "sanitized", "valgrind"])
def test_an_attach_waits_elsewhere(compile: Compile, way: str, tmp_path: Path) -> None:
    flags = ["-fsanitize=address,undefined"] if way == "sanitized" else []
    program = compile(SOURCE, language="c++", flags=flags)
    around = [*VALGRIND, "--quiet"] if way == "valgrind" else []
    file = tmp_path / "runs.db"
    with subprocess.Popen(
        [*around, program, f"sqlite:{file}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        # Somebody else writes: commits wait for it.
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "begun\n"
        other.execute("ROLLBACK")
        other.close()
        out, err = process.communicate("\n", timeout=PATIENCE)
        assert (process.returncode, err) == (0, "")
        assert out == REST
