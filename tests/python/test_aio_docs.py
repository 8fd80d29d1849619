"""The examples of docs/aio.md print what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import RunScript

PAGE = Path(__file__).parents[2] / "docs" / "aio.md"
EXAMPLES = re.findall(
    r"```python\n(.*?)```\n\nIt prints:\n\n```text\n(.*?)```", PAGE.read_text(), re.DOTALL
)


def test_every_example_is_run() -> None:
    assert len(EXAMPLES) == PAGE.read_text().count("```python") == 4


@pytest.mark.parametrize(("source", "printed"), EXAMPLES)
def test_an_example_prints_what_it_says(run_script: RunScript, source: str, printed: str) -> None:
    ended = run_script(source)
    assert (ended.stdout, ended.stderr, ended.returncode) == (printed, "", 0)
