"""The pytest plugin as users have it: asked for, in a run of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from conftest import PATIENCE, RunScript

ROOT = Path(__file__).parents[2]
PLUGIN = "stayline.testing.pytest_plugin"


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Nothing of this project's own configuration counts there.
    (folder / "pytest.ini").touch()
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        cwd=folder,
    )


def test_the_examples_of_the_page_pass(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "testing.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    tests = sum(block.count("\ndef test_") + block.startswith("def test_") for block in blocks)
    assert tests >= 7
    # One that stands under its own settings is a file of its own, as it would be.
    for number, block in enumerate(blocks):
        (tmp_path / f"test_block_{number}.py").write_text(block)
    run = run_pytest(tmp_path, "-p", PLUGIN)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{tests} passed" in run.stdout


def test_asking_twice_is_fine(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(f'pytest_plugins = ["{PLUGIN}"]\n')
    (tmp_path / "test_it.py").write_text(
        "def test_it(wrapper_pair):\n    assert wrapper_pair.execution.status == 'running'\n"
    )
    for arguments in ((), ("-p", PLUGIN)):
        run = run_pytest(tmp_path, *arguments)
        assert run.returncode == 0, run.stdout + run.stderr
        assert "1 passed" in run.stdout


def test_scenario_files_are_tests_where_the_setting_names_them(tmp_path: Path) -> None:
    good = {"name": "starts", "steps": [{"do": "start"}, {"expect": "active", "execution": "e"}]}
    bad = {"name": "lies", "steps": [{"do": "start"}, {"expect": "active", "execution": None}]}
    (tmp_path / "cases.json").write_text(json.dumps([good, bad]))
    run = run_pytest(tmp_path, "-p", PLUGIN)
    assert "no tests ran" in run.stdout
    run = run_pytest(tmp_path, "-p", PLUGIN, "-o", "stayline_scenarios=cases.json")
    assert "1 failed, 1 passed" in run.stdout, run.stdout + run.stderr
    assert "step 2 (expect active)" in run.stdout


def test_importing_testing_needs_no_pytest(run_script: RunScript) -> None:
    run = run_script(
        """
        import sys

        sys.modules["pytest"] = None
        import stayline.testing

        assert stayline.testing.WrapperPair
        """
    )
    assert run.returncode == 0, run.stderr
