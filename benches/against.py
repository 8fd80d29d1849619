"""Is this tree as fast as another commit? Both benchmark programs run in turns, A B A B …

Called by ``make bench-against REV=…`` once this tree is built. The other commit is checked out and
built below ``target/against/``. Each round runs one line of the table with both programs, one right
after the other, so that whatever else the machine is doing falls on both; what is told is the
median of the rounds' ratios. Above 1 this tree is faster, whichever way the figure is counted.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "target" / "against"
#: What a change may cost, by the noise of a shared machine.
LEAST = 0.95
#: Long ones and those that only compare with themselves are left out unless named.
NAMES = [
    "ingest_10",
    "ingest_1",
    "ack_latency",
    "replay",
    "core_apply",
    "link_receive_rust",
    "link_receive_c",
    "link_receive_python",
    "c_status",
    "history",
    "import",
]


class Tree:
    """A checkout with its release build."""

    def __init__(self, folder: Path, target: Path) -> None:
        self.folder = folder
        self.target = target
        self.modules = target / "release-python"

    def build(self) -> None:
        """What ``make bench`` builds."""
        packages = [f"--package=stayline-{name}" for name in ("benches", "python", "ffi")]
        environment = {**os.environ, "CARGO_TARGET_DIR": str(self.target)}
        subprocess.run(
            ["cargo", "build", "--release", *packages],
            cwd=self.folder, env=environment, check=True,
        )  # fmt: skip
        shutil.rmtree(self.modules, ignore_errors=True)
        shutil.copytree(self.folder / "python" / "stayline", self.modules / "stayline")
        suffix = "dylib" if sys.platform == "darwin" else "so"
        library = self.target / "release" / f"libstayline_python.{suffix}"
        shutil.copy(library, self.modules / "stayline" / "_internal.abi3.so")

    def measure(self, name: str) -> dict[str, dict[str, float | str]]:
        """The figures of one line, by their names; none where the program does not know it."""
        environment = {**os.environ, "PYTHONPATH": str(self.modules), "PYTHON": sys.executable}
        figures = self.folder / "target" / "bench.json"
        figures.parent.mkdir(exist_ok=True)
        figures.unlink(missing_ok=True)
        ran = subprocess.run(
            [self.target / "release" / "bench", "--only", name],
            cwd=self.folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if ran.returncode != 0:
            print(f"{name}: {self.folder}: {ran.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            return {}
        return {figure["name"]: figure for figure in json.loads(figures.read_text())}


def checked_out(revision: str) -> Tree:
    """The other commit, in a worktree of its own."""
    named = subprocess.run(
        ["git", "rev-parse", "--short=12", f"{revision}^{{commit}}"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    folder = FOLDER / named.stdout.strip()
    if not folder.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "worktree", "prune"], cwd=ROOT, check=True)
        subprocess.run(
            ["git", "worktree", "add", "--quiet", "--detach", folder, named.stdout.strip()],
            cwd=ROOT, check=True,
        )  # fmt: skip
    return Tree(folder, FOLDER / "build")


def is_more_better(unit: str) -> bool:
    """Events a second; everything else is time or memory."""
    return "/s" in unit


def paired_ratios(rounds: list[tuple[dict, dict]]) -> dict[str, list[float]]:
    """How many times as fast this tree was, round by round, for each figure."""
    ratios: dict[str, list[float]] = {}
    for ours, theirs in rounds:
        for name in ours.keys() & theirs.keys():
            quotient = ours[name]["value"] / theirs[name]["value"]
            ratio = quotient if is_more_better(str(ours[name]["unit"])) else 1 / quotient
            ratios.setdefault(name, []).append(ratio)
    return ratios


def main() -> int:
    """Build the other commit, take turns, tell the ratios."""
    parser = argparse.ArgumentParser(prog="against.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("revision", help="the commit to compare with")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each line (default: 5)")
    parser.add_argument("names", nargs="*", default=NAMES, help="lines of the table")
    arguments = parser.parse_intermixed_args()
    here, there = Tree(ROOT, ROOT / "target"), checked_out(arguments.revision)
    there.build()
    slower, kept = [], []
    print(f"{'name':24} {'times as fast':>14}  {'min':>6} … {'max':<6} rounds", flush=True)
    for name in arguments.names or NAMES:
        rounds = [(here.measure(name), there.measure(name)) for _ in range(arguments.rounds)]
        for figure, ratios in sorted(paired_ratios(rounds).items()):
            median = statistics.median(ratios)
            mark = "" if median >= LEAST else "  slower"
            print(
                f"{figure:24} {median:14.3f}  {min(ratios):6.3f} … {max(ratios):<6.3f} "
                f"{len(ratios):6}{mark}",
                flush=True,
            )
            kept.append({"name": figure, "times_as_fast": median, "rounds": ratios})
            slower += [figure] if mark else []
    (ROOT / "target" / "bench-against.json").write_text(json.dumps(kept, indent=2) + "\n")
    told = f"less than {LEAST} times as fast: {', '.join(slower)}"
    print(told if slower else "no line is slower")
    return 0


if __name__ == "__main__":
    sys.exit(main())
