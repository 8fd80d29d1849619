"""The pages that describe the code: what they refer to, and where their links lead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: `core/src/coordinator/lead.rs::lead`: a file, and a function, type or constant in it.
REFERENCE = re.compile(r"`([\w./-]+\.\w+)::(\w+)`")
#: `core/src/lock.rs`: a file or a folder.
PATH = re.compile(
    r"`((?:core|ffi|include|python|sqlite-locks|tests|docs|examples|benches|fuzz)/[\w./-]*)`"
)
#: What defines a name, in Rust, Python and C.
DEFINITION = (
    r"\b(?:fn|struct|enum|trait|type|union|const|static|static mut|mod|macro_rules!|def|class"
    r"|#define) +{name}\b"
)
LINK = re.compile(r"(?<!!)\[[^\]\[]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^ {0,3}#{1,6} +(.+?) *#* *$", re.MULTILINE)
FENCE = re.compile(r"^ *(```+|~~~+).*?^ *\1 *$", re.MULTILINE | re.DOTALL)


def described() -> list[Path]:
    """The pages that may name what is in the code."""
    top = [ROOT / name for name in ("ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")]
    return [*top, *sorted((ROOT / "docs").rglob("*.md"))]


def linked() -> list[Path]:
    """The pages whose links must lead somewhere."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *described()]


@cache
def text(path: Path) -> str:
    """A page, or a source."""
    return path.read_text(encoding="utf-8")


def is_defined(path: Path, name: str) -> bool:
    """Whether the file defines the name."""
    defined = DEFINITION.format(name=name)
    if path.suffix in (".py", ".pyi"):
        defined += rf"|^{name} *[:=]"
    return re.search(defined, text(path), re.MULTILINE) is not None


def wrong_references(page: Path) -> Iterator[str]:
    """What a page names in the code and is not there."""
    for found in REFERENCE.finditer(text(page)):
        source = ROOT / found[1]
        if not source.is_file() or not is_defined(source, found[2]):
            yield found[0]
    for found in PATH.finditer(text(page)):
        if not (ROOT / found[1]).exists():
            yield found[0]


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    shown = LINK.sub(lambda link: link[0][1 : link[0].index("]")], heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")


@cache
def anchors(page: Path) -> frozenset[str]:
    """Where a link into a page may lead."""
    found: set[str] = set()
    prose = FENCE.sub("", text(page))
    for heading in HEADING.finditer(prose):
        name = slug(heading[1])
        number = 0
        while (one := f"{name}-{number}" if number else name) in found:
            number += 1
        found.add(one)
    return frozenset(found | set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", prose)))


def links(page: Path) -> list[str]:
    """Where a page leads to within the repository."""
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", text(page)))
    return [link for link in LINK.findall(prose) if not re.match(r"\w+:", link)]


def dead_links(page: Path) -> Iterator[str]:
    """Those that lead nowhere."""
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (
            anchor and (target.suffix != ".md" or anchor not in anchors(target.resolve()))
        ):
            yield link
