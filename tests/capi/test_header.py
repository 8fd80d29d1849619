"""The header: it compiles on its own, says everything, and is what the library sees."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from conftest import COMPILERS, PATIENCE, ROOT, STANDARDS, WARNINGS
from header import Item, items_of, without_comments, without_inline

HEADER = ROOT / "include" / "stayline.h"
LAYOUT = ROOT / "tests" / "capi" / "layout.c"
ITEMS = items_of(HEADER.read_text())
FUNCTIONS = [item for item in ITEMS if item.kind == "function"]
# The status that an error has is no status of the call.
FALLIBLE = [
    item
    for item in FUNCTIONS
    if item.code.startswith("stayline_status ") and item.name != "stayline_error_status"
]


def named(items: list[Item], complaints: list[str]) -> None:
    assert items, "the header was not understood"
    assert not complaints, "\n".join(complaints)


def compiled(source: Path, language: str, compiler: str, prefix: Path) -> tuple[int, str]:
    """How a compiler takes a source: its exit code, and what it says."""
    ended = subprocess.run(
        [
            COMPILERS[language, compiler],
            *(STANDARDS[language], *WARNINGS, f"-I{prefix}/include"),
            *("-x", language, "-fsyntax-only", str(source)),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return ended.returncode, ended.stderr


@pytest.mark.parametrize(("language", "compiler"), COMPILERS)
def test_the_header_compiles_on_its_own_and_twice(
    language: str, compiler: str, prefix: Path, tmp_path: Path
) -> None:
    source = tmp_path / "alone"
    source.write_text("#include <stayline.h>\n#include <stayline.h>\n")
    assert compiled(source, language, compiler, prefix) == (0, "")


def test_every_item_was_found() -> None:
    text = without_comments(HEADER.read_text())
    code = without_inline(text)
    kinds: dict[str, set[str]] = {}
    for item in ITEMS:
        kinds.setdefault(item.kind, set()).add(item.name)
        for part in item.parts:
            kinds.setdefault(part.kind, set()).add(part.name)

    assert kinds["function"] == set(re.findall(r"^[\w *]*?\b(stayline_\w+)\($", code, re.M)) | set(
        re.findall(r"^[\w *]*?\b(stayline_\w+)\([^;{]*\);", code, re.M | re.S)
    )
    assert kinds["inline"] == set(re.findall(r"^static inline \w+ (stayline_\w+)\(", text, re.M))
    assert kinds["enum"] == set(re.findall(r"^enum (\w+)", code, re.M))
    assert kinds["struct"] == set(re.findall(r"^\} (\w+);", code, re.M))
    assert kinds["type"] == set(re.findall(r"^typedef struct \w+ (\w+);", code, re.M))
    assert kinds["member"] == set(re.findall(r"^ +(STAYLINE_\w+) = ", code, re.M))
    fields = re.findall(r"\bstruct \{(.*?)\n\}", code, re.S)
    assert sum(len(item.parts) for item in ITEMS if item.kind == "struct") == sum(
        text.count(";") for text in fields
    )


def test_every_item_has_a_comment() -> None:
    silent = [item.name for item in ITEMS if not item.comment]
    silent += [
        f"{item.name}.{part.name}" for item in ITEMS for part in item.parts if not part.comment
    ]
    named(ITEMS, silent)


def test_every_function_says_which_threads_may_call_it() -> None:
    named(FUNCTIONS, [item.name for item in FUNCTIONS if "Threads:" not in item.comment])


def test_every_function_with_a_status_says_what_it_returns() -> None:
    named(FALLIBLE, [item.name for item in FALLIBLE if "Returns" not in item.comment])


def test_comments_name_parameters_and_statuses_that_there_are() -> None:
    statuses = {
        part.name.removeprefix("STAYLINE_STATUS_")
        for item in ITEMS
        if item.name == "stayline_status"
        for part in item.parts
    }
    wrong = []
    for item in FUNCTIONS:
        for name in re.findall(r"^- `(\w+)`", item.comment, re.M):
            known = statuses if name.isupper() else item.parameters()
            if name not in known:
                wrong.append(f"{item.name}: {name}")
    named(FUNCTIONS, wrong)


def test_what_can_fail_gives_its_error_last() -> None:
    with_error = [item for item in FUNCTIONS if item.parameters()[-1:] == ["out_error"]]
    assert with_error == FALLIBLE


@pytest.mark.parametrize(("language", "compiler"), COMPILERS)
def test_the_library_sees_the_same_layout(language: str, compiler: str, prefix: Path) -> None:
    # Written from Rust, which also keeps it complete: see ffi/src/layout.rs.
    assert compiled(LAYOUT, language, compiler, prefix) == (0, "")


def test_a_layout_that_differs_is_noticed(prefix: Path, tmp_path: Path) -> None:
    changed = tmp_path / "layout.c"
    text = LAYOUT.read_text()
    changed.write_text(text.replace("sizeof(stayline_view), 16", "sizeof(stayline_view), 24"))
    assert changed.read_text() != text
    exit_code, told = compiled(changed, "c", "gcc", prefix)
    assert exit_code != 0
    assert "stayline_layout_check" in told


def test_the_layout_covers_every_struct_enum_and_field() -> None:
    layout = LAYOUT.read_text()
    missing = []
    for item in ITEMS:
        if item.kind in ("struct", "enum") and f"SAME(sizeof({item.name})," not in layout:
            missing.append(item.name)
        for part in item.parts:
            where = part.name if part.kind == "member" else f"offsetof({item.name}, {part.name})"
            if f"SAME({where}," not in layout:
                missing.append(f"{item.name}.{part.name}")
    named(ITEMS, missing)
