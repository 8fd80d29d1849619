"""The headers of earlier versions: what a host was built with still means the same.

What was changed on purpose stands in `changed.txt` beside the header, with its reason. After a
release nothing may be added there: a changed function gets another name.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from conftest import PATIENCE, ROOT, Compile
from header import Item, items_of

HEADERS = sorted((ROOT / "tests" / "fixtures" / "headers").iterdir())


def code_of(item: Item) -> str:
    """The code of an item, however it is laid out."""
    return re.sub(r"\s+", " ", item.code).strip()


def differences(old: Item, new: Item | None) -> list[str]:
    """How an item does not keep what the older header said of it."""
    if new is None or new.kind != old.kind:
        return [f"{old.name} is gone"]
    if old.kind in ("struct", "enum"):
        parts = {part.name: (place, code_of(part)) for place, part in enumerate(new.parts)}
        return [
            f"{old.name}.{part.name} was: {code_of(part)}; is: {parts.get(part.name)}"
            for place, part in enumerate(old.parts)
            if parts.get(part.name) != (place, code_of(part))
        ]
    if code_of(old) != code_of(new):
        return [f"{old.name} was: {code_of(old)}; is: {code_of(new)}"]
    return []


def changed_on_purpose(folder: Path) -> dict[str, str]:
    """Names and reasons."""
    told = folder / "changed.txt"
    if not told.exists():
        return {}
    lines = (line for line in told.read_text().splitlines() if line and not line.startswith("#"))
    return dict(line.split(": ", 1) for line in lines)


@pytest.mark.parametrize("folder", HEADERS, ids=lambda folder: folder.name)
def test_an_older_header_still_tells_the_truth(folder: Path) -> None:
    new = {item.name: item for item in items_of((ROOT / "include" / "stayline.h").read_text())}
    allowed = changed_on_purpose(folder)
    found: dict[str, list[str]] = {}
    for item in items_of((folder / "stayline.h").read_text()):
        if item.name.startswith("STAYLINE_VERSION"):
            continue
        told = differences(item, new.get(item.name))
        if told:
            found[item.name] = told
    broken = [line for name, told in found.items() if name not in allowed for line in told]
    assert not broken, "\n".join(broken)
    assert set(allowed) == set(found), "changed.txt names what has not changed"


def test_what_does_not_keep_its_promise_is_found() -> None:
    old = Item(
        "struct", "s", "", "", [Item("field", "a", "", "int a"), Item("field", "b", "", "int b")]
    )
    grown = Item("struct", "s", "", "", [*old.parts, Item("field", "c", "", "int c")])
    swapped = Item("struct", "s", "", "", old.parts[::-1])
    assert differences(old, grown) == []
    assert len(differences(old, swapped)) == 2
    assert differences(grown, old)
    assert differences(old, None)
    was, now = (
        Item("function", "f", "", "int f(int a);"),
        Item("function", "f", "", "int f(long a);"),
    )
    assert differences(was, now)
    assert not differences(was, Item("function", "f", "", "int f(int\n  a);"))


#: What a host that knows `SIZE` bytes of a struct gets: all of them, and not one more.
INITIALISED = """
#include <stayline.h>
#include <stdio.h>
#include <string.h>

typedef void (*init_function)(void *, size_t);

static int is_wrong(const char *name, init_function init, size_t whole, size_t size) {
    static unsigned char latest[4096], given[4096];
    memset(given, 0xA5, sizeof given);
    init(latest, whole);
    init(given, size);
    size_t told = 0;
    memcpy(&told, given, sizeof told);
    int wrong = told != size;
    for (size_t at = sizeof told; at < sizeof given; at++) {
        unsigned char wanted = at >= size ? 0xA5 : at >= whole ? 0 : latest[at];
        wrong |= given[at] != wanted;
    }
    if (wrong) {
        printf("%s: %zu of %zu bytes\\n", name, size, whole);
    }
    return wrong;
}

int main(void) {
    int wrong = 0;
    CASES
    return wrong;
}
"""


def test_defaults_go_no_further_than_the_callers_struct(compile: Compile, tmp_path: Path) -> None:
    header = items_of((ROOT / "include" / "stayline.h").read_text())
    names = [item.name.removesuffix("_default") for item in header if item.kind == "inline"]
    assert len(names) >= 12
    cases = [
        f'wrong |= is_wrong("{name}", (init_function){name}_init, sizeof({name}), {size});'
        for name in names
        for size in (
            "sizeof(size_t)",
            f"sizeof({name}) - 8",
            f"sizeof({name})",
            f"sizeof({name}) + 64",
        )
    ]
    source = tmp_path / "initialised.c"
    source.write_text(INITIALISED.replace("CASES", "\n    ".join(cases)))
    ended = subprocess.run(
        [compile(source)], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "")
    # No function of the library returns a struct that begins with its size.
    grown = {item.name for item in header if item.kind == "struct" and "struct_size" in item.code}
    returned = {item.name for item in header if item.kind == "function"}
    returned = {item.code.split()[0] for item in header if item.name in returned}
    assert not grown & returned
