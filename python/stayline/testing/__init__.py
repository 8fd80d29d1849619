"""Scenario files: lifecycle cases as data, held against any implementation.

``python -m stayline.testing tests/scenarios`` runs them through this module; ``--driver PROGRAM``
through any program that speaks one JSON object a line (`docs/drivers.md`). The same from code::

    from stayline.testing import load, open_driver, run

    driver = open_driver("python")
    for scenario in load("cases.json"):
        print(run(scenario, driver).line)

For tests of a host there is `WrapperPair`, a wrapper and a coordinator on virtual time with a
network between them that can be made to fail; as a pytest fixture, with others, it comes with
``-p stayline.testing.pytest_plugin`` (`docs/testing.md`). Nothing else here needs pytest.
"""

from __future__ import annotations

from .drivers import Driver, DriverError, OperationError, ProcessDriver, open_driver
from .format import FormatError, Scenario, Step, load, parse, scenario_files
from .interpreter import Result, run
from .pair import WrapperPair

__all__ = [
    "Driver",
    "DriverError",
    "FormatError",
    "OperationError",
    "ProcessDriver",
    "Result",
    "Scenario",
    "Step",
    "WrapperPair",
    "load",
    "open_driver",
    "parse",
    "run",
    "scenario_files",
]
