"""What the pages say of the code is there, and their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import layers
import pages
import pytest

ROOT = pages.ROOT
ARCHITECTURE = ROOT / "ARCHITECTURE.md"


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", pages.described(), ids=name)
def test_what_a_page_names_is_in_the_code(page: Path) -> None:
    assert list(pages.wrong_references(page)) == []


@pytest.mark.parametrize("page", pages.linked(), ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    assert list(pages.dead_links(page)) == []


def test_what_is_not_there_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    (tmp_path / "other.md").write_text("# One `thing`, two\n\n# Twice\n\n# Twice\n")
    page.write_text(
        "`core/src/coordinator/lead.rs::lead` `core/src/coordinator/lead.rs::Leader`\n"
        "`core/src/coordinator/lead.rs::leads_nobody` `core/src/no.rs::lead` `core/src/no/`\n"
        "[a](other.md) [b](other.md#one-thing-two) [c](other.md#twice-1) [d](#here)\n"
        "[e](other.md#twice-2) [f](nowhere.md) [g](https://example.org/x) `[h](no.md)`\n"
        "```\n# here\n[i](no.md)\n```\n"
    )
    assert list(pages.wrong_references(page)) == [
        "`core/src/coordinator/lead.rs::leads_nobody`",
        "`core/src/no.rs::lead`",
        "`core/src/no/`",
    ]
    assert list(pages.dead_links(page)) == ["#here", "other.md#twice-2", "nowhere.md"]


def test_the_architecture_answers_with_a_file_and_a_function() -> None:
    answers = ARCHITECTURE.read_text(encoding="utf-8").partition("## Where is")[2]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|", answers.partition("\n## ")[0], re.MULTILINE)
    assert len(rows) > 10
    for question, answer in rows[2:]:
        assert pages.REFERENCE.search(answer), question


def test_it_can_be_read_in_one_go() -> None:
    assert len(ARCHITECTURE.read_text(encoding="utf-8").splitlines()) <= 260


def test_every_page_is_in_a_table_of_contents() -> None:
    for contents in (ROOT / "docs" / "README.md", ROOT / "docs" / "decisions" / "README.md"):
        listed = set(pages.links(contents))
        beside = {page.name for page in contents.parent.glob("*.md")} - {contents.name}
        assert beside - listed == set(), name(contents)
    assert "docs/README.md" in pages.links(ROOT / "README.md")


def test_modules_use_what_they_may() -> None:
    allowed, exceptions = layers.tables(ARCHITECTURE)
    uses = layers.uses()
    modules = {module for module, _ in uses} | {used for _, used in uses}
    assert modules - set(allowed) == set(), "a module that the table does not have"
    forbidden = {use for use in uses if use[1] not in allowed[use[0]]}
    assert forbidden - exceptions == set()
    # An exception that nothing needs any more goes.
    assert exceptions - forbidden == set()


def test_arrows_point_down_only() -> None:
    allowed, _ = layers.tables(ARCHITECTURE)
    known: set[str] = set()
    for module, used in allowed.items():
        assert used <= known, f"{module} may use what stands below it"
        known.add(module)
