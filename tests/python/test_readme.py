"""What the documentation shows is what the commands print."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from command import PATIENCE, environment

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"

#: What differs each time.
_VARYING = [
    (re.compile(r"exc_[0-9a-f-]{36}"), "EXECUTION"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{3}Z)?"), "MOMENT"),
    (re.compile(r"\d\d:\d\d:\d\d\.\d{3}"), "TIME"),
    (re.compile(r" +\d+\.\ds"), " DURATION"),
]


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.DOTALL | re.MULTILINE)


def plain(text: str) -> str:
    for pattern, word in _VARYING:
        text = pattern.sub(word, text)
    return text


@pytest.mark.parametrize("page", ["README.md", "docs/cli.md"])
def test_commands_print_what_is_shown(page: str, tmp_path: Path) -> None:
    binary = tmp_path / "bin"
    binary.mkdir()
    (binary / "stayline").write_text(f'#!/bin/sh\nexec {sys.executable} -m stayline "$@"\n')
    (binary / "stayline").chmod(0o755)
    variables = environment()
    variables["PATH"] = f"{binary}:{variables['PATH']}"
    shown = blocks(ROOT / page, "console")
    assert shown
    for block in shown:
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            answer = subprocess.run(
                ["sh", "-c", command],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                cwd=tmp_path,
                env=variables,
                timeout=PATIENCE,
            )
            assert plain(answer.stdout) == plain(expected), command


def test_the_python_example_prints_what_is_shown(tmp_path: Path) -> None:
    (source,) = blocks(README, "python")
    expected = blocks(README, "text")[0]
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", source],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=PATIENCE,
    )
    assert (answer.stdout, answer.stderr) == (expected, "")


@pytest.mark.timeout(180)
def test_the_demo_prints_what_is_shown() -> None:
    """The demo itself finds out whether everything held; here its words are compared."""
    answer = subprocess.run(
        [sys.executable, "-m", "stayline", "demo"],
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert (answer.returncode, answer.stderr) == (0, ""), answer.stdout
    expected = blocks(README, "text")[1]
    assert _words(answer.stdout) == _words(expected)


def _words(text: str) -> list[list[str]]:
    """Line by line, without figures and digests."""
    without = re.sub(r"\b[0-9a-f]{12}\b|\d+(\.\d+)?", "N", text)
    return [line.split() for line in without.splitlines()]


@pytest.mark.parametrize("page", [README, *sorted((ROOT / "docs").glob("*.md"))])
def test_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)#]+)", prose):
        if "://" not in target:
            assert (page.parent / target).exists(), target
