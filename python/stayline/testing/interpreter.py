"""Running one scenario against one driver: what it says is done, what it expects is compared.

Everything around is elsewhere: the words in `vocabulary`, reading in `format`, actions and
expectations in files of those names, time in `timeline`, the network in `network`.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import actions, expectations
from .compare import difference
from .drivers import Driver, DriverError, OperationError
from .format import MISSING, Scenario, Step
from .world import World

__all__ = ["Result", "run"]


@dataclass(frozen=True)
class Result:
    """How one scenario ended."""

    scenario: str
    file: str
    #: "ok", "FAIL" or "skip".
    outcome: str
    #: Why, unless it passed.
    reason: str = ""

    @property
    def line(self) -> str:
        """The line for people."""
        return f"{self.outcome} {self.scenario}" + (f": {self.reason}" if self.reason else "")


def run(
    scenario: Scenario,
    driver: Driver,
    store: str = "memory",
    *,
    keep: str | os.PathLike[str] | None = None,
) -> Result:
    """Runs one scenario. `store` is `memory`, `sqlite` or the address of a PostgreSQL database.

    The coordinator's store is new and empty each time. `keep` names a folder, which must not
    exist yet: the scenario's files are made there and stay, the database as `scenario.db`.
    """
    reason = _needs(scenario, driver, store)
    if reason is not None:
        return Result(scenario.name, scenario.file, "skip", reason)
    with _folder(keep) as folder:
        location = {
            "memory": "memory:",
            "sqlite": f"sqlite:{os.path.join(folder, 'scenario.db')}",
        }.get(store, store)
        try:
            driver.reset()
            failure = _run(World(scenario, driver, location, folder))
        except DriverError as error:
            failure = str(error)
        finally:
            # A broken one was told above, or will be by the next scenario.
            with contextlib.suppress(DriverError):
                driver.reset()
    return Result(scenario.name, scenario.file, "FAIL" if failure else "ok", failure or "")


@contextlib.contextmanager
def _folder(keep: str | os.PathLike[str] | None) -> Iterator[str]:
    """Where a scenario's files go."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="stayline-scenario-") as folder:
            yield folder
    else:
        os.makedirs(keep)
        yield os.fspath(keep)


def _needs(scenario: Scenario, driver: Driver, store: str) -> str | None:
    if scenario.needs_durable_store and store == "memory":
        return "needs a durable store"
    if scenario.needs_durable_outbox and "durable_outbox" not in driver.capabilities:
        return "needs a durable outbox, which this driver does not have"
    return None


def _run(world: World) -> str | None:
    """The failure in words, or `None`."""
    scenario = world.scenario
    try:
        world.open(fresh=True)
        if scenario.error is not None:
            # Settings that only a wrapper looks at are refused by the wrapper.
            world.new_process(world.wrapper("w"))
    except OperationError as error:
        if scenario.error is None:
            return f"settings: {error}"
        return _settings_difference(error, scenario.error)
    if scenario.error is not None:
        return f"settings: they are accepted, expected {scenario.error['name']}"
    for step in scenario.steps:
        try:
            failure = _run_step(world, step)
        except DriverError as error:
            failure = str(error)
        if failure is not None:
            return f"{step.place}: {failure}"
    return None


def _run_step(world: World, step: Step) -> str | None:
    if step.kind == "expect":
        try:
            return expectations.check(world, step)
        except OperationError as error:
            return str(error)
    try:
        result = actions.perform(world, step)
    except OperationError as error:
        return _error_difference(step, error)
    if step.error is not None:
        return f"it succeeded, expected {step.error}"
    if step.returns is MISSING:
        return None
    return difference("result", result, step.returns)


def _error_difference(step: Step, error: OperationError) -> str | None:
    if step.error is None:
        return str(error)
    if step.error != error.name:
        return f"error is {error}, expected {step.error}"
    for name, wanted in step.error_fields.items():
        found = difference(f"{error.name}.{name}", error.fields.get(name), wanted)
        if found is not None:
            return found
    return None


def _settings_difference(error: OperationError, expected: Mapping[str, Any]) -> str | None:
    if error.name != expected["name"]:
        return f"settings: error is {error}, expected {expected['name']}"
    wanted = {name: _bare(value) for name, value in expected.items() if name != "name"}
    actual = {name: _bare(error.fields.get(name)) for name in wanted}
    if error.name == "InvalidSettings" and sorted(actual.values()) == sorted(wanted.values()):
        # Of two settings that contradict each other neither comes first.
        return None
    found = difference(error.name, actual, wanted)
    return None if found is None else f"settings: {found}"


def _bare(value: Any) -> str:
    """The name of a setting as scenario files have it, without its unit."""
    return str(value).removesuffix("_ms")
