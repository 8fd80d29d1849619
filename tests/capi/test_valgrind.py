"""Chosen scenarios through the driver in C, and misuse, under valgrind: no error, no leak."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, Compile
from scenario_run import run_scenarios
from test_misuse import build_misuse

# Enough for a machine that does other things at the same time.
PATIENCE = 280.0

VALGRIND = (
    "valgrind",
    "--leak-check=full",
    "--errors-for-leak-kinds=definite,possible",
    "--error-exitcode=9",
    # No suppressions, as a host would try it; deep enough to see who made what.
    "--num-callers=40",
)

# Each with what makes it worth the time.
SCENARIOS = {
    "a run from start to completion": "the common way through everything",
    "each new link gets the kill again, the strongest so far": "interrupts over several links",
    "an interrupt survives a restart": "interrupts that are read back",
    "grace expires": "a deadline fails a run that nobody is in",
    "a grace that ran through a restart keeps its code and gets a new deadline": "restart in grace",
    "replay to live without a seam": "a subscription that crosses from the past to the present",
    "deleting ends everything at once, reading creates nothing": "objects outlive what they show",
    "a late result is told once": "late frames and their notification",
    "a lease wakes nobody and survives a restart": "leases, and objects over a restart",
    "a notification not acknowledged comes again, then is parked": "every call on notifications",
    "many readers, each sees everything once and in order": "many cursors on one ring",
    "reconnect with back-off, buffer and resume marker": "the wrapper's buffer and its timers",
    "a restart of the coordinator loses and doubles nothing": "both ends, acknowledged",
    "the tasks come before the completion": "jobs, tasks and their texts",
    "a failed commit costs a reconnect, nothing else": "commits that fail",
}

# What is quick there, of each kind; threads run one at a time under valgrind, so races are for the
# sanitizers.
MISUSE = (
    *("free_twice", "strange_ids", "texts_with_a_nul", "older_options", "unknown_numbers"),
    *("times_beyond_calendars", "largest_numbers", "fields_of_errors", "coordinator_after_close"),
    *("coordinator_freed_before_its_objects", "wrapper_after_close", "sansio_after_close"),
    *("coordinator_closed_while_others_wait", "link_closed_while_others_wait"),
    *("authorize_calls_back_in", "log_calls_back_in", "callbacks_of_failed_calls_are_dropped"),
    *("panic_poisons_its_coordinator", "panic_reaches_those_who_wait"),
    *("descriptors_of_notifications", "descriptors_of_executions", "descriptors_of_links"),
)


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "RUST_BACKTRACE": "0",
    }


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_scenarios_under_valgrind(compile: Compile, tmp_path: Path, store: str) -> None:
    driver = compile(
        sorted((ROOT / "tests/drivers/c").glob("*.c")), packages=("stayline", "libcjson")
    )
    chosen = []
    for path in sorted((ROOT / "tests/scenarios").rglob("*.json")):
        chosen += [one for one in json.loads(path.read_text()) if one["name"] in SCENARIOS]
    assert {one["name"] for one in chosen} == set(SCENARIOS)
    file = tmp_path / "chosen.json"
    file.write_text(json.dumps(chosen))
    log = tmp_path / "valgrind"
    command = (*VALGRIND, f"--log-file={log}", str(driver))
    passed, left = run_scenarios(command, [file], store, tmp_path, environment(), PATIENCE, log)
    assert passed + left == len(chosen) == len(SCENARIOS)
    assert left == 0 or store == "memory"


def test_misuse_under_valgrind(compile: Compile, prefix: Path, tmp_path: Path) -> None:
    program = build_misuse(compile, prefix, tmp_path, compiler="gcc")
    ended = subprocess.run(
        [*VALGRIND, program, *MISUSE],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment(),
    )
    assert ended.returncode == 0, ended.stdout[-300:] + ended.stderr[-8000:]
    assert "ERROR SUMMARY: 0 errors" in ended.stderr
    assert ended.stdout.split() == [name for name in program_order(program) if name in MISUSE]


def test_valgrind_would_notice_a_leak(compile: Compile, tmp_path: Path) -> None:
    """The canary: an object that is never freed."""
    source = tmp_path / "canary.c"
    source.write_text(
        "#include <stayline.h>\n"
        "int main(void) {\n"
        "    stayline_settings *settings = NULL;\n"
        "    stayline_settings_new(&settings, NULL);\n"
        "    settings = NULL;\n"
        "    return 0;\n"
        "}\n"
    )
    program = compile(source, output=tmp_path / "canary")
    ended = subprocess.run(
        [*VALGRIND, program], capture_output=True, text=True, timeout=PATIENCE, env=environment()
    )
    assert ended.returncode == 9, ended.stderr
    assert "definitely lost" in ended.stderr


def program_order(program: Path) -> list[str]:
    listed = subprocess.run([program, "--list"], capture_output=True, text=True, timeout=60)
    return listed.stdout.split()
