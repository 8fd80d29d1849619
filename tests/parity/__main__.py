"""Writes ``docs/parity.md``, or checks it: ``python tests/parity [--check]``.

``capabilities.txt`` says what a host can do and what that is called in each language. What stands
there is held against the languages' own surfaces (``surfaces.py``): a name that is not there, an
empty cell, and a public name that no row has are errors, each told in a line.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import surfaces

CAPABILITIES = surfaces.ROOT / "tests/parity/capabilities.txt"
PAGE = surfaces.ROOT / "docs/parity.md"
LANGUAGES = ("Rust", "C", "C++", "Python")

#: Public names that need no row: (pattern of the whole name, why).
EXEMPT: dict[str, list[tuple[str, str]]] = {
    "Rust": [
        (r"(Wrapper|net::Wrapper|Link|Subscription|Session)::(set_waker|try_\w+|watch|attach)",
         "the other form of a row's call"),
        (r"Subscription::(is_behind|read_ahead|retire)|Coordinator::(settle|is_immediate|set_url)",
         "what bindings and servers need of the core"),
        (r"Coordinator::with_store|Faults::(?!fail_next_commit).*", "stores of a Rust host's own"),
        (r"Error::(invalid|not_found|row)|Settings::reconnect_delay_ms", "shorthands"),
        (r"Wrapper::(open_retrying|execution_id)|Link::session_id|Subscription::lag", "parts of a row"),
        (r"Coordinator::(metrics|check_open)", "parts of a row"),
    ],
    "C": [
        (r"stayline_\w+_(free|default|get|info|latest|at|count|name|signal)", "how objects are read"),
        (r"stayline_(settings_new|buffer_free|view_of|abi_version|version|status_name|log_set)", "C's own"),
        (r"stayline_events_next|stayline_error_(integer|json|message)", "how a row's result is read"),
        (r"stayline_(lease_\w+|coordinator_location|settings_json|execution_fd)", "of an object"),
        (r"stayline_(link_session_id|wrapper_(url|session_id|execution_id|settings|flush))", "getters"),
        (r"stayline_(wrapper|subscription|link)_(is_\w+|lag|last_id|close)", "of an object"),
    ],
    "Python": [
        (r"\w+(\.\w+)?\.__\w+__", "Python's own"),
        (r"(\w+\.)?\w+\._\w+|\w+\.\w+\._\w+", "private"),
        (r"(Close|CloseAttempt|Command|Connect|Ended|Event|Execution|Kill|Lease|Notification)\.\w+",
         "fields of results, which every language has"),
        (r"(Reconnecting|RunTask|Send|SessionInfo|Write|Settings)\.\w+", "the same"),
        (r"(Kills|Question|Questions|Waiting|Signals|Notifications|Subscription|Link|Wrapper)\.\w+",
         "how a row's result is read"),
        (r"Session\.timeline|Coordinator\.location", "drawings are Python's; a getter"),
        (r"web\.\w+", "for Python's web frameworks"),
    ],
}  # fmt: skip


class Row(NamedTuple):
    """One capability, with its name in each language."""

    capability: str
    names: tuple[str, ...]


def sections() -> Iterator[tuple[str, list[Row]]]:
    """The capabilities by section."""
    title, rows = "", list[Row]()
    for line in CAPABILITIES.read_text().splitlines():
        if line.startswith("## "):
            if rows:
                yield title, rows
            title, rows = line.removeprefix("## "), []
        elif line and not line.startswith("#"):
            capability, *names = (cell.strip() for cell in line.split("|"))
            rows.append(Row(capability, tuple(names)))
    yield title, rows


def problems() -> list[str]:
    """What is wrong with the list, a line each."""
    known: dict[str, Callable[[], set[str]]] = {
        "Rust": surfaces.rust, "C": surfaces.c, "C++": surfaces.cpp, "Python": surfaces.python,
    }  # fmt: skip
    found: list[str] = []
    rows = [row for _, rows in sections() for row in rows]
    for row in rows:
        if len(row.names) != len(LANGUAGES) or not all(row.names):
            found.append(f"{row.capability}: a cell is empty")
    for index, language in enumerate(LANGUAGES):
        there = known[language]()
        named = {row.names[index] for row in rows if len(row.names) > index}
        found += [f"{language} has no {name}" for name in sorted(named - there)]
        exempt = [pattern for pattern, _ in EXEMPT.get(language, [])]
        # Fields and keywords are told where they matter; what must not be left out is what is called.
        called = {name for name in there if not re.search(r"\.\w+\.|\(", name)}
        called = {name for name in called if language != "C" or "." not in name}
        if language in EXEMPT:
            for name in sorted(called - named):
                if language == "Rust" and not _is_method(name):
                    continue
                if not any(re.fullmatch(pattern, name) for pattern in exempt):
                    found.append(f"{language}: {name} is in no row")
    return found


def _is_method(name: str) -> bool:
    owner = name.rpartition("::")[0]
    return owner in {"Coordinator", "Session", "Link", "Server", "Wrapper", "net::Wrapper",
                     "ManualClock", "Settings", "Error", "Faults", "Subscription"}  # fmt: skip


def page() -> str:
    """The page, from the list."""
    lines = [
        "# One core, four languages",
        "",
        "What a host can do, and what it is called. Written by `python tests/parity` from the list in",
        "`tests/parity/capabilities.txt` and checked against the sources of every language; an empty cell fails.",
    ]
    for title, rows in sections():
        lines += ["", f"## {title}", "", f"| | {' | '.join(LANGUAGES)} |", "| --- " * 5 + "|"]
        for row in rows:
            cells = (f"`{name}`" for name in row.names)
            lines.append(f"| {row.capability} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Writes the page, or with ``--check`` says whether it is what would be written."""
    found = problems()
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text() != page():
            found.append("docs/parity.md is out of date: python tests/parity")
    elif not found:
        PAGE.write_text(page())
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
