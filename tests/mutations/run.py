#!/usr/bin/env python3
"""Shows that the tests notice faults: applies each patch of this folder and expects a failure.

A patch is one small fault. Its header says which rule it breaks and by which narrow command that
is noticed. All of it happens in a copy of the files below `target/mutations`, so that the working
tree is never touched and builds are incremental. First every command has to pass without a fault,
since a test that always fails notices nothing.

    tests/mutations/run.py [NAME...]

One line a mutation, `caught NAME by COMMAND` or `MISSED NAME: why`, then `N passed, N failed`;
exit code 1 if any is missed, does not apply, or does not compile.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
TARGET = ROOT / "target" / "mutations"
COPY = TARGET / "copy"

# A fault may make a test wait for ever, which is noticed as well. Building has its own limit.
TEST_SECONDS = 180
BUILD_SECONDS = 1_500


@dataclass(frozen=True)
class Mutation:
    """One fault, and the command that notices it."""

    name: str
    patch: Path
    rule: str
    command: str

    @staticmethod
    def read(patch: Path) -> Mutation:
        header: dict[str, str] = {}
        for line in patch.read_text(encoding="utf-8").splitlines():
            if line.startswith("diff --git "):
                break
            key, colon, value = line.partition(":")
            if colon:
                header[key] = value.strip()
        missing = {"Rule", "Fault", "Command"} - header.keys()
        if missing:
            raise SystemExit(f"{patch.name}: the header lacks {', '.join(sorted(missing))}")
        return Mutation(patch.stem, patch, header["Rule"], header["Command"])

    @property
    def build(self) -> list[str]:
        """The command's build alone: what is not compiled is not noticed by a test."""
        words = shlex.split(self.command)
        # The test's name and what is for the test harness come after what is for cargo.
        stop = words.index("--") if "--" in words else len(words)
        kept: list[str] = []
        takes_value = False
        for word in words[:stop]:
            if takes_value or word.startswith("-") or word in ("cargo", "test"):
                kept.append(word)
            takes_value = not takes_value and word in ("-p", "--test", "--package")
        return [*kept, "--no-run"]


class Copy:
    """A copy of the tracked files, in which faults come and go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
        )
        names = {name for name in listed.stdout.decode().split("\0") if (ROOT / name).is_file()}
        for name in names:
            source, target = ROOT / name, folder / name
            content = source.read_bytes()
            # Cargo looks at times. What is the same keeps its own; all else is new, whatever an
            # earlier run has left there and compiled.
            if not target.is_file() or target.read_bytes() != content:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
                target.chmod(source.stat().st_mode)
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            if str(path.relative_to(folder)) not in names:
                path.unlink()

    def apply(self, mutation: Mutation, *options: str) -> str | None:
        """Applies a patch; what is wrong with it, if anything is."""
        done = subprocess.run(
            ["git", "apply", "-C1", *options, str(mutation.patch)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "GIT_CEILING_DIRECTORIES": str(self.folder.parent)},
        )
        return None if done.returncode == 0 else done.stderr.strip()

    def touch(self, mutation: Mutation) -> None:
        """Makes the patched files look new to cargo, also when they have come back."""
        for line in mutation.patch.read_text(encoding="utf-8").splitlines():
            if line.startswith("+++ b/"):
                os.utime(self.folder / line.removeprefix("+++ b/"))

    def run(self, command: list[str], seconds: int) -> tuple[int | None, str]:
        """Exit code, `None` when the time was over, and what was printed."""
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            env={
                **os.environ,
                "CARGO_TARGET_DIR": str(TARGET),
                # Nobody debugs these builds; without it they are faster and smaller.
                "CARGO_PROFILE_DEV_DEBUG": "0",
                "CARGO_TERM_COLOR": "never",
                "RUST_BACKTRACE": "0",
            },
        )
        try:
            printed, _ = process.communicate(timeout=seconds)
            return process.returncode, printed
        except subprocess.TimeoutExpired:
            # The test's own processes go with it.
            os.killpg(process.pid, signal.SIGKILL)
            printed, _ = process.communicate()
            return None, printed


def ran_a_test(printed: str) -> bool:
    return any(
        line.startswith("running ") and not line.startswith("running 0 ")
        for line in printed.splitlines()
    )


def tail(printed: str) -> str:
    return "\n".join(f"    {line}" for line in printed.splitlines()[-15:])


def check_unmutated(copy: Copy, mutations: list[Mutation]) -> dict[str, str]:
    """Which commands notice nothing because they do not even pass without a fault."""
    useless: dict[str, str] = {}
    for command in dict.fromkeys(mutation.command for mutation in mutations):
        code, printed = copy.run(shlex.split(command), BUILD_SECONDS)
        if code != 0:
            useless[command] = f"it fails without the fault\n{tail(printed)}"
        elif not ran_a_test(printed):
            useless[command] = "it runs no test"
    return useless


def try_mutation(copy: Copy, mutation: Mutation) -> str | None:
    """Applies the fault, looks whether it is noticed, and takes it back; why it was missed."""
    if (wrong := copy.apply(mutation)) is not None:
        return f"the patch does not apply\n{wrong}"
    try:
        copy.touch(mutation)
        code, printed = copy.run(mutation.build, BUILD_SECONDS)
        if code != 0:
            return f"it does not compile\n{tail(printed)}"
        code, printed = copy.run(shlex.split(mutation.command), TEST_SECONDS)
        return None if code != 0 else "the command passes with the fault"
    finally:
        copy.apply(mutation, "--reverse")
        copy.touch(mutation)


def main(names: list[str]) -> int:
    mutations = [Mutation.read(patch) for patch in sorted(FOLDER.glob("*.patch"))]
    unknown = set(names) - {mutation.name for mutation in mutations}
    if unknown:
        raise SystemExit(f"no such mutation: {', '.join(sorted(unknown))}")
    if names:
        mutations = [mutation for mutation in mutations if mutation.name in names]
    failed = 0
    # Always the same place, so that what cargo has built is found again.
    copy = Copy(COPY)
    useless = check_unmutated(copy, mutations)
    for mutation in mutations:
        missed = useless.get(mutation.command) or try_mutation(copy, mutation)
        failed += missed is not None
        if missed is None:
            print(f"caught {mutation.name} by {mutation.command}", flush=True)
        else:
            print(f"MISSED {mutation.name}: {missed}", flush=True)
    print(f"{len(mutations) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
