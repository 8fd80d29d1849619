"""Builds the fuzzers and runs them, some at a time, each for so long.

    fuzz/run.py [--minutes 1] [--runs 0] [--at-a-time 2] [--seed 0] [TARGET...]

Seeds are in ``seeds/TARGET.txt``, one a line, with escapes as in Python's ``b"…"``; what is found
besides is kept below ``target/fuzz/corpus`` and used again. An input that breaks something is
written to ``target/fuzz/found`` and told with the command that tries it again; the exit code is
then 1. ``run-lines`` is the Python side of ``stayline run`` and takes no build.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TARGET = ROOT / "target" / "fuzz"
PYTHON_TARGET = "run-lines"

#: Counts where a program has been, with the stable compiler; libFuzzer reads it.
COVERAGE = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=16",
    "--cfg=fuzzing",
]
#: Longer inputs find no more, and take longer.
LONGEST = {"requests": 4_096, "control": 4_096, "lines": 8_192, "files": 96}
LONGEST_ELSE = 1_024
#: Of what broke something, in bytes, so that it can be tried where only the output is left.
LONGEST_TOLD = 4_096
#: One input, in seconds: none has to wait for anything.
SLOWEST = 25


@dataclass(frozen=True)
class Outcome:
    """How one target went."""

    name: str
    told: str
    found: list[Path]
    ok: bool


def targets() -> list[str]:
    """Those of the program, in its order."""
    source = (HERE / "src" / "main.rs").read_text(encoding="utf-8")
    return re.findall(r'^    \("([a-z]+)", targets::', source, re.MULTILINE)


def triple() -> str:
    """This machine's; named, so that build scripts are compiled without the coverage."""
    told = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    return next(line.split()[1] for line in told.splitlines() if line.startswith("host:"))


def build() -> Path:
    """The program."""
    host = triple()
    environment = {
        **os.environ,
        "CARGO_TARGET_DIR": str(TARGET),
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(COVERAGE),
    }
    # The versions are those of the project; cargo adds what only the fuzzers need.
    lock, ours = ROOT / "Cargo.lock", HERE / "Cargo.lock"
    if not ours.exists() or ours.stat().st_mtime < lock.stat().st_mtime:
        shutil.copyfile(lock, ours)
    cargo = os.environ.get("CARGO", "cargo")
    command = [cargo, "build", "--manifest-path", HERE / "Cargo.toml", "--target", host]
    subprocess.run(command, env=environment, check=True)
    return TARGET / host / "debug" / "fuzz"


def write_seeds(name: str) -> Path:
    """The committed inputs, a file each."""
    folder = TARGET / "seeds" / name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    lines = (HERE / "seeds" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    seeds = [line for line in lines if line and not line.startswith("#")]
    for number, line in enumerate(seeds):
        # What is not an escape stands for itself, quotes and other alphabets too.
        plain = line.encode("utf-8").decode("latin-1").replace('"', r"\x22")
        plain = "".join(one if one < "\x7f" else f"\\x{ord(one):02x}" for one in plain)
        (folder / f"{number:03}").write_bytes(ast.literal_eval(f'b"{plain}"'))
    return folder


def as_seed(data: bytes) -> str:
    """An input as a line of ``seeds/TARGET.txt``."""
    return ascii(data)[2:-1]


def fuzz(program: Path, name: str, seconds: int, runs: int, seed: int) -> Outcome:
    """Runs one target."""
    corpus, found = TARGET / "corpus" / name, TARGET / "found" / name
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    command = [
        program,
        corpus,
        write_seeds(name),
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST.get(name, LONGEST_ELSE)}",
        f"-timeout={SLOWEST}",
        f"-seed={seed}",
        f"-runs={runs or -1}",
        f"-artifact_prefix={found}/",
        "-rss_limit_mb=4096",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    environment = {**os.environ, "STAYLINE_FUZZ": name, "RUST_BACKTRACE": "1"}
    log = TARGET / f"{name}.log"
    with log.open("wb") as output:
        # Where nothing lies that a fuzzer may touch.
        ran = subprocess.run(
            command, env=environment, cwd=TARGET, stdout=output, stderr=output, check=False
        )
    text = log.read_text(encoding="utf-8", errors="replace")
    tried = re.search(r"stat::number_of_executed_units:\s*(\d+)", text)
    told = f"{tried[1] if tried else '?'} inputs"
    if ran.returncode != 0:
        # A panic is two lines: where, and why.
        panic = re.search(r"^.*panicked at.*\n.*|^.*ERROR:.*", text, re.MULTILINE)
        told += f"; {panic[0] if panic else f'it ended with {ran.returncode}'} ({log})"
    written = [Path(path) for path in re.findall(r"Test unit written to (.+)", text)]
    return Outcome(name, told, written, ran.returncode == 0)


def run_lines(seconds: int) -> Outcome:
    """The Python side of ``stayline run``."""
    command = [sys.executable, HERE / "run_lines.py", "--seconds", str(seconds)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    told = (ran.stdout + ran.stderr).strip()
    return Outcome(PYTHON_TARGET, told, [], ran.returncode == 0)


def main() -> int:
    """Build, run, tell."""
    names = [*targets(), PYTHON_TARGET]
    parser = argparse.ArgumentParser(prog="fuzz/run.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="for each target (default: 1)")
    parser.add_argument(
        "--runs", type=int, default=0, help="no more inputs than so many each (default: any number)"
    )
    parser.add_argument("--at-a-time", type=int, default=2, help="side by side (default: 2)")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the random numbers (default: another each time)"
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(names))
    arguments = parser.parse_args()
    chosen = arguments.targets or names
    if unknown := set(chosen) - set(names):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    seconds = max(1, round(arguments.minutes * 60))
    program = build() if set(chosen) - {PYTHON_TARGET} else Path()

    def run(name: str) -> Outcome:
        if name == PYTHON_TARGET:
            return run_lines(seconds)
        return fuzz(program, name, seconds, arguments.runs, arguments.seed)

    is_fine = True
    with ThreadPoolExecutor(arguments.at_a_time) as pool:
        for outcome in pool.map(run, chosen):
            is_fine = is_fine and outcome.ok
            mark = "ok    " if outcome.ok else "BROKEN"
            print(f"fuzz: {mark} {outcome.name}: {outcome.told}", flush=True)
            for found in outcome.found:
                print(f"      try again: STAYLINE_FUZZ={outcome.name} {program} {found}")
                print(f"      as a seed: {as_seed(found.read_bytes()[:LONGEST_TOLD])}", flush=True)
    return 0 if is_fine else 1


if __name__ == "__main__":
    sys.exit(main())
