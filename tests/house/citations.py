"""Which rule is cited where: `citations.py --write` writes `docs/rules-tested.md` anew.

A rule is defined in `docs/rules.md`, by `- **R12**` at the beginning of its text, with "(not yet:
0.2)" behind where it is not built. It is cited by its number anywhere else.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
RULES = ROOT / "docs" / "rules.md"
PAGE = ROOT / "docs" / "rules-tested.md"

DEFINED = re.compile(r"^ *- \*\*(R\d+[a-z]?)\*\*( \(not yet: [\d.]+\))?", re.MULTILINE)
CITED = re.compile(r"\bR\d+[a-z]?\b")
#: What is neither written by us nor text.
LEFT_OUT = {".git", "target", "node_modules", "__pycache__", ".pytest_cache", ".mypy_cache"}
SUFFIXES = {
    *(".rs", ".py", ".pyi", ".h", ".hpp", ".c", ".cpp", ".js", ".json", ".md", ".sql"),
    *(".toml", ".txt", ".sh", ".patch", ".map"),
}
#: Their letters and numbers are no rules.
FOREIGN = {"package-lock.json", "CHANGELOG.md", "rules-tested.md"}

HEAD = """\
# Which tests hold which rule

Written by `make docs` from what cites the number of a rule; a test sees to it that each rule that
is built is cited by one. Scenario files are run in four languages and in both stores.

| rule | tests and scenarios that cite it |
| --- | --- |
"""


@dataclass(frozen=True)
class Rule:
    """One that is defined."""

    name: str
    is_built: bool


def rules() -> list[Rule]:
    """Those of the page, in its order."""
    text = RULES.read_text(encoding="utf-8")
    return [Rule(found[1], found[2] is None) for found in DEFINED.finditer(text)]


def files() -> Iterator[Path]:
    """What may cite a rule."""
    todo = [ROOT]
    while todo:
        for path in sorted(todo.pop().iterdir()):
            if path.name in LEFT_OUT or path.is_symlink():
                continue
            if path.is_dir():
                todo.append(path)
            elif path.name == "Makefile" or (
                path.suffix in SUFFIXES and path.name not in FOREIGN and path != RULES
            ):
                yield path


def is_test(path: Path) -> bool:
    """Whether the whole file is one."""
    folders = path.relative_to(ROOT).parts[:-1]
    return "tests" in folders and not {"fixtures", "parity"} & set(folders)


def tests_in(path: Path, text: str) -> str:
    """What of a file is a test: all of it, or the module of tests at its end."""
    if is_test(path):
        return text
    if path.suffix == ".rs" and "#[cfg(test)]\nmod tests {" in text:
        return text[text.index("#[cfg(test)]\nmod tests {") :]
    return ""


def cited() -> dict[str, list[str]]:
    """Each number that is cited, with the files."""
    found: dict[str, list[str]] = {}
    for path in files():
        text = path.read_text(encoding="utf-8")
        for rule in set(CITED.findall(text)):
            found.setdefault(rule, []).append(str(path.relative_to(ROOT)))
    return found


def tested() -> dict[str, list[str]]:
    """Each number that tests cite, with those."""
    found: dict[str, list[str]] = {}
    for path in files():
        text = tests_in(path, path.read_text(encoding="utf-8"))
        for rule in set(CITED.findall(text)):
            found.setdefault(rule, []).append(str(path.relative_to(ROOT)))
    return found


def page() -> str:
    """`docs/rules-tested.md`."""
    by = tested()
    lines = []
    for rule in rules():
        names = ", ".join(f"`{name}`" for name in sorted(by.get(rule.name, [])))
        lines.append(f"| {rule.name} | {names if rule.is_built else 'not built yet'} |\n")
    return HEAD + "".join(lines)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())
