"""`help(…)` teaches: every public name says what it is, in which unit, and what it raises."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from types import ModuleType

import pytest
import stayline
import stub_docs
from stayline import _internal, aio, sansio

PUBLIC: list[ModuleType] = [stayline, sansio, aio]
# Signatures that say everything there is to say about their arguments.
EVIDENT = {"name", "reason", "status", "error", "callback", "frame", "frames", "settings", "sync"}


def public_names() -> Iterator[tuple[str, object]]:
    """Every public name and, for a class, everything that can be called or read on it."""
    seen: set[int] = set()
    for module in PUBLIC:
        for name in module.__all__:
            value = getattr(module, name)
            if not isinstance(value, type) or id(value) in seen:
                continue
            seen.add(id(value))
            yield f"{module.__name__}.{name}", value
            # In an order that is the same in every process, for tests on several of them.
            for member in sorted(vars(value)):
                inside = getattr(value, member)
                if not member.startswith("_") and not isinstance(inside, (str, int, dict)):
                    yield f"{module.__name__}.{name}.{member}", inside


NAMES = dict(public_names())


def teaching(name: str) -> str:
    """What it says, with what its class says; of a view also what its twin says."""
    twin = name.replace("stayline.aio.", "stayline.")
    around = {name, name.rpartition(".")[0], twin, twin.rpartition(".")[0]}
    return "\n".join(inspect.getdoc(NAMES[one]) or "" for one in sorted(around) if one in NAMES)


def test_there_are_names_to_look_at() -> None:
    assert len(NAMES) > 250
    assert {"stayline.Session.start", "stayline.sansio.Wrapper.open"} <= NAMES.keys()


@pytest.mark.parametrize("module", PUBLIC, ids=lambda module: str(module.__name__))
def test_modules_say_what_they_are_for(module: ModuleType) -> None:
    assert module.__doc__
    assert "::" in module.__doc__, "an example helps"


@pytest.mark.parametrize("name", NAMES)
def test_every_name_says_what_it_is(name: str) -> None:
    text = inspect.getdoc(NAMES[name])
    assert text, f"{name} has no docstring"
    assert text[0].isupper() or text[0] == "`", f"{name}: a sentence begins with a capital"
    assert text.rstrip()[-1] in ".:", f"{name}: a sentence ends with a full stop"


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_and_error_that_is_named_exists(name: str) -> None:
    text = inspect.getdoc(NAMES[name]) or ""
    for rule in re.findall(r"\bR(\d+)[a-e]?\b", text):
        assert 1 <= int(rule) <= 54
    for raised in re.findall(r"[Rr]aises? ((?:`\w+`(?:, | and | or )?)+)", text):
        for error in re.findall(r"`(\w+)`", raised):
            assert issubclass(getattr(stayline, error), stayline.Error), error


def test_every_argument_is_explained() -> None:
    unexplained = []
    for name, value in NAMES.items():
        if isinstance(value, type) or not callable(value):
            continue
        text = teaching(name)
        for argument in inspect.signature(value).parameters:
            if argument in EVIDENT | {"self"} or argument.startswith("_"):
                continue
            if argument not in text:
                unexplained.append(f"{name}({argument})")
    assert unexplained == []


def test_numbers_say_their_unit() -> None:
    for name, value in NAMES.items():
        text = inspect.getdoc(value) or ""
        if name.endswith("_ms") and not name.startswith("stayline.Settings."):
            assert re.search(r"\bms\b|[Mm]illiseconds", text), name
        if isinstance(value, type) or not callable(value):
            continue
        if {"timeout", "ttl", "retry_in", "grace"} & set(inspect.signature(value).parameters):
            assert "second" in teaching(name), name


def test_settings_say_what_the_table_says() -> None:
    for row in stayline.Settings.table():
        text = getattr(stayline.Settings, row["name"]).__doc__
        assert " ".join(text.split()) == row["about"]


def test_errors_say_what_happened_and_name_their_fields() -> None:
    for name in stayline.__all__:
        error = getattr(stayline, name)
        if not (isinstance(error, type) and issubclass(error, stayline.Error)):
            continue
        text = error.__doc__ or ""
        if error is not stayline.Error:
            assert f"Number {error.number}." in text
            for field in error.__match_args__:
                assert f"`{field}`" in text, (name, field)


def test_starting_a_run_is_taught() -> None:
    text = inspect.getdoc(stayline.Session.start) or ""
    for needed in ("ExecutionInProgress", "AlreadyExists", "token", "R2", "pending"):
        assert needed in text


def test_signatures_are_there_to_be_read() -> None:
    start = inspect.signature(stayline.Session.start)
    assert list(start.parameters) == ["self", "execution_id", "mode", "token"]
    assert start.parameters["mode"].kind is inspect.Parameter.KEYWORD_ONLY


def test_results_are_frozen() -> None:
    with stayline.Coordinator("memory:") as coordinator:
        session = coordinator.session("s")
        execution = session.start("e")
        results = [session, execution, session.info(), stayline.Settings(), stayline.Send("x")]
        for result in results:
            for change in ("id", "status", "jitter", "text", "something_new"):
                with pytest.raises(AttributeError):
                    setattr(result, change, 1)


def test_the_stub_has_the_docstrings() -> None:
    stub = stub_docs.STUB.read_text()
    fresh = stub_docs.with_docs(stub, _internal)
    if fresh != stub:
        stub_docs.STUB.write_text(fresh)
    assert fresh == stub, "the stub's docstrings were out of date and have been rewritten"
