"""What the library exports is what the header declares, and nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

from conftest import PATIENCE, ROOT
from header import items_of

FUNCTIONS = {
    item.name
    for item in items_of((ROOT / "include" / "stayline.h").read_text())
    if item.kind == "function"
}


def symbols(library: Path, *options: str) -> set[str]:
    ended = subprocess.run(
        ["nm", "--defined-only", "--extern-only", "--format=posix", *options, str(library)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 0, ended.stderr
    # Lines that end with a colon name the members of an archive. Versions are for `test_abi.py`,
    # and each is a symbol, too.
    lines = (line for line in ended.stdout.splitlines() if line and line[-1] != ":")
    names = (line.split() for line in lines)
    return {name.partition("@@")[0] for name, kind, *_ in names if kind != "A"}


def test_the_shared_library_exports_the_functions_of_the_header(libdir: Path) -> None:
    assert symbols(libdir / "libstayline.so", "--dynamic") == FUNCTIONS


def test_the_static_library_has_the_functions_of_the_header(libdir: Path) -> None:
    # Besides them it has those of everything in it, which no archive can hide.
    found = symbols(libdir / "libstayline.a")
    assert {name for name in found if name.startswith("stayline_")} == FUNCTIONS


def test_the_shared_library_needs_nothing_but_the_system(libdir: Path) -> None:
    ended = subprocess.run(
        ["readelf", "--dynamic", "--wide", str(libdir / "libstayline.so")],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    needed = {
        line.rpartition("[")[2].rstrip("]").split(".so")[0]
        for line in ended.stdout.splitlines()
        if "(NEEDED)" in line
    }
    assert "libc" in needed
    loader = {name for name in needed if name.startswith("ld-")}
    assert needed - loader <= {"libc", "libm", "libgcc_s", "libpthread", "libdl", "librt"}
