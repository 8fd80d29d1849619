"""What importing does, and does not."""

from __future__ import annotations

import subprocess
import sys
import sysconfig

import pytest
import stayline


@pytest.mark.parametrize(
    "absent",
    [
        *("asyncio", "datetime", "json", "logging", "signal", "threading", "typing"),
        *("stayline.aio", "stayline.cli", "stayline._native", "stayline._threads"),
    ],
)
def test_importing_brings_little_with_it(absent: str) -> None:
    ended = subprocess.run(
        [
            sys.executable,
            "-S",
            "-c",
            f"import sys; sys.path[:0] = {sys.path!r}; import stayline; "
            f"sys.exit({absent!r} in sys.modules)",
        ],
        timeout=60,
    )
    assert ended.returncode == 0


def test_all_names_are_there_and_sorted() -> None:
    assert all(hasattr(stayline, name) for name in stayline.__all__)
    assert stayline.__all__ == sorted(stayline.__all__)
    assert stayline.__version__
    for name in stayline.__all__:
        value = getattr(stayline, name)
        if isinstance(value, type):
            assert value.__module__ == "stayline", name
            assert value.__doc__, name


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this interpreter has a GIL"
)
def test_importing_leaves_the_gil_off() -> None:
    ended = subprocess.run(
        [
            *(sys.executable, "-W", "error", "-c"),
            "import sys, stayline.aio, stayline.testing; sys.exit(sys._is_gil_enabled())",
        ],
        timeout=60,
    )
    assert ended.returncode == 0


def test_importing_is_silent_in_development_mode() -> None:
    modules = "stayline, stayline.aio, stayline.sansio, stayline.testing, stayline.cli"
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", f"import {modules}"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
