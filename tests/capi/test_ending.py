"""How runs end from C++: with an exit code, and by an exception."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import PATIENCE

SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.mark.parametrize("kind", ["gcc", "clang", "sanitized"])
def test_a_run_ends_with_its_exit_code_and_by_an_exception(
    kind: str, compile: Callable[..., Path]
) -> None:
    sanitized = kind == "sanitized"
    program = compile(
        [Path(__file__).parent / "ending.cpp"],
        language="c++",
        compiler="clang" if sanitized else kind,
        flags=["-pthread", *(SANITIZERS if sanitized else [])],
    )
    ended = subprocess.run([program], capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 0, ended.stderr
