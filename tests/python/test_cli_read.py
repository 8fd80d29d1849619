"""`stayline events`, `runs`, `serve` and the arguments of all: what they print and refuse."""

from __future__ import annotations

import json
import re
import signal
import urllib.request
from pathlib import Path

import pytest
import stayline
from command import begin, call, finish, line_of, listed, serving


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which something ran."""
    script = 'for i in 1 2 3; do echo "line $i"; done; echo \'{"a": "\\u001b[31m"}\''
    assert call(tmp_path, "run", "--session", "s", "--", "sh", "-c", script).returncode == 0
    return tmp_path


def test_events_are_printed_in_order(folder: Path) -> None:
    lines = call(folder, "events", "s").stdout.decode().splitlines()
    assert [re.sub(r" +", " ", line).strip().split(" ", 3)[2:] for line in lines] == [
        ["output", "line 1"],
        ["output", "line 2"],
        ["output", "line 3"],
        ["output", '{"a": "\\u001b[31m"}'],
        ["complete", "exit code 0"],
    ]


def test_events_can_be_filtered(folder: Path) -> None:
    def ids(*arguments: str) -> list[int]:
        answer = call(folder, "events", "s", "--json", *arguments)
        assert answer.returncode == 0, answer.stderr
        return [json.loads(line)["eventId"] for line in answer.stdout.splitlines()]

    (run,) = listed(folder)
    assert ids() == [1, 2, 3, 4, 5]
    assert ids("--after", "2") == [3, 4, 5]
    assert ids("--limit", "2") == [1, 2]
    assert ids("--types", "complete,error") == [5]
    assert ids("--execution", run["execution"], "--after", "4") == [5]
    unknown = call(folder, "events", "s", "--execution", "nope")
    assert unknown.returncode == 1
    assert b"nope" in unknown.stderr


def test_stored_output_does_not_steer_the_terminal(tmp_path: Path) -> None:
    call(tmp_path, "run", "--session", "s", "--", "printf", "\\033[31mred\\033[0m\\a\\n")
    out = call(tmp_path, "events", "s").stdout
    assert b"\x1b" not in out
    assert rb"\x1b[31mred\x1b[0m\x07" in out


def test_runs_are_a_table_of_plain_columns_in_a_pipe(folder: Path) -> None:
    head, row = call(folder, "runs").stdout.decode().splitlines()
    assert head.split() == [
        "SESSION",
        "EXECUTION",
        "STATUS",
        "EXIT",
        "HEALTH",
        "STARTED",
        "DURATION",
        "EVENTS",
        "RECONNECTS",
        "SEEN",
    ]
    assert row.split()[0] == "s"
    assert row.split()[2:4] == ["completed", "0"]
    assert row.split()[-3:-1] == ["5", "0"]
    assert [run["exitCode"] for run in listed(folder)] == [0]


def test_runs_can_be_filtered(folder: Path) -> None:
    call(folder, "run", "--session", "t", "--", "sh", "-c", "kill -INT $$")
    assert [run["session"] for run in listed(folder)] == ["t", "s"]
    assert [run["session"] for run in listed(folder, "--status", "completed")] == ["s"]
    assert [run["session"] for run in listed(folder, "--session", "t")] == ["t"]
    assert [run["session"] for run in listed(folder, "--limit", "1")] == ["t"]
    assert call(folder, "runs", "--session", "u").stdout == b"no runs\n"
    answer = call(folder, "runs", "--json", "--store", str(folder / ".stayline" / "runs.db"))
    assert len(answer.stdout.splitlines()) == 2


def test_a_folder_where_nothing_ran_says_so(tmp_path: Path) -> None:
    for arguments in [("runs",), ("events", "s")]:
        answer = call(tmp_path, *arguments)
        assert answer.returncode == 1
        assert answer.stderr.count(b"\n") == 1
        assert b"nothing ran here" in answer.stderr


def test_a_session_that_is_not_known_says_where_it_was_looked_for(folder: Path) -> None:
    answer = call(folder, "events", "nope")
    assert answer.returncode == 1
    assert b"'nope'" in answer.stderr
    assert b"runs.db" in answer.stderr


def test_a_file_that_is_no_store_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("certainly no database " * 100)
    answer = call(tmp_path, "runs", "--store", "text.db")
    assert answer.returncode == 1
    assert answer.stderr.count(b"\n") == 1
    assert b"Traceback" not in answer.stderr


def test_a_second_server_on_the_same_file_names_the_first(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        answer = call(tmp_path, "serve", "--listen", "127.0.0.1:0")
        assert answer.returncode == 1
        assert url.encode() in answer.stderr


def test_serve_says_where_things_are_and_stops_in_order(tmp_path: Path) -> None:
    process = begin(tmp_path, "serve", "--listen", "127.0.0.1:0")
    first = line_of(process)
    url = re.search(r"http://\S+", first)
    assert url is not None
    assert stayline.__version__ in first
    with urllib.request.urlopen(f"{url.group()}/health", timeout=20) as answer:
        assert json.load(answer) == {"status": "ok"}
    process.send_signal(signal.SIGTERM)
    code, out, err = finish(process)
    assert (code, err) == (0, "")
    assert "sqlite:.stayline/serve.db" in out
    assert out.endswith("SIGTERM: closing links, wrappers will come back\nstopped\n")


def test_a_server_for_other_machines_needs_a_key(tmp_path: Path) -> None:
    answer = call(tmp_path, "serve", "--listen", "0.0.0.0:0")
    assert answer.returncode == 2
    assert b"key" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), "COMMAND"),
        (("nope",), "nope"),
        (("run",), "--"),
        (("run", "--to", "http://127.0.0.1:1", "--store", "x.db", "--", "true"), "--store"),
        (("run", "--execution", "e", "--", "true"), "--to"),
        (("run", "--to", "http://127.0.0.1:1", "--execution", "e", "--", "true"), "--session"),
        (("run", "--stop-grace", "x", "--", "true"), "'x'"),
        (("run", "--set", "nope=1", "--", "true"), "'nope'"),
        (("run", "--set", "jitter=2", "--", "true"), "jitter"),
        (("run", "--set", "reconnect_base_ms=9000", "--", "true"), "disconnect_grace_ms"),
        (("serve", "--set", "stale_after_ms=soon"), "soon"),
        (("events",), "SESSION"),
        (("events", "s", "--after", "-1"), "-1"),
        (("runs", "--status", "odd"), "odd"),
        (("serve", "127.0.0.1:0"), "serve does not take 127.0.0.1:0; see: stayline serve --help"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    tmp_path: Path, arguments: tuple[str, ...], named: str
) -> None:
    answer = call(tmp_path, *arguments)
    assert answer.returncode == 2
    assert answer.stdout == b""
    assert answer.stderr.count(b"\n") == 1
    assert named in answer.stderr.decode()


@pytest.mark.parametrize(
    "command",
    [
        (),
        *((name,) for name in ("serve", "run", "events", "runs", "watch", "timeline")),
        *((name,) for name in ("fail", "interrupt", "completion")),
    ],
)
def test_help_teaches_by_example(tmp_path: Path, command: tuple[str, ...]) -> None:
    answer = call(tmp_path, *command, "--help")
    assert answer.returncode == 0
    assert f"\n  stayline {' '.join(command)}".rstrip() in answer.stdout.decode()
    assert max(len(line) for line in answer.stdout.decode().splitlines()) <= 100


def test_a_reader_that_has_seen_enough_is_no_error(folder: Path) -> None:
    process = begin(folder, "events", "s")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    code, _, err = finish(process)
    assert err == ""
    assert code in (0, 128 + signal.SIGPIPE)
