"""Misuse of the C interface (`misuse/`), by gcc and clang, plain and under sanitizers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from conftest import Compile
from misuse_table import Header, write_table

SOURCES = Path(__file__).parent / "misuse"
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
# Far above what all cases take together under a sanitizer on a busy machine.
PATIENCE = 240.0


def build_misuse(
    compile: Compile, prefix: Path, tmp_path: Path, *, compiler: str, flags: tuple[str, ...] = ()
) -> Path:
    """The program of all cases."""
    table = tmp_path / "every_call.c"
    table.write_text(write_table(Header.read(prefix / "include" / "stayline.h")))
    return compile(
        [*sorted(SOURCES.glob("*.c")), table],
        compiler=compiler,
        flags=(f"-I{SOURCES}", "-pthread", *flags),
        output=tmp_path / "misuse",
    )


def run_misuse(program: Path, *cases: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "RUST_BACKTRACE": "0",
    }
    return subprocess.run(
        [program, *cases], capture_output=True, text=True, timeout=PATIENCE, env=environment
    )


@pytest.mark.parametrize("flags", [(), SANITIZERS], ids=["plain", "sanitized"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_misuse_is_answered_and_leaves_nothing_behind(
    compile: Compile, prefix: Path, tmp_path: Path, compiler: str, flags: tuple[str, ...]
) -> None:
    program = build_misuse(compile, prefix, tmp_path, compiler=compiler, flags=flags)
    ended = run_misuse(program)
    assert ended.returncode == 0, ended.stdout[-500:] + ended.stderr[-8000:]
    listed = run_misuse(program, "--list").stdout
    assert ended.stdout == listed
    # Every function has a case of its own.
    functions = {function.name for function in Header.read(prefix / "include/stayline.h").functions}
    assert functions < set(listed.split())


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_leak_and_a_second_free_would_be_noticed(
    compile: Compile, tmp_path: Path, compiler: str
) -> None:
    """The canary: what the sanitizers see must not end at the library's border."""
    source = tmp_path / "canary.c"
    source.write_text(
        "#include <stayline.h>\n"
        "int main(int count, char **arguments) {\n"
        "    (void)arguments;\n"
        "    stayline_settings *settings = NULL;\n"
        "    stayline_settings_new(&settings, NULL);\n"
        "    if (count > 1) {\n"
        "        stayline_settings_free(settings);\n"
        "        stayline_settings_free(settings);\n"
        "    }\n"
        "    settings = NULL;\n"
        "    return 0;\n"
        "}\n"
    )
    program = compile(source, compiler=compiler, flags=SANITIZERS, output=tmp_path / "canary")
    leaked = run_misuse(program)
    assert leaked.returncode != 0
    assert "LeakSanitizer" in leaked.stderr
    freed_twice = run_misuse(program, "twice")
    assert freed_twice.returncode != 0
    assert "AddressSanitizer" in freed_twice.stderr
