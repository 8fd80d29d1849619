"""Which module of the core uses which: as `ARCHITECTURE.md` allows it, and as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "core" / "src"
#: Modules of their own within another one.
WITHIN = {
    "net": ("client", "server"),
    "store": ("memory", "sqlite"),
    "wrapper": ("dialect",),
}
#: What the crate exports at its top, and where it is from.
EXPORTED = {"Error": "error", "Settings": "settings"}

Use = tuple[str, str]


def tables(page: Path) -> tuple[dict[str, set[str]], set[Use]]:
    """The blocks `layers` and `exceptions`, a line a module: `module -> those it uses`."""
    text = page.read_text(encoding="utf-8")

    def rows(block: str) -> Iterator[tuple[str, list[str]]]:
        found = re.search(rf"^```{block}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        assert found, f"no block {block}"
        for line in found[1].splitlines():
            module, arrow, used = line.partition("#")[0].partition("->")
            assert arrow, line
            yield module.strip(), used.split()

    allowed = {module: set(used) for module, used in rows("layers")}
    return allowed, {(module, one) for module, used in rows("exceptions") for one in used}


def module_of(parts: tuple[str, ...]) -> str:
    """The module that a path of names is in."""
    first = EXPORTED.get(parts[0], parts[0])
    if len(parts) > 1 and parts[1] in WITHIN.get(first, ()):
        return f"{first}::{parts[1]}"
    return first


def paths(tree: str) -> Iterator[tuple[str, ...]]:
    """The paths of a `use`, behind `crate::`: one, or each of those in braces."""
    if not tree.startswith("{"):
        found = re.match(r"\w+(?:::\w+)*", tree)
        if found:
            first = tuple(found[0].split("::"))
            rest = tree[found.end() :]
            if len(first) == 1 and first[0] in WITHIN and rest.startswith("::{"):
                yield from (first + path for path in paths(rest[2:]))
            else:
                yield first
        return
    depth, begin = 0, 1
    for at, sign in enumerate(tree):
        depth += (sign == "{") - (sign == "}")
        if (depth == 1 and sign == ",") or depth == 0:
            yield from paths(tree[begin:at].strip())
            begin = at + 1
        if depth == 0:
            return


def product(source: str) -> str:
    """A source without comments and the module of tests at its end."""
    source = source.partition("#[cfg(test)]\nmod tests {")[0]
    return re.sub(r"//[^\n]*", "", source)


def uses() -> set[Use]:
    """Who names whom, whatever it is that is used; tests and programs may use everything."""
    found: set[Use] = set()
    for path in SOURCES.rglob("*.rs"):
        parts = path.relative_to(SOURCES).with_suffix("").parts
        if parts[0] in ("bin", "lib") or "tests" in parts:
            continue
        module = module_of(parts)
        source = product(path.read_text(encoding="utf-8"))
        for start in re.finditer(r"\bcrate::(?=[\w{])", source):
            for used in paths(source[start.end() :]):
                if module_of(used) != module:
                    found.add((module, module_of(used)))
    return found
