"""The promise to hosts that were built earlier: today's library runs them, its types have kept
their layout, and each function is there since the version that its symbol says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BUILD_PATIENCE, PATIENCE, ROOT, Compile
from header import Item, items_of
from test_older_headers import HEADERS, changed_on_purpose

TODAY = ROOT / "include" / "stayline.h"
MAP = (ROOT / "ffi" / "stayline.map").read_text()


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("header", [*HEADERS, TODAY.parent], ids=lambda folder: folder.name)
def test_a_host_of_an_older_header_runs(
    compile: Compile, header: Path, compiler: str, tmp_path: Path
) -> None:
    # Its header is found before the installed one.
    flags = ["-fstack-protector-all", f"-I{header}"]
    source = tmp_path / "older_host.c"
    shutil.copy(ROOT / "tests" / "capi" / "older_host.c", source)
    # Without the guard every header would be read.
    source.write_text(f'#include "{header / "stayline.h"}"\n' + source.read_text())
    program = compile(source, compiler=compiler, flags=flags)
    for store in ("memory:", f"sqlite:{tmp_path / 'runs.db'}"):
        ended = subprocess.run([program, store], capture_output=True, text=True, timeout=PATIENCE)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout == (
            'completed\noutput {"n":1}\ncomplete {"currentBranch":"main","exitCode":0}\n'
        )


def body_of(function: Item) -> str:
    return f"{function.code.removesuffix(';')} {{ __builtin_trap(); }}"


def library(header: Path, folder: Path) -> Path:
    """A library that has the header's functions, with the types that a host sees."""
    functions = [item for item in items_of(header.read_text()) if item.kind == "function"]
    source = folder / "stub.c"
    source.write_text("\n".join([f'#include "{header}"', *map(body_of, functions)]))
    built = folder / "libstub.so"
    options = ["-g", "-shared", "-fPIC", "-Wl,-soname,libstub.so"]
    command = ["gcc", *options, str(source), "-o", str(built)]
    subprocess.run(command, check=True, capture_output=True, timeout=BUILD_PATIENCE)
    return built


def as_long_as(old: str, new: str) -> str:
    """The new header, without what has come to the ends of structs that tell their size."""
    was = {item.name: item for item in items_of(old) if item.kind == "struct"}
    for item in items_of(new):
        if item.name not in was or "struct_size" not in item.code:
            continue
        kept = item.parts[: len(was[item.name].parts)]
        if [part.name for part in kept] == [part.name for part in was[item.name].parts]:
            fields = "".join(f"    {part.code};\n" for part in kept)
            new = new.replace(item.code, f"typedef struct {{\n{fields}}} {item.name};")
    return new


def compared(old: str, new: str, folder: Path, allowed: set[str]) -> tuple[int, str]:
    """What abidiff says, but for what may be: functions are added, structs grow at their end."""
    libraries = []
    for name, text in (("old", old), ("new", as_long_as(old, new))):
        (folder / name).mkdir()
        header = folder / name / "stayline.h"
        header.write_text(text)
        libraries.append(library(header, folder / name))
    suppressions = folder / "suppressions"
    names = f"^({'|'.join(sorted(allowed))})$"
    kinds = ("suppress_function", "suppress_type")
    rules = [f"[{kind}]\nname_regexp = {names}\n" for kind in kinds]
    suppressions.write_text("\n".join(rules) if allowed else "")
    ended = subprocess.run(
        ["abidiff", "--no-added-syms", "--suppressions", suppressions, *libraries],
        capture_output=True,
        text=True,
        timeout=BUILD_PATIENCE,
    )
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.skipif(shutil.which("abidiff") is None, reason="abidiff is not installed")
@pytest.mark.parametrize("folder", HEADERS, ids=lambda folder: folder.name)
def test_the_types_have_kept_their_layout(folder: Path, tmp_path: Path) -> None:
    allowed = set(changed_on_purpose(folder))
    old = (folder / "stayline.h").read_text()
    code, told = compared(old, TODAY.read_text(), tmp_path, allowed)
    assert code == 0, told


@pytest.mark.skipif(shutil.which("abidiff") is None, reason="abidiff is not installed")
@pytest.mark.parametrize(
    ("old", "new", "is_kept"),
    [
        # At the end of a struct that tells its size.
        ("} stayline_wrapper_options;", "    int64_t more;\n} stayline_wrapper_options;", True),
        # In its middle, or in a struct that does not.
        ("    bool retry_first;", "    int64_t more;\n    bool retry_first;", False),
        ("    bool retry_first;", "    int64_t retry_first;", False),
        ("} stayline_view;", "    size_t more;\n} stayline_view;", False),
        # A function that goes, or takes something else.
        ("uint32_t stayline_abi_version(void);", "", False),
        ("uint32_t stayline_abi_version(void);", "uint64_t stayline_abi_version(void);", False),
    ],
)
def test_what_breaks_a_host_is_found(old: str, new: str, is_kept: bool, tmp_path: Path) -> None:
    text = TODAY.read_text()
    assert text.count(old) == 1, old
    code, told = compared(text, text.replace(old, new), tmp_path, set())
    assert (code == 0) == is_kept, told


def versions(text: str) -> dict[str, str]:
    """Since which version each function of a map is there."""
    found = {}
    for node, body in re.findall(r"^(STAYLINE_[\d.]+) \{(.*?)^\}", text, re.S | re.M):
        for name in re.findall(r"^\s+(stayline_\w+);", body, re.M):
            assert name not in found, f"{name} is in two nodes"
            found[name] = node
    return found


def test_the_map_has_every_function_and_nothing_else() -> None:
    functions = {item.name for item in items_of(TODAY.read_text()) if item.kind == "function"}
    assert set(versions(MAP)) == functions


@pytest.mark.skipif(sys.platform != "linux", reason="symbols have no versions elsewhere")
def test_each_symbol_says_since_when_it_is_there(libdir: Path) -> None:
    listed = subprocess.run(
        ["nm", "--dynamic", "--defined-only", "--with-symbol-versions", libdir / "libstayline.so"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    ).stdout
    found = dict(re.findall(r" T (stayline_\w+)@@(\S+)$", listed, re.M))
    assert found == versions(MAP)
