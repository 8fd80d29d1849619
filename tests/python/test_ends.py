"""Interpreters that end in the middle of everything, a hundred times.

A seed decides what is going on and when and how the end comes; it is in the name of the test, so
that a failure can be looked at again. Whatever happens: the end comes soon, by itself, with the
exit code that was asked for and without a word, and what is left behind is a sound store.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import stayline
from conftest import PATIENCE

BATCHES = 10
SEEDS_PER_BATCH = 10
AT_ONCE = 4

SCRIPT = Path(__file__).with_name("ending_script.py")


def end_of(seed: int, folder: Path) -> tuple[int, subprocess.CompletedProcess[str]]:
    folder.mkdir()
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", str(SCRIPT), str(seed)],
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE,
        cwd=folder,
    )
    return seed, ended


@pytest.mark.timeout(BATCHES * PATIENCE)
@pytest.mark.parametrize("batch", range(BATCHES))
def test_the_end_is_quick_and_silent_and_leaves_a_sound_store(batch: int, tmp_path: Path) -> None:
    seeds = range(batch * SEEDS_PER_BATCH, (batch + 1) * SEEDS_PER_BATCH)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for seed, ended in pool.map(lambda seed: end_of(seed, tmp_path / str(seed)), seeds):
            outcome = (ended.returncode, ended.stdout, ended.stderr)
            assert outcome == (seed % 3, "", ""), f"seed {seed}: {outcome}"
    for seed in seeds:
        store = tmp_path / str(seed) / "runs.db"
        if store.exists():
            with stayline.Coordinator(f"sqlite:{store}") as coordinator:
                for info in coordinator.sessions():
                    ids = [event.id for event in coordinator.session(info.id).events()]
                    assert ids == list(range(1, len(ids) + 1))
                    assert info.last_event_id == len(ids)
