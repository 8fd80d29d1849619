"""Reading scenario files: what is in them, or exactly where they are wrong.

A file holds one scenario or an array of them. Each is checked against the `vocabulary` before
anything runs, so that a misspelt field is told by its name and place instead of being ignored:
``cases.json: scenario a run: step 4: unknown field "x" of do start``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .vocabulary import ACTIONS, ERRORS, EXPECTATIONS, SETTINGS, WRAPPER_SETTINGS, Field

__all__ = ["MISSING", "FormatError", "Scenario", "Step", "load", "parse", "scenario_files"]


class _Missing:
    """Stands for a field that was not given, where null means something."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()

#: What scenario files assume of a wrapper unless they say otherwise: no luck, no waiting.
WRAPPER_DEFAULTS: Mapping[str, Any] = {"acknowledged": False, "jitter": 0, "send_timeout_ms": 0}


#: The steps after which only a durable store still holds what was there.
_RESTARTING = ("restart", "reopen")


class FormatError(Exception):
    """A file that cannot be run. The text names the file, the scenario, the step and the word."""

    def __init__(self, file: str, scenario: str | None, what: str) -> None:
        self.file = file
        self.scenario = scenario
        self.what = what
        place = f"{file}: scenario {scenario}" if scenario is not None else file
        super().__init__(f"{place}: {what}")


@dataclass(frozen=True)
class Step:
    """One step: an action (`do`) or an expectation (`expect`)."""

    #: Counted from 1.
    number: int
    #: "do" or "expect".
    kind: str
    #: Which one.
    name: str
    #: Its own fields, as given.
    fields: Mapping[str, Any]
    #: The error it is meant to end with.
    error: str | None = None
    #: What is compared with that error's fields.
    error_fields: Mapping[str, Any] = field(default_factory=dict)
    #: What it is meant to return; `MISSING` when nothing is said.
    returns: Any = MISSING

    @property
    def place(self) -> str:
        """Where a failure happened, for people."""
        return f"step {self.number} ({self.kind} {self.name})"


@dataclass(frozen=True)
class Scenario:
    """One case, checked."""

    file: str
    name: str
    rules: tuple[str, ...]
    #: For the coordinator, under the full names.
    settings: Mapping[str, Any]
    #: For wrappers, under the full names.
    wrapper_settings: Mapping[str, Any]
    steps: tuple[Step, ...]
    #: The settings themselves are refused with this error: its name and fields.
    error: Mapping[str, Any] | None = None

    @property
    def needs_durable_store(self) -> bool:
        """Whether it restarts the coordinator."""
        return any(step.kind == "do" and step.name in _RESTARTING for step in self.steps)

    @property
    def needs_durable_outbox(self) -> bool:
        """Whether its wrappers keep their outbox in a file (R45e)."""
        return bool(self.wrapper_settings.get("outbox", "memory") != "memory")


def scenario_files(paths: Sequence[str | Path]) -> Iterator[Path]:
    """The files named, and for folders every `*.json` below them, in order of their names."""
    for path in map(Path, paths):
        if path.is_dir():
            yield from sorted(path.rglob("*.json"))
        else:
            yield path


def load(path: str | Path) -> Iterator[Scenario | FormatError]:
    """Reads one file. A scenario that is wrong comes out as its `FormatError`, in its place, so
    that the others of the file can still be run; so does a file that is no scenario file at all.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        yield FormatError(str(path), None, f"cannot be read: {error}")
        return
    yield from parse(text, str(path))


def parse(text: str, file: str = "<text>") -> Iterator[Scenario | FormatError]:
    """As `load`, from text."""
    try:
        content = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except ValueError as error:
        yield FormatError(file, None, f"is not JSON: {error}")
        return
    for position, item in enumerate(content if isinstance(content, list) else [content], start=1):
        name = item.get("name") if isinstance(item, dict) else None
        title = name if isinstance(name, str) and name else f"number {position}"
        try:
            yield _scenario(item, file, title)
        except _WrongError as wrong:
            yield FormatError(file, title, str(wrong))


class _WrongError(Exception):
    """What is wrong, before the place is added."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise ValueError(f'field "{name}" is given twice')
        fields[name] = value
    return fields


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _scenario(item: Any, file: str, title: str) -> Scenario:
    if not isinstance(item, dict):
        raise _WrongError(f"is {_show(item)}, not an object")
    for name in item:
        if name not in ("name", "rules", "settings", "steps", "error"):
            raise _WrongError(f'unknown field "{name}" of a scenario')
    if not isinstance(item.get("name"), str) or not item["name"]:
        raise _WrongError('field "name" is missing or no string')
    rules = item.get("rules", [])
    if not isinstance(rules, list) or not all(isinstance(rule, str) for rule in rules):
        raise _WrongError('field "rules" is not a list of strings')
    settings, wrapper_settings = _settings(item.get("settings", {}), WRAPPER_DEFAULTS)
    error = _settings_error(item["error"]) if "error" in item else None
    steps = item.get("steps", [] if error is not None else None)
    if not isinstance(steps, list):
        raise _WrongError('field "steps" is missing or no list')
    return Scenario(
        file=file,
        name=title,
        rules=tuple(rules),
        settings=settings,
        wrapper_settings=wrapper_settings,
        steps=tuple(_step(step, number) for number, step in enumerate(steps, start=1)),
        error=error,
    )


def _settings(given: Any, defaults: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The coordinator's settings and the wrappers', `defaults` for what is not given.

    Both sides take the same object. A wrapper inherits what stands at the top, and may have its
    own value of it (its frame bounds, for one); the coordinator must know the wrapper's delays,
    because settings that contradict each other are refused (R24).
    """
    if not isinstance(given, dict):
        raise _WrongError('field "settings" is not an object')
    settings: dict[str, Any] = dict(defaults)
    for name, value in given.items():
        if name == "wrapper":
            continue
        if name not in SETTINGS:
            hint = '; it belongs under "wrapper"' if name in WRAPPER_SETTINGS else ""
            raise _WrongError(f'unknown setting "{name}"{hint}')
        settings[SETTINGS[name]] = value
    wrapper_settings = dict(settings)
    of_wrapper = given.get("wrapper", {})
    if not isinstance(of_wrapper, dict):
        raise _WrongError('setting "wrapper" is not an object')
    for name, value in of_wrapper.items():
        if name in WRAPPER_SETTINGS:
            settings[WRAPPER_SETTINGS[name]] = value
            wrapper_settings[WRAPPER_SETTINGS[name]] = value
        elif name in SETTINGS:
            wrapper_settings[SETTINGS[name]] = value
        else:
            raise _WrongError(f'unknown setting "{name}" of the wrapper')
    # Where the outbox is kept is no business of the coordinator's.
    settings.pop("outbox", None)
    return settings, wrapper_settings


def _settings_error(error: Any) -> Mapping[str, Any]:
    if not isinstance(error, dict) or not isinstance(error.get("name"), str):
        raise _WrongError('field "error" is no object with a name')
    if error["name"] not in ERRORS:
        raise _WrongError(f'unknown error "{error["name"]}"')
    for name in error:
        if name != "name" and name not in ERRORS[error["name"]]:
            raise _WrongError(f'unknown field "{name}" of error {error["name"]}')
    return error


def _step(step: Any, number: int) -> Step:
    try:
        return _checked_step(step, number)
    except _WrongError as wrong:
        raise _WrongError(f"step {number}: {wrong}") from None


def _checked_step(step: Any, number: int) -> Step:
    if not isinstance(step, dict):
        raise _WrongError(f"is {_show(step)}, not an object")
    kinds = [kind for kind in ("do", "expect") if kind in step]
    if len(kinds) != 1:
        raise _WrongError(
            'has both "do" and "expect"' if kinds else 'has neither "do" nor "expect"'
        )
    kind = kinds[0]
    name = step[kind]
    table = ACTIONS if kind == "do" else EXPECTATIONS
    if not isinstance(name, str) or name not in table:
        raise _WrongError(f"unknown {kind} {_show(name)}")
    known = table[name]
    error = step.get("error") if kind == "do" else None
    fields: dict[str, Any] = {}
    error_fields: dict[str, Any] = {}
    for field_name, value in step.items():
        if field_name == kind or (kind == "do" and field_name in ("error", "returns")):
            continue
        if field_name in known:
            _check_shape(field_name, value, known[field_name], f"{kind} {name}")
            fields[field_name] = value
        elif isinstance(error, str) and field_name in ERRORS.get(error, ()):
            error_fields[field_name] = value
        else:
            raise _WrongError(f'unknown field "{field_name}" of {kind} {name}')
    for field_name, of_table in known.items():
        if of_table.required and field_name not in fields:
            raise _WrongError(f'field "{field_name}" of {kind} {name} is missing')
    if kind == "do":
        _check_ending(step)
    if name == "receive":
        _check_receive(fields)
    if name == "reopen":
        fields["settings"], fields["wrapper_settings"] = _settings(fields["settings"], {})
    returns = step.get("returns", MISSING) if kind == "do" else MISSING
    return Step(number, kind, name, fields, error, error_fields, returns)


def _check_shape(name: str, value: Any, of_table: Field, step: str) -> None:
    if not of_table.shape.accepts(value):
        wanted = of_table.shape.description
        raise _WrongError(f'field "{name}" of {step} is {_show(value)}, not {wanted}')


def _check_ending(step: Mapping[str, Any]) -> None:
    if "error" not in step:
        return
    if step["error"] not in ERRORS:
        raise _WrongError(f"unknown error {_show(step['error'])}")
    if "returns" in step:
        raise _WrongError('has both "error" and "returns"')


def _check_receive(fields: Mapping[str, Any]) -> None:
    given = [name for name in ("event", "raw", "binary") if name in fields]
    if len(given) != 1:
        raise _WrongError('do receive takes one of "event", "raw" and "binary"')
    if fields.get("binary") is False:
        raise _WrongError('field "binary" of do receive can only be true')


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
