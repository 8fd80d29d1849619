"""Values that make everything else unreadable, by C and C++, on every way in and out (`values/`).

Each text is refused by an error that shows it, unless it is a secret, or is kept as it is; JSON is
kept as it is; a text for people is never refused, and what is no text in it is written out.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Compile

FOLDER = Path(__file__).parent / "values"
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
# Far above what it takes under a sanitizer on a busy machine.
PATIENCE = 240.0

#: The texts, and how an error shows those that are no text.
NO_TEXT = {
    "no UTF-8": r"r\xff\xfen",
    "half of a pair": r"a\xed\xa0\xbd",
    "cut short": r"a\xe2\x82",
}
TEXTS = {
    "a NUL": "a\0b",
    "an escape": "a\x1b[31mb",
    "an escape of one byte": "a\x9b31mb",
    "long": "x" * 3_000_000,
    "empty": "",
}
#: No error shows what is given here.
SECRETS = {"verify_ticket", "serve_key", "start_token", "attach_token", "wrapper_token"}
SECRETS |= {"wrapper_proxy"}

VALUES = {
    "half of a pair": r'"a\ud83d"',
    "half as a name": r'{"\udc00":["\ud800\ud800"]}',
    "a pair": r'"\ud83d\ude00"',
    "a NUL": r'"a\u0000b"',
    "thousands of digits": "9" * 5_000,
    "beyond 64 bits": "[1180591620717411303424,-9223372036854775809]",
    "beyond all numbers": "[1e999,-1e999]",
    "many places": "0.1000000000000000055511151231257827021181583404541015625",
}
#: The event's data around it.
KEPT = {
    "receive": '{"v":%s}',
    "send": '{"v":%s}',
    "fail": '{"error":"m","fatal":true,"v":%s}',
    "agent_event": '{"event":"x","properties":{"v":%s},"type":"x"}',
}
SAID = {"closed", "fail", "finish", "wrapper fail", "interrupted", "raised"}

Line = tuple[str, str, str, str, str]


@pytest.fixture(scope="module", params=["c", "c++"])
def lines(request: pytest.FixtureRequest, compile: Compile) -> list[Line]:
    """What the program says; a sanitizer ends it where memory is used wrongly."""
    language = request.param
    sources = [FOLDER / "values.cpp"] if language == "c++" else sorted(FOLDER.glob("*.c"))
    program = compile(sources, language=language, compiler="clang", flags=SANITIZERS)
    ended = subprocess.run([program], capture_output=True, timeout=PATIENCE)
    assert ended.returncode == 0, ended.stderr.decode()[-4_000:]
    # A line's end is the only one: whatever was given is within quotes, and escaped.
    return [line_of(line) for line in ended.stdout.decode().removesuffix("\n").split("\n")]


def line_of(text: str) -> Line:
    table, way, kind, *rest = text.split("\t")
    return (table, way, kind, *rest) if table == "in" else (table, way, kind, "", json.loads(*rest))  # type: ignore[return-value]


def rows(lines: list[Line], table: str) -> Iterator[tuple[str, str, str, str]]:
    return ((way, kind, name, text) for which, way, kind, name, text in lines if which == table)


def test_a_text_is_kept_or_refused_by_an_error_that_shows_it(lines: list[Line]) -> None:
    tried = list(rows(lines, "in"))
    assert {kind for _, kind, _, _ in tried} == NO_TEXT.keys() | TEXTS.keys()
    assert len({way for way, _, _, _ in tried}) * 8 == len(tried) > 400
    for way, kind, name, text in tried:
        where = f"{way}, {kind}: {text}"
        if name == "Ok":
            assert kind in TEXTS, where
            continue
        told = json.loads(text)
        assert told["name"] == name != "Panic", where
        message = told["message"]
        assert message.isprintable(), where
        assert len(message) < 2_000, where
        if kind in NO_TEXT:
            assert name == "InvalidArgument", where
            assert "is not UTF-8 (at byte 1)" in message or way == "open_path", where
            assert (NO_TEXT[kind] in message) == (way not in SECRETS), where
        if way in SECRETS:
            assert not any(text and text in told["message"] for text in ("a\0b", r"a\0b", "31mb"))


def test_json_is_kept_as_it_is(lines: list[Line]) -> None:
    kept = {(way, kind): text for way, kind, _, text in rows(lines, "kept")}
    assert kept == {
        (way, kind): around % value
        for way, around in KEPT.items()
        for kind, value in VALUES.items()
    }


def test_a_text_for_people_is_never_refused(lines: list[Line]) -> None:
    said = {(way, kind): text for way, kind, _, text in rows(lines, "said")}
    ways = {way for way, _ in said}
    assert ways - {"launch"} == SAID
    assert said.keys() == {(way, kind) for way in ways for kind in NO_TEXT | TEXTS}
    for (way, kind), text in said.items():
        wanted = (NO_TEXT | TEXTS)[kind]
        if kind == "long":
            assert text.startswith("x" * 1_000), way
        elif kind == "empty":
            assert text in ("", "an exception without a message"), way
        elif kind == "a NUL" and text != wanted:
            # What `std::exception::what` says ends there.
            assert (way in ("raised", "launch"), text) == (True, "a")
        else:
            assert text == wanted, way


def test_what_is_shown_of_a_name_is_what_was_given(lines: list[Line]) -> None:
    shown = {kind: text for _, kind, _, text in rows(lines, "shown")}
    assert shown == {kind: text for kind, text in TEXTS.items() if kind != "long"}


def test_nothing_else_is_told(lines: list[Line]) -> None:
    """An event whose frame has other data, or whose past is another."""
    assert {table for table, *_ in lines} == {"in", "kept", "said", "shown"}
