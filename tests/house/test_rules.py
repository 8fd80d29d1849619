"""The law is in the repository: every rule that is cited is defined, every one that is built is
tested, and the page says by what."""

from __future__ import annotations

import citations


def test_each_rule_is_defined_once_and_in_order() -> None:
    names = [rule.name for rule in citations.rules()]
    assert len(names) > 60
    assert len(set(names)) == len(names)


def test_every_rule_that_is_cited_is_defined() -> None:
    defined = {rule.name for rule in citations.rules()}
    unknown = {rule: paths for rule, paths in citations.cited().items() if rule not in defined}
    assert unknown == {}


def test_every_rule_that_is_built_is_cited_by_a_test() -> None:
    tested = citations.tested()
    assert [
        rule.name for rule in citations.rules() if rule.is_built and rule.name not in tested
    ] == []


def test_the_page_says_by_which() -> None:
    written = citations.PAGE.read_text(encoding="utf-8")
    assert written == citations.page(), "`make docs` writes docs/rules-tested.md anew"


def test_whoever_meets_a_number_is_told_where_the_rules_are() -> None:
    for name in (
        "README.md",
        "core/src/lib.rs",
        "include/stayline.h",
        "include/stayline.hpp",
        "python/stayline/_internal.pyi",
    ):
        text = (citations.ROOT / name).read_text(encoding="utf-8")
        head = text if name == "README.md" else text[:3_000]
        assert "docs/rules.md" in head, name
