"""The exit code of a run, wherever a run is shown."""

from __future__ import annotations

import json
import re
import urllib.request
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest
import stayline
from command import call
from stayline._endings import ending
from stayline.cli import console, runs
from stayline.cli.views import Run, now_ms

#: Each run's exit code as it is shown, oldest first; the last one was failed by its host.
CODES = ["0", "3", "130", "-9", "-"]
TOLD = [
    "completed (exit code 0)",
    "failed (exit code 3)",
    "interrupted (Ctrl-C, exit code 130)",
    "failed (killed by signal 9, exit code -9)",
    "failed (no sandbox)",
]
NAMES = ["completed", "failed", "stopped", "killed", "hostless"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where runs ended in every way."""
    folder = tmp_path_factory.mktemp("codes")
    (folder / ".stayline").mkdir()
    location = f"sqlite:{folder / '.stayline' / 'runs.db'}"
    with stayline.Coordinator(location) as coordinator, coordinator.serve() as server:
        session = coordinator.session("s")

        def wrapper(name: str) -> stayline.Wrapper:
            token = session.start(name).token
            return stayline.Wrapper(server.url, session_id="s", execution_id=name, token=token)

        with wrapper("completed") as one:
            one.complete(timeout=20)
        with wrapper("failed") as one:
            one.fail("exit code 3", exit_code=3, timeout=20)
        with wrapper("stopped") as one:
            one.interrupted("Ctrl-C", exit_code=130, timeout=20)
        with wrapper("killed") as one:
            one.fail("killed by signal 9", exit_code=-9, timeout=20)
        session.start("hostless")
        session.fail("hostless", "no sandbox")
    return folder


@pytest.fixture
def server(folder: Path) -> Iterator[stayline.Server]:
    location = f"sqlite:{folder / '.stayline' / 'runs.db'}"
    with stayline.Coordinator(location) as coordinator, coordinator.serve() as server:
        yield server


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (None, None, ""),
        ("boom", None, "boom"),
        (None, 0, "exit code 0"),
        ("boom", 3, "boom, exit code 3"),
        ("exit code 3", 3, "exit code 3"),
        ("it had exit code 34", 3, "it had exit code 34, exit code 3"),
        ("exit code -3 of ls", -3, "exit code -3 of ls"),
    ],
)
def test_an_ending_tells_its_code_once(error: str | None, code: int | None, told: str) -> None:
    assert ending(error, code) == told


def test_runs_has_a_column(folder: Path, server: stayline.Server) -> None:
    for arguments in ((), ("--to", server.url)):
        head, *rows = call(folder, "runs", *arguments).stdout.decode().splitlines()
        assert head.split()[2:4] == ["STATUS", "EXIT"]
        assert [row.split()[3] for row in reversed(rows)] == CODES
        # Figures end where their title does.
        edge = head.index("EXIT") + len("EXIT")
        assert [row[:edge].split()[-1] for row in reversed(rows)] == CODES


def test_a_narrow_terminal_is_told_in_words(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(console, "movable", lambda: True)
    with stayline.Coordinator(
        f"sqlite:{folder / '.stayline' / 'runs.db'}", read_only=True
    ) as reader:
        found = [Run.of(one, "", 1) for one in reversed(reader.session("s").executions())]
    runs._stack(found, [runs.row(run, now_ms()) for run in found])
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert [line.partition("  ")[0] for line in lines] == TOLD


def test_json_and_rest_have_it(folder: Path, server: stayline.Server) -> None:
    codes = [0, 3, 130, -9, None]
    for arguments in ((), ("--to", server.url)):
        listed = call(folder, "runs", "--json", *arguments).stdout.decode().splitlines()
        assert [json.loads(line)["exitCode"] for line in reversed(listed)] == codes
    with urllib.request.urlopen(f"{server.url}/sessions/s/executions") as answer:
        executions = json.load(answer)["executions"]
    found = {one["executionId"]: one["exitCode"] for one in executions}
    assert found == dict(zip(NAMES, codes, strict=True))
    for name, code in found.items():
        with urllib.request.urlopen(f"{server.url}/sessions/s/executions/{name}") as answer:
            assert json.load(answer)["exitCode"] == code


def test_watch_tells_it(folder: Path, tmp_path: Path) -> None:
    every = call(folder, "watch", "--until-end").stdout.decode()
    assert [told for told in TOLD if told not in every] == []
    lines = call(folder, "watch", "--until-end", "--json").stdout.decode().splitlines()
    assert {json.loads(line)["exitCode"] for line in lines} == {0, 3, 130, -9, None}
    (tmp_path / ".stayline").mkdir()
    location = f"sqlite:{tmp_path / '.stayline' / 'runs.db'}"
    with stayline.Coordinator(location) as coordinator:
        session = coordinator.session("one")
        execution = session.start()
        session.attach(execution.id, token=execution.token).receive(
            '{"streamEventType":"error","data":{"error":"boom","fatal":true,"exitCode":3}}'
        )
    watched = call(tmp_path, "watch", "one", "--until-end")
    assert watched.returncode == 1
    assert "failed (boom, exit code 3)" in watched.stdout.decode()
    assert "error  boom (fatal, exit code 3)" in watched.stdout.decode()
    lines = call(tmp_path, "watch", "one", "--until-end", "--json").stdout.decode().splitlines()
    records = [json.loads(line) for line in lines]
    states = [one["data"] for one in records if one["streamEventType"] == "state"]
    assert states[-1]["exitCode"] == 3


def test_the_timeline_tells_it(folder: Path, tmp_path: Path) -> None:
    text = call(folder, "timeline", "s").stdout.decode()
    for name, told in zip(NAMES, TOLD, strict=True):
        assert f"{name}  {told}\n" in text
    moments = re.findall(r"^  \+.{13}(.*)$", text, re.MULTILINE)
    assert moments == [
        *("completed: exit code 0",),
        *("error: exit code 3", "failed: exit code 3"),
        *("interrupted: Ctrl-C, exit code 130",),
        *("error: killed by signal 9, exit code -9", "failed: exit code -9"),
        *("error: no sandbox", "failed"),
    ]
    for suffix in ("svg", "html"):
        target = tmp_path / f"run.{suffix}"
        assert call(folder, "timeline", "s", "-o", str(target)).returncode == 0
        page = target.read_text(encoding="utf-8")
        assert "completed \u2014 exit code 0" in page
        assert "interrupted \u2014 Ctrl-C, exit code 130" in page
    story = ElementTree.parse(tmp_path / "run.svg").find(".//{http://www.w3.org/2000/svg}desc")
    assert story is not None
    assert "(Ctrl-C, exit code 130)" in (story.text or "")
    assert "<td>failed: exit code -9</td>" in (tmp_path / "run.html").read_text(encoding="utf-8")
