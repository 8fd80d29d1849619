"""stayline.hpp as C++ hosts use it, and as they should not."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "hpp.cpp"
# Far above what any case takes; they wait up to a minute themselves.
PATIENCE = 120.0

CASES = [
    "callbacks",
    "clock",
    "closing_while_others_wait",
    "defaults",
    "descriptors",
    "errors",
    "launches",
    "logs",
    "machine",
    "many_threads",
    "moves",
    "panics",
    "parked_notifications",
    "ranges",
    "use_after_close",
    "use_after_move",
]


SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.fixture(params=["gcc", "clang", "sanitized"])
def program(request: pytest.FixtureRequest, compile: Callable[..., Path]) -> Path:
    """Plain by both compilers; and so that wrong memory and leaks end it."""
    sanitized = request.param == "sanitized"
    compiler = "clang" if sanitized else request.param
    flags = ["-pthread", *(SANITIZERS if sanitized else [])]
    return compile([SOURCE], language="c++", compiler=compiler, flags=flags)


def run(program: Path, *arguments: str) -> str:
    ended = subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_no_case_is_left_out(program: Path) -> None:
    assert run(program).split() == CASES


@pytest.mark.parametrize("case", CASES)
def test_case(program: Path, case: str) -> None:
    run(program, case)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_each_file_stands_alone_also_under_a_newer_standard(
    compile: Callable[..., Path], compiler: str, prefix: Path, tmp_path: Path
) -> None:
    headers = sorted((prefix / "include" / "stayline").glob("*.hpp"))
    assert len(headers) > 15
    sources = []
    for header in headers:
        source = tmp_path / f"{header.stem}.cpp"
        source.write_text(f"#include <stayline/{header.name}>\n#include <stayline/{header.name}>\n")
        sources.append(source)
    main = tmp_path / "main.cpp"
    # Twice in one program: nothing in the headers is defined twice.
    main.write_text(
        "#include <stayline.hpp>\nint main() { return stayline::abi_version() == 0; }\n"
    )
    flags = ["-std=c++20", "-Wshadow", "-Wconversion"]
    run(compile([main, *sources], language="c++", compiler=compiler, flags=flags))
