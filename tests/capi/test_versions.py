"""One version: of the workspace, the header, the library, pkg-config and the SONAME."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from conftest import PATIENCE, ROOT, Compile, run_pkg_config

(VERSION,) = re.findall(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.M)
MAJOR, MINOR, PATCH = VERSION.split(".")


def test_the_header_has_the_version_of_the_workspace(prefix: Path) -> None:
    header = (prefix / "include" / "stayline.h").read_text()
    macros = dict(re.findall(r"^#define (STAYLINE_VERSION\w*) (.*)$", header, re.M))
    assert macros == {
        "STAYLINE_VERSION": f'"{VERSION}"',
        "STAYLINE_VERSION_MAJOR": MAJOR,
        "STAYLINE_VERSION_MINOR": MINOR,
        "STAYLINE_VERSION_PATCH": PATCH,
    }


def test_the_library_tells_the_version_of_its_header(compile: Compile, prefix: Path) -> None:
    header = (prefix / "include" / "stayline.h").read_text()
    interface = re.search(r"^#define STAYLINE_ABI_VERSION (\d+)$", header, re.M)
    assert interface is not None
    ended = subprocess.run(
        [compile("tests/capi/version.c")], capture_output=True, text=True, timeout=PATIENCE
    )
    assert (ended.returncode, ended.stdout) == (0, f"{VERSION} {VERSION} {interface[1]}\n")


def test_pkg_config_has_the_version_of_the_workspace(
    pkg_config_environment: Mapping[str, str],
) -> None:
    told = run_pkg_config(["stayline"], "--modversion", environment=pkg_config_environment)
    assert told == [VERSION]


def test_the_soname_changes_with_the_major_version_and_before_1_0_with_the_minor_one(
    libdir: Path,
) -> None:
    series = MAJOR if MAJOR != "0" else f"0.{MINOR}"
    ended = subprocess.run(
        ["readelf", "--dynamic", "--wide", str(libdir / "libstayline.so")],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert f"soname: [libstayline.so.{series}]" in ended.stdout


def test_the_links_lead_to_the_library_of_this_version(libdir: Path) -> None:
    series = MAJOR if MAJOR != "0" else f"0.{MINOR}"
    library = libdir / f"libstayline.so.{VERSION}"
    assert not library.is_symlink()
    for name in ("libstayline.so", f"libstayline.so.{series}"):
        link = libdir / name
        # Relative ones, or they would break when the tree is moved.
        assert link.is_symlink()
        assert link.readlink() == Path(library.name)
