"""What registries show and what goes along with a package."""

from __future__ import annotations

import importlib
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import long_description
import pytest

ROOT = Path(__file__).parents[2]
#: What `make wheels` builds, of which each may need others.
TARGETS = re.findall(r"([\w-]+-linux-\w+)=\w+", (ROOT / "Makefile").read_text(encoding="utf-8"))
#: Those that are published on crates.io.
CRATES = ("core", "ffi", "sqlite-locks")


# Not in 3.10, whose types the checker knows.
tomllib: Any = importlib.import_module("tomllib")


@cache
def manifest(path: str) -> dict[str, Any]:
    read: dict[str, Any] = tomllib.loads((ROOT / path).read_text(encoding="utf-8"))
    return read


def test_links_of_the_readme_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(long_description.links(text)) > 10
    missing = [
        link
        for link in long_description.links(text)
        if not (ROOT / link.partition("#")[0]).exists()
    ]
    assert missing == []


def test_the_long_description_is_the_readme() -> None:
    written = long_description.PAGE.read_text(encoding="utf-8")
    assert written == long_description.page(), "`make docs` writes python/README.md anew"
    assert long_description.links(written) == []


@pytest.mark.parametrize("crate", CRATES)
def test_a_crate_says_what_it_is(crate: str) -> None:
    package = manifest(f"{crate}/Cargo.toml")["package"]
    assert {"description", "license", "repository", "readme", "rust-version"} <= set(package)
    assert (ROOT / crate / package["readme"]).is_file()
    # What crates.io takes.
    assert 1 <= len(package["keywords"]) <= 5
    assert all(re.fullmatch(r"[a-z][a-z0-9+-]{0,19}", word) for word in package["keywords"])
    assert 1 <= len(package["categories"]) <= 5


def test_the_module_says_what_it_is() -> None:
    project = manifest("python/pyproject.toml")["project"]
    for file in (project["readme"], *project["license-files"]):
        assert (ROOT / "python" / file).is_file()
    assert {"Repository", "Documentation", "Changelog", "Issues"} <= set(project["urls"])
    for url in project["urls"].values():
        _, found, path = url.partition("/blob/main/")
        assert not found or (ROOT / path).is_file(), url
    # No claim that nothing has shown.
    assert not [line for line in project["classifiers"] if "MacOS" in line or "Windows" in line]


def libraries(*options: str) -> set[str]:
    """What the extension is built from, but for what is ours: names and versions."""
    command = ["cargo", "tree", "--locked", "--package", "stayline-python", "--edges", "normal"]
    printed = subprocess.run(
        [*command, "--prefix", "none", "--format", "{p}", *options],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    words = [line.split() for line in printed.splitlines() if line]
    return {
        f"{word[0]} {word[1].lstrip('v')}" for word in words if word[0].split("-")[0] != "stayline"
    }


def test_the_wheel_names_all_whose_code_is_in_it() -> None:
    assert len(TARGETS) == 4
    text = (ROOT / "python" / "THIRD-PARTY").read_text(encoding="utf-8")
    named = re.findall(r"^=== (\S+ \S+): (.+)$", text, re.MULTILINE)
    expected = libraries(*(f"--target={target}" for target in TARGETS))
    assert len(expected) > 100
    assert {name for name, _ in named} == expected, "`make third-party` writes it anew"
    assert len(named) == len(expected)
    assert [name for name, licence in named if licence == "see its source"] == []
    # Each with its text, or with the place of the same one.
    parts = re.split(r"^=== .*$", text, flags=re.MULTILINE)[1:]
    assert [
        name for (name, _), part in zip(named, parts, strict=True) if "\n--- " not in part
    ] == []
    for line in re.findall(r"^--- .+: as of (.+), (\S+)$", text, re.MULTILINE):
        assert f"\n=== {line[0]}:" in text
        assert f"\n--- {line[1]}\n" in text


def test_whoever_builds_it_elsewhere_is_told_in_a_sentence() -> None:
    text = (ROOT / "core" / "src" / "lib.rs").read_text(encoding="utf-8")
    assert "#[cfg(not(unix))]\ncompile_error!(" in text
