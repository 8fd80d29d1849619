"""The stub says what is there, and type checkers understand it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent / "python"


def check(*arguments: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, cwd=PROJECT
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.timeout(300)
def test_the_stub_is_complete() -> None:
    check("mypy.stubtest", "stayline._internal", "--mypy-config-file", "pyproject.toml")


@pytest.mark.timeout(300)
def test_public_code_is_strictly_typed() -> None:
    check(
        "mypy",
        "--strict",
        "stayline/__init__.py",
        "stayline/sansio.py",
        "stayline/_threads.py",
        "stayline/aio/__init__.py",
        str(HERE / "typing_cases.py"),
        str(HERE / "aio_typing_cases.py"),
    )
