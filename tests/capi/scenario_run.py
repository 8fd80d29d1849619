"""Runs scenario files through a driver that is watched: its exit code counts, too."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def run_scenarios(
    command: Sequence[str],
    files: Sequence[Path],
    store: str,
    folder: Path,
    environment: Mapping[str, str],
    patience: float,
    log: Path,
) -> tuple[int, int]:
    """Runs them: how many passed, and how many need a store that outlives its owner and were left.

    Fails when any fails, or the driver does not end with 0.

    `log` is what the tool that watches the driver writes to, or the beginning of its name.
    """
    codes = folder / "codes"
    script = folder / "driver"
    # The interpreter ends a driver by the end of its input, and does not look at its exit code.
    script.write_text(f"#!/bin/sh\n{shlex.join(command)}\necho $? >> {shlex.quote(str(codes))}\n")
    script.chmod(0o755)
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "stayline.testing"),
            *map(str, files),
            *("--driver", str(script), "--store", store),
        ],
        capture_output=True,
        text=True,
        timeout=patience,
        env=dict(environment),
    )
    said = "".join(path.read_text() for path in log.parent.glob(f"{log.name}*"))
    told = ended.stdout[-3000:] + ended.stderr[-3000:] + said[-8000:]
    assert ended.returncode == 0, told
    # One process did it all.
    assert codes.read_text().split() == ["0"], told
    sums = re.fullmatch(r"(\d+) passed, 0 failed, (\d+) skipped", ended.stdout.splitlines()[-1])
    assert sums is not None, told
    return int(sums[1]), int(sums[2])
