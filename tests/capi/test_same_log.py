"""The same runs leave the same event log, byte for byte, whichever language drove them.

Every scenario that stores events runs through each driver over SQLite, and so does a long one that
is made here, whose texts would not survive careless hands: numbers beyond 2^53, escapes, white
space, characters of every length. What is compared is what stands in the database.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
RUST = ROOT / "target" / "debug" / "stayline-driver"
OTHERS = {
    "c": str(ROOT / "target" / "drivers" / "stayline-driver-c"),
    "cpp": str(ROOT / "target" / "drivers" / "stayline-driver-cpp"),
    "python": "python",
}
# For all scenarios together; they take seconds.
PATIENCE = 280.0

# The log as it is stored, `data` as its bytes. Epochs are not in it, and no event carries an id
# that the core makes up: drivers are given ids and seeds.
LOG = """
    SELECT sessions.id, events.id, executions.id, event_type, timestamp, late, typeof(data),
           CAST(data AS BLOB)
    FROM events
    JOIN sessions ON sessions.key = events.session_key
    JOIN executions ON executions.key = events.execution_key
    ORDER BY sessions.id, events.id
"""

Logs = Mapping[str, list[tuple[Any, ...]]]

# JSON texts that mean much the same to a reader that is not careful.
DATA = (
    '{"n":1}',
    '{ "n" : 1.0 }',
    '{"n":1e0,"n":-0.0}',
    '{"big":12345678901234567890123,"small":-9223372036854775808}',
    '{"z":1,"a":2,"m":{"b":[ ],"a":{ }}}',
    '{"text":"\\u00e9\\u0000\\ud83d\\ude00\\/"}',
    '{"text":"é€😀\u2028\x7f"}',
    '{"lines":"a\\r\\n\\tb","quote":"\\"\\\\"}',
    '{"deep":[[[[[[[[[[0.1]]]]]]]]]]}',
    "[1,\t2,\n3]",
    '"text"',
    "false",
)
ROUNDS = 40


def test_the_scenarios_store_what_can_be_compared(rust_logs: Logs) -> None:
    with_events = [name for name, log in rust_logs.items() if log]
    assert len(rust_logs) >= 190
    assert len(with_events) >= 120
    assert sum(map(len, rust_logs.values())) >= 1000
    stored = {row[-1] for log in rust_logs.values() for row in log}
    # As they came, those of the long scenario are in it.
    assert stored.issuperset(text.encode() for text in DATA)


@pytest.mark.parametrize("name", OTHERS)
def test_every_driver_leaves_the_log_of_the_rust_one(
    name: str, rust_logs: Logs, scenarios: list[str], tmp_path: Path
) -> None:
    logs = run_scenarios(OTHERS[name], scenarios, tmp_path / "stores")
    assert logs.keys() == rust_logs.keys()
    for number, log in rust_logs.items():
        assert logs[number] == log, f"scenario {number}"


@pytest.fixture(scope="module")
def scenarios(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The project's scenarios, and the long one."""
    long = tmp_path_factory.mktemp("scenarios") / "long.json"
    long.write_text(json.dumps(long_scenarios()))
    return [str(ROOT / "tests" / "scenarios"), str(long)]


@pytest.fixture(scope="module")
def rust_logs(scenarios: list[str], tmp_path_factory: pytest.TempPathFactory) -> Logs:
    """What the others are compared with."""
    return run_scenarios(str(RUST), scenarios, tmp_path_factory.mktemp("rust") / "stores")


def run_scenarios(driver: str, scenarios: list[str], keep: Path) -> Logs:
    """Runs all of them, which all have to pass; the logs by the number of the scenario."""
    if driver != "python" and not Path(driver).exists():
        pytest.fail(f"there is no {driver}; run `make test-capi`", pytrace=False)
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "stayline.testing", *scenarios),
            *("--driver", driver, "--store", "sqlite", "--keep-store", str(keep)),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    logs = {}
    # Settings that are refused leave a folder without a store.
    for store in sorted(keep.glob("*/scenario.db")):
        connection = sqlite3.connect(store)
        try:
            logs[store.parent.name] = connection.execute(LOG).fetchall()
        finally:
            connection.close()
    return logs


def long_scenarios() -> list[dict[str, Any]]:
    """One that receives frames as they are, and one whose wrapper sends through a network that
    breaks."""
    received: list[dict[str, Any]] = [{"do": "start"}, {"do": "attach"}]
    sent: list[dict[str, Any]] = [
        {"do": "start"},
        {"do": "pair"},
        {"do": "w_open"},
        {"do": "advance", "ms": 0},
    ]
    for number in range(ROUNDS):
        for data in DATA:
            raw = f'{{"streamEventType":"output", "data": {data} }}'
            received.append({"do": "receive", "raw": raw})
            value = {"n": number, "is": json.loads(data)}
            sent.append({"do": "w_send", "type": f"é{number}", "data": value})
        received.append({"do": "advance", "ms": number})
        sent.append({"do": "advance", "ms": number})
        if number % 10 == 5:
            sent += [{"do": "cut"}, {"do": "advance", "ms": 5000}]
    # What a host adds is kept as it is given, and a driver gives it in its language's words: so
    # there is nothing here that JSON can say in two ways.
    received += [
        {"do": "fail", "message": 'no "way"\u2028', "payload": {"z": 1.0, "a": [1e30, "\u0000"]}},
        {"expect": "execution", "status": "failed"},
    ]
    sent += [{"do": "w_close"}, {"do": "advance", "ms": 1000}]
    return [
        {"name": "frames of every kind", "rules": ["R33"], "steps": received},
        {
            "name": "a wrapper's events through a network that breaks",
            "rules": ["R45"],
            "settings": {"wrapper": {"acknowledged": True}},
            "steps": sent,
        },
    ]
