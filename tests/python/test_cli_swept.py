"""The store is swept away in mid-run: nobody is told that anything was kept."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from command import QUICK, begin, call, closing_line, finish, line_of, stored
from conftest import eventually

SWEPT = 74


@pytest.mark.parametrize(
    "sweep", ["rm -r .stayline", "mv .stayline elsewhere", "rm .stayline/*.db"]
)
def test_a_run_whose_store_is_swept_away_says_so(tmp_path: Path, sweep: str) -> None:
    script = f"echo one; sleep 0.3; {sweep}; echo two; sleep 0.3; echo three"
    answer = call(tmp_path, "run", "--session", "s", "--", "sh", "-c", script)
    assert answer.stdout == b"one\ntwo\nthree\n"
    assert answer.returncode == SWEPT
    line = closing_line(answer.stderr)
    assert "4 events lost" in line, line
    assert "while the store was open" in line, line
    assert "try again" not in line, line
    # What the next run stores is there.
    assert call(tmp_path, "run", "--session", "t", "--", "echo", "more").returncode == 0
    assert [kind for kind, _ in stored(tmp_path, "t")] == ["output", "complete"]


def test_the_programs_own_exit_code_comes_first(tmp_path: Path) -> None:
    answer = call(tmp_path, "run", "--quiet", "--", "sh", "-c", "rm -r .stayline; echo x; exit 3")
    assert answer.returncode == 3
    assert "2 events lost" in closing_line(answer.stderr)


def test_a_server_whose_store_is_swept_away_is_not_healthy(tmp_path: Path) -> None:
    server = begin(tmp_path, "serve", "--listen", "127.0.0.1:0")
    try:
        found = re.search(r"https?://\S+", line_of(server))
        assert found is not None
        url = found.group()
        assert _health(url) == 200
        shutil.rmtree(tmp_path / ".stayline")
        assert eventually(lambda: _health(url) == 503)
        answer = call(tmp_path, "run", "--to", url, "--", "echo", "x")
        assert answer.returncode == 1
        assert b"removed or moved" in answer.stderr
    finally:
        server.terminate()
        _, _, errors = finish(server)
    assert "the store is gone" in errors


# --- a run that reports to a server ---------------------------------------------------------------

PROGRAM = ["--session", "s", *QUICK, "--", "sh", "-c", "echo one; read go; echo two"]


@dataclass
class Outage:
    """A run whose server has lost its store after the first of two lines."""

    folder: Path
    server: subprocess.Popen[bytes]
    url: str
    process: subprocess.Popen[bytes]

    def restart(self) -> None:
        """Another server in the place of the first, on what is in the folder now."""
        self.server.terminate()
        finish(self.server)
        self.server, _ = _serve(self.folder, self.url.removeprefix("http://"))


@pytest.fixture
def outage(tmp_path: Path) -> Iterator[Outage]:
    server, url = _serve(tmp_path, "127.0.0.1:0")
    process = begin(tmp_path, "run", "--to", url, *PROGRAM)
    outage = Outage(tmp_path, server, url, process)
    try:
        assert line_of(process) == "one"
        assert eventually(lambda: _events(url) == 1)
        (tmp_path / ".stayline").rename(tmp_path / "elsewhere")
        assert process.stderr is not None
        told = process.stderr.readline().decode()
        assert "the server stores nothing any more" in told
        assert "removed or moved while the store was open" in told, told
        assert "try again" not in told, told
        assert process.stdin is not None
        process.stdin.write(b"\n")
        assert line_of(process) == "two"
        assert process.poll() is None
        yield outage
    finally:
        for one in (outage.server, process):
            if one.poll() is None:
                one.kill()
                finish(one)


def test_a_run_says_that_its_servers_store_is_gone_and_goes_on_trying(outage: Outage) -> None:
    # Before its program has ended, an interrupt would be the program's.
    children = Path(f"/proc/{outage.process.pid}/task/{outage.process.pid}/children")
    assert eventually(lambda: not children.read_text())
    assert outage.process.poll() is None
    outage.process.send_signal(signal.SIGINT)
    code, _, errors = finish(outage.process)
    assert code == SWEPT
    line = closing_line(errors)
    assert line.startswith("stayline: not kept ("), line
    assert "while the store was open" in line, line
    # The second line and the ending; of the first the server says what it knows.
    assert "2 events, " in line, line
    assert ", 2 events lost, session s" in line, line
    assert "stores nothing any more" not in errors, "it is told once"


def test_a_run_counts_what_its_server_has_forgotten(outage: Outage) -> None:
    outage.restart()
    code, _, errors = finish(outage.process)
    assert code == SWEPT
    line = closing_line(errors)
    assert line.startswith("stayline: not kept ("), line
    assert "2 events, " in line, line
    assert ", 3 events lost, session s" in line, line


def test_a_run_whose_servers_store_comes_back_loses_nothing(outage: Outage) -> None:
    (outage.folder / "elsewhere").rename(outage.folder / ".stayline")
    outage.restart()
    code, _, errors = finish(outage.process)
    assert code == 0, errors
    assert "the server stores again" in errors
    line = closing_line(errors)
    assert line.startswith("stayline: completed (exit code 0), 2 events, 1 reconnect, "), line
    kinds = [kind for kind, _ in stored(outage.folder, "s", "serve.db")]
    assert [kind for kind in kinds if kind in ("output", "complete")] == [
        "output",
        "output",
        "complete",
    ]


def _serve(folder: Path, listen: str) -> tuple[subprocess.Popen[bytes], str]:
    server = begin(folder, "serve", "--listen", listen, *QUICK)
    found = re.search(r"http://\S+", line_of(server))
    assert found is not None, finish(server)
    return server, found.group()


def _events(url: str) -> int:
    with urllib.request.urlopen(f"{url}/sessions/s/executions?events=true") as answer:
        return int(json.load(answer)["executions"][0]["events"])


def _health(url: str) -> int:
    try:
        with urllib.request.urlopen(f"{url}/health") as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        body, code = error.read(), error.code
    assert json.loads(body)["error"]
    return code
