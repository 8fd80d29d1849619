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

#: Public names that need no row, by the pattern of the whole name.
EXEMPT: dict[str, tuple[str, ...]] = {
    "Rust": (
        # The other form of a row's call, and parts of one.
        r"(Wrapper|net::Wrapper|Link|Subscription|Session)::(set_waker|try_\w+|watch|attach)",
        r"Wrapper::(open_retrying|execution_id|raised)|Link::session_id|Subscription::lag",
        r"Coordinator::(metrics|check_open)|Error::(invalid|not_found|closed|row)",
        # What bindings, servers and stores of a Rust host's own need of the core.
        r"Subscription::(is_behind|read_ahead|retire)|Coordinator::(settle|is_immediate|set_url|store_owner)",
        r"Subscription::set_round_bytes|Link::output_bytes",
        r"Coordinator::list_sessions|Session::list_executions",
        # Bounds of the server that few have to change (docs/rest.md).
        r"ServerLimits::(max_(head|output|stream|page)_bytes|\w+_timeout|check)",
        r"net::Wrapper::close_without_waiting|Session::(view_of|active_in_memory|follow)",
        r"Coordinator::with_store|Faults::(?!fail_next_commit).*|Settings::reconnect_delay_ms",
    ),
    "C": (
        # How objects are made, read and freed.
        r"stayline_\w+_(free|default|init|get|info|latest|at|count|name|signal)",
        r"stayline_(settings_new|buffer_free|view_of|abi_version|version|status_name|log_set)",
        # How a row's result is read, and getters.
        r"stayline_events_next|stayline_error_(integer|json|message)",
        r"stayline_(lease_\w+|coordinator_location|settings_json|execution_fd)",
        r"stayline_(link_session_id|wrapper_(url|session_id|execution_id|settings|flush))",
        r"stayline_(wrapper|subscription|link)_(is_\w+|lag|last_id|close)",
    ),
    "Python": (
        # Python's own, and what is private.
        r"(\w+\.)?\w+\._\w+",
        # Fields of results, which every language has, and how a row's result is read.
        r"(Close|CloseAttempt|Command|Connect|Ended|Event|Execution|Kill|Lease|Notification)\.\w+",
        r"(Reconnecting|RunTask|Send|SessionInfo|Write|Settings)\.\w+",
        r"(Kills|Question|Questions|Waiting|Signals|Notifications|Subscription|Link|Wrapper)\.\w+",
        r"Coordinator\.location",
        # Drawings, and Python's web frameworks.
        r"Session\.timeline|web\.\w+",
    ),
}
#: Types of the core whose methods hosts call.
RUST_OBJECTS = {
    "Coordinator", "Session", "Link", "Server", "Wrapper", "net::Wrapper", "ManualClock",
    "Settings", "Error", "Faults", "Subscription",
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
        for name in sorted(there - named):
            is_exempt = any(re.fullmatch(pattern, name) for pattern in EXEMPT.get(language, ()))
            if language in EXEMPT and is_called(language, name) and not is_exempt:
                found.append(f"{language}: {name} is in no row")
    return found


def is_called(language: str, name: str) -> bool:
    """Whether a name is a function's, not a field's or a keyword's. Those are told where they
    matter; what must not be left out is what is called."""
    if language == "Rust":
        return name.rpartition("::")[0] in RUST_OBJECTS
    return "(" not in name and not (language == "C" and "." in name)


def page() -> str:
    """The page, from the list."""
    lines = [
        "# One core, four languages",
        "",
        "What a host can do, and what it is called. Written by `python tests/parity` from the list",
        "in `tests/parity/capabilities.txt`, and checked against the sources of every language; an",
        "empty cell fails.",
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
