"""The pytest plugin: fixtures for tests of hosts, and scenario files as tests.

It is asked for, by ``-p stayline.testing.pytest_plugin`` on the command line or in `addopts`, or by
``pytest_plugins`` in the topmost `conftest.py`; asking twice is fine. The fixtures are those of
`stayline.testing.fixtures`; `docs/testing.md` shows them at work.

Scenario files become one test a scenario. The ini setting `stayline_scenarios` says which files are
meant, as patterns that are matched from the right; without it nothing is collected::

    [tool.pytest.ini_options]
    stayline_scenarios = ["scenarios/*.json"]

``--stayline-driver`` and ``--stayline-store`` are the options of ``python -m stayline.testing``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .drivers import Driver, open_driver
from .fixtures import clock, coordinator, stayline_location, stayline_settings, wrapper_pair
from .format import FormatError, Scenario, load
from .interpreter import run

__all__ = [
    "ScenarioFile",
    "ScenarioItem",
    "clock",
    "coordinator",
    "stayline_location",
    "stayline_settings",
    "wrapper_pair",
]

_DRIVER: pytest.StashKey[Driver] = pytest.StashKey()


class ScenarioFailedError(Exception):
    """What the report shows, without a traceback through the interpreter."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the two options and the setting."""
    group = parser.getgroup("stayline")
    group.addoption("--stayline-driver", default="python", help="python, or a program's path")
    group.addoption("--stayline-store", default="memory", help="memory, sqlite, or postgresql://…")
    parser.addini("stayline_scenarios", "Patterns of scenario files.", type="args", default=[])


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    """Collects the files that the setting names."""
    patterns = parent.config.getini("stayline_scenarios")
    if any(file_path.match(pattern) for pattern in patterns):
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the driver."""
    driver = config.stash.get(_DRIVER, None)
    if driver is not None:
        driver.close()


class ScenarioFile(pytest.File):
    """One scenario file."""

    def collect(self) -> Iterator[ScenarioItem]:
        """One item a scenario; one that is wrong is an item that fails."""
        for scenario in load(self.path):
            name = scenario.name if isinstance(scenario, Scenario) else scenario.scenario
            yield ScenarioItem.from_parent(self, name=name or "the file", scenario=scenario)


class ScenarioItem(pytest.Item):
    """One scenario."""

    def __init__(self, *, scenario: Scenario | FormatError, **more: Any) -> None:
        super().__init__(**more)
        self._scenario = scenario

    def runtest(self) -> None:
        """Runs it; the driver is one for all."""
        if isinstance(self._scenario, FormatError):
            raise ScenarioFailedError(str(self._scenario))
        stash = self.config.stash
        if _DRIVER not in stash:
            stash[_DRIVER] = open_driver(self.config.getoption("--stayline-driver"))
        result = run(self._scenario, stash[_DRIVER], self.config.getoption("--stayline-store"))
        if result.outcome == "skip":
            pytest.skip(result.reason)
        if result.outcome == "FAIL":
            raise ScenarioFailedError(result.reason)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *_: Any) -> Any:
        """The one line that says what is wrong."""
        if isinstance(excinfo.value, ScenarioFailedError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where it stands."""
        return self.path, None, self.name
