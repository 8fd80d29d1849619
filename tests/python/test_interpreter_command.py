"""``python -m stayline.testing``: lines, sums, exit codes; and drivers that are other programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from stayline.testing import DriverError, OperationError, ProcessDriver
from stayline.testing.__main__ import main

PASSES = {"name": "passes", "steps": [{"do": "start"}, {"expect": "active", "execution": "e"}]}
FAILS = {"name": "fails", "steps": [{"do": "start"}, {"expect": "active", "execution": "f"}]}
SKIPS = {"name": "skips", "steps": [{"do": "start"}, {"do": "restart"}]}
WRONG = {"name": "wrong", "steps": [{"do": "start"}, {"do": "start", "x": 1}]}

#: A driver in a few lines: it answers what the file beside it says, and can misbehave.
PROGRAM = """#!{python}
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    answer = {{"id": request["id"]}}
    match request["do"]:
        case "hello":
            answer["ok"] = {{"driver": "test", "version": "1", "capabilities": ["durable_outbox"]}}
        case "die":
            sys.exit(3)
        case "hang":
            continue
        case "babble":
            print("what?", flush=True)
            continue
        case "confuse":
            answer["id"] = -1
            answer["ok"] = None
        case "mute":
            pass
        case "refuse":
            answer["error"] = {{"name": "AlreadyExists", "message": "it is", "execution_id": "e"}}
        case "echo" | "reset":
            answer["ok"] = request
        case other:
            answer["error"] = {{"name": "UnknownOperation", "operation": other}}
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    """An executable that speaks the protocol."""
    path = tmp_path / "driver"
    path.write_text(PROGRAM.format(python=sys.executable))
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Writes a scenario file; its path."""

    def writer(content: Any, name: str = "cases.json") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return writer


def test_one_line_a_scenario_and_the_sums(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([write([PASSES, FAILS, SKIPS])]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "ok passes",
        "FAIL fails: step 2 (expect active): execution is e, expected f",
        "skip skips: needs a durable store",
        "1 passed, 1 failed, 1 skipped",
    ]


def test_all_passed_is_zero_and_skipped_is_not_failed(
    write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write([PASSES, SKIPS])
    assert main([path]) == 0
    assert main([path, "--store", "sqlite"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 passed, 0 failed, 0 skipped"


def test_a_wrong_scenario_is_named_and_the_others_run(
    write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write([WRONG, PASSES])
    assert main([path]) == 2
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        'FAIL wrong: step 2: unknown field "x" of do start',
        "ok passes",
        "1 passed, 1 failed, 0 skipped",
    ]
    assert told.err == f'{path}: scenario wrong: step 2: unknown field "x" of do start\n'


@pytest.mark.parametrize("content", ["no JSON", None])
def test_a_file_that_is_none_is_two(
    content: str | None, write: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(content) if content else str(tmp_path / "missing.json")
    assert main([path]) == 2
    assert capsys.readouterr().out.startswith(f"FAIL {path}: ")


def test_a_folder_means_every_file_below_it(
    write: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(PASSES, "cases/b.json")
    write({**PASSES, "name": "deeper"}, "cases/a/c.json")
    write("not a scenario", "cases/notes.txt")
    assert main([str(tmp_path / "cases")]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["ok deeper", "ok passes"]
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty")]) == 2


def test_only_those_with_the_name(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([write([PASSES, FAILS, WRONG]), "-k", "pass"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 0 failed, 0 skipped"


def test_json_lines(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = write([PASSES, FAILS, SKIPS])
    assert main([path, "--json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        {"name": "passes", "file": path, "outcome": "passed"},
        {
            "name": "fails",
            "file": path,
            "outcome": "failed",
            "reason": "step 2 (expect active): execution is e, expected f",
        },
        {"name": "skips", "file": path, "outcome": "skipped", "reason": "needs a durable store"},
        {"passed": 1, "failed": 1, "skipped": 1},
    ]


def test_a_store_that_is_none_is_refused(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([write(PASSES), "--store", "floppy"])
    assert ended.value.code == 2
    assert "floppy is not memory, sqlite or postgresql://" in capsys.readouterr().err


def test_the_command_itself(write: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stayline.testing", write([PASSES, FAILS])],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "1 passed, 1 failed, 0 skipped"
    assert done.stderr == ""


def test_a_program_is_asked_one_line_at_a_time(program: str) -> None:
    driver = ProcessDriver([program])
    assert driver.capabilities == {"durable_outbox"}
    assert driver.call("echo", text="ü\n") == {"id": 2, "do": "echo", "text": "ü\n"}
    with pytest.raises(OperationError) as refused:
        driver.call("refuse")
    assert (refused.value.name, refused.value.fields) == ("AlreadyExists", {"execution_id": "e"})
    assert str(refused.value) == "AlreadyExists: it is"
    driver.close()


@pytest.mark.parametrize(
    ("operation", "what"),
    [
        ("die", "the driver ended during die (exit code 3)"),
        ("babble", "the driver answered babble with no JSON: 'what?\\n'"),
        ("confuse", "the driver answered confuse out of turn"),
        ("mute", "the driver answered mute with neither ok nor error"),
        ("fly", "fly: UnknownOperation"),
    ],
)
def test_a_program_that_misbehaves_is_told_and_replaced(
    operation: str, what: str, program: str
) -> None:
    driver = ProcessDriver([program])
    with pytest.raises(DriverError) as told:
        driver.call(operation)
    assert what in str(told.value)
    driver.reset()
    assert driver.call("echo")["do"] == "echo"
    driver.close()


def test_a_program_that_hangs_is_not_waited_for_for_ever(program: str) -> None:
    driver = ProcessDriver([program], patience=20)
    driver.call("echo")
    driver._patience = 0.1
    with pytest.raises(DriverError, match="the driver did not answer hang"):
        driver.call("hang")
    driver.close()


def test_a_case_on_a_program_that_lacks_operations(
    program: str, write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([write([PASSES]), "--driver", program]) == 1
    first, *_ = capsys.readouterr().out.splitlines()
    assert first == "FAIL passes: open: UnknownOperation: {'operation': 'open'}"


def test_no_such_program(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([write([PASSES]), "--driver", "/nowhere/driver"]) == 2
    assert "no driver /nowhere/driver" in capsys.readouterr().err


pytest_plugins = ["pytester"]


def test_the_plugin_makes_tests_of_scenarios(pytester: pytest.Pytester) -> None:
    folder = pytester.mkdir("scenarios")
    (folder / "cases.json").write_text(json.dumps([PASSES, FAILS, SKIPS, WRONG]))
    (pytester.path / "other.json").write_text("not a scenario")
    pytester.makeini("[pytest]\nstayline_scenarios = scenarios/*.json\n")
    outcome = pytester.runpytest_subprocess("-p", "stayline.testing.pytest_plugin", "-v")
    outcome.assert_outcomes(passed=1, failed=2, skipped=1)
    outcome.stdout.fnmatch_lines(
        [
            "*step 2 (expect active): execution is e, expected f*",
            '*scenario wrong: step 2: unknown field "x" of do start*',
        ]
    )
    again = pytester.runpytest_subprocess(
        "-p", "stayline.testing.pytest_plugin", "--stayline-store", "sqlite", "-k", "skips"
    )
    again.assert_outcomes(passed=1, deselected=3)
