"""Every scenario through the driver in C, under AddressSanitizer and UBSan: no error, no leak."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from conftest import ROOT, Compile
from scenario_run import run_scenarios
from test_misuse import SANITIZERS

# They take seconds.
PATIENCE = 280.0


@pytest.mark.parametrize(("store", "compiler"), [("memory", "gcc"), ("sqlite", "clang")])
def test_all_scenarios_under_sanitizers(
    compile: Compile, tmp_path: Path, store: str, compiler: str
) -> None:
    driver = compile(
        sorted((ROOT / "tests/drivers/c").glob("*.c")),
        compiler=compiler,
        packages=("stayline", "libcjson"),
        flags=SANITIZERS,
    )
    log = tmp_path / "sanitizers"
    environment = {
        **os.environ,
        "ASAN_OPTIONS": f"detect_leaks=1:log_path={log}",
        "UBSAN_OPTIONS": f"print_stacktrace=1:log_path={log}",
        "RUST_BACKTRACE": "0",
    }
    files = sorted((ROOT / "tests/scenarios").rglob("*.json"))
    passed, left = run_scenarios([str(driver)], files, store, tmp_path, environment, PATIENCE, log)
    assert passed + left == sum(len(json.loads(path.read_text())) for path in files)
    assert left == 0 or store == "memory"
    assert not list(tmp_path.glob(f"{log.name}*"))
