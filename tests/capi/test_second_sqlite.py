"""A C host with an SQLite of its own, which writes to the store while we do: what was acknowledged
is there after a SIGKILL, with the shared library and with the static one."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import stayline
from conftest import PATIENCE, Compile


@pytest.mark.skipif(sys.platform != "linux", reason="has no locks that conflict within a process")
@pytest.mark.parametrize("static", [False, True])
def test_a_host_that_writes_with_its_own_sqlite_takes_nothing_away(
    compile: Compile, tmp_path: Path, static: bool
) -> None:
    program = compile(
        "tests/capi/second_sqlite.c",
        flags=["-pthread"],
        packages=("stayline", "sqlite3"),
        static=static,
    )
    path = tmp_path / "runs.db"
    host = subprocess.Popen([program, path], stdout=subprocess.PIPE, text=True)
    kept: list[str] = []
    word = line = "nothing"
    try:
        assert host.stdout is not None
        for line in host.stdout:
            word, _, text = line.strip().partition(" ")
            if word == "kept":
                kept.append(text)
            elif word in ("done", "failed"):
                break
    finally:
        host.kill()
        host.communicate(timeout=PATIENCE)
    assert word == "done", line
    assert {execution_id[0] for execution_id in kept} == {"a", "b", "c"}
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with stayline.Coordinator(f"sqlite:{path}") as coordinator:
        for execution_id in kept:
            execution = coordinator.session(execution_id[0]).execution(execution_id)
            assert (execution.status, execution.error) == ("failed", "boom")
