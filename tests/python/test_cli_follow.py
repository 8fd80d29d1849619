"""What the command line says when somebody is gone: a server that restarts, an owner that was
killed, a file that cannot be read, a session that two files know."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import stayline
from command import (
    PATIENCE,
    QUICK,
    STAYLINE,
    begin,
    call,
    environment,
    finish,
    line_of,
    listed,
)
from conftest import eventually, frame
from test_cli_terminal import Terminal


class Server:
    """`stayline serve` on one port, which comes and goes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._listen = "127.0.0.1:0"
        self.start()

    def start(self) -> None:
        self._process = begin(self._folder, "serve", "--listen", self._listen, *QUICK)
        found = re.search(r"http://(\S+)", line_of(self._process))
        assert found is not None, finish(self._process)
        self.url, self._listen = found.group(), found.group(1)

    def stop(self) -> None:
        self._process.terminate()
        finish(self._process)

    def kill(self) -> None:
        self._process.kill()
        finish(self._process)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.stop()


def lines_until(process: subprocess.Popen[bytes], wanted: str) -> list[str]:
    """The lines up to the one that holds a text."""
    found: list[str] = []
    while wanted not in "\n".join(found):
        line = line_of(process)
        assert line, (found, finish(process))
        found.append(line)
    return found


PROGRAM = "echo up; until test -e go; do sleep 0.05; done; echo down"


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_watching_one_session_lives_through_a_servers_restart(
    tmp_path: Path, server: Server, ending: str
) -> None:
    run = begin(
        tmp_path, "run", "--to", server.url, "--session", "s", *QUICK, "--", "sh", "-c", PROGRAM
    )
    assert line_of(run) == "up"
    arguments = ("watch", "s", "--to", server.url, "--until-end", "--interval", "0.05")
    watch = begin(tmp_path, *arguments)
    lines_until(watch, "output  up")
    getattr(server, ending)()
    told = lines_until(watch, "trying again")
    assert "trying again" in told[-1]
    assert told[-1].lstrip().startswith("--")
    server.start()
    lines_until(watch, "the server is back")
    (tmp_path / "go").touch()
    code, out, err = finish(watch)
    assert (code, err) == (0, ""), out
    assert out.count("output  down") == 1
    assert "complete" in out
    assert finish(run)[0] == 0


def test_watching_all_runs_lives_through_a_servers_restart(tmp_path: Path, server: Server) -> None:
    common = ("run", "--to", server.url, "--session")
    assert call(tmp_path, *common, "before", "--", "true").returncode == 0
    watch = begin(tmp_path, "watch", "--to", server.url, "--interval", "0.05", "--json")
    assert json.loads(line_of(watch))["session"] == "before"
    server.stop()
    time.sleep(0.3)
    server.start()
    assert call(tmp_path, *common, "after", "--", "true").returncode == 0
    assert any('"after"' in line for line in lines_until(watch, '"after"'))
    watch.send_signal(signal.SIGINT)
    code, _, err = finish(watch)
    assert code == 130
    # Among data nothing but data: what is said about the server is beside it.
    assert "trying again" in err
    assert "the server is back" in err


def test_following_events_says_that_the_server_is_away(tmp_path: Path, server: Server) -> None:
    assert call(tmp_path, "run", "--to", server.url, "--session", "s", "--", "true").returncode == 0
    events = begin(tmp_path, "events", "s", "--follow", "--to", server.url, "--interval", "0.05")
    assert "complete" in line_of(events)
    server.stop()
    assert events.stderr is not None
    assert b"trying again" in events.stderr.readline()
    server.start()
    assert b"the server is back" in events.stderr.readline()
    again = call(tmp_path, "run", "--to", server.url, "--session", "s", "--", "echo", "anew")
    assert again.returncode == 0, again.stderr
    assert "anew" in lines_until(events, "anew")[-1]
    events.send_signal(signal.SIGINT)
    assert finish(events)[0] == 130


def test_a_wrong_address_is_told_at_once(tmp_path: Path) -> None:
    for arguments in (["watch"], ["watch", "s"], ["events", "s", "--follow"]):
        answer = call(tmp_path, *arguments, "--to", "http://127.0.0.1:1")
        assert answer.returncode == 1
        assert answer.stderr.count(b"\n") == 1


def test_a_server_that_wants_another_key_after_its_restart_is_the_end(
    tmp_path: Path, server: Server
) -> None:
    call(tmp_path, "run", "--to", server.url, "--session", "s", "--", "true")
    watch = begin(tmp_path, "watch", "s", "--to", server.url, "--interval", "0.05")
    lines_until(watch, "complete")
    server.stop()
    server._process = begin(tmp_path, "serve", "--listen", server._listen, "--key", "k")
    line_of(server._process)
    code, out, err = finish(watch)
    assert code == 1, out
    assert "STAYLINE_KEY" in err


# --- an owner that is gone ------------------------------------------------------------------------


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A folder whose `stayline run` was killed in mid-run, with its program."""
    script = "echo up; exec sleep 60"
    process = subprocess.Popen(
        [*STAYLINE, "run", "--session", "s", "--", "sh", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
        env=environment(),
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    eventually(lambda: listed(tmp_path)[0]["events"] == 1)
    (run,) = listed(tmp_path)
    assert (run["health"], run["connected"], run["owned"]) == ("healthy", True, True)
    process.kill()
    process.wait(PATIENCE)
    # What it started has a group of its own.
    found = subprocess.run(
        ["pgrep", "-f", "-x", "sleep 60"], capture_output=True, text=True, check=False
    )
    for pid in found.stdout.split():
        if Path(f"/proc/{pid}/cwd").resolve() == tmp_path.resolve():
            os.kill(int(pid), signal.SIGKILL)
    process.stdout.close()
    return tmp_path


def test_a_run_whose_process_was_killed_is_not_healthy(killed: Path) -> None:
    (run,) = listed(killed)
    assert run["status"] == "running"
    assert (run["health"], run["connected"], run["owned"]) == (None, False, False)
    table = call(killed, "runs").stdout.decode()
    assert "gone" in table
    assert "healthy" not in table


def test_watching_a_run_whose_process_was_killed_says_so(killed: Path) -> None:
    watch = begin(killed, "watch", "s")
    assert line_of(watch).endswith("running, its coordinator's process is gone")
    watch.terminate()
    finish(watch)
    watch = begin(killed, "watch")
    assert line_of(watch).endswith("running, its coordinator's process is gone")
    watch.terminate()
    finish(watch)


def test_an_event_of_the_past_is_no_sign_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is shown a moment ago, and was said an hour before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / ".stayline").mkdir()
    location = f"sqlite:{tmp_path / '.stayline' / 'runs.db'}"
    hour_ago = round(time.time() * 1000) - 3_600_000
    with stayline.Coordinator(location, clock=stayline.ManualClock(hour_ago)) as coordinator:
        session = coordinator.session("s")
        session.start("e")
        link = session.attach("e", trusted=True)
        link.receive(frame("output", {"text": "old"}))
        eventually(lambda: session.count_events() == 1)
        terminal = Terminal(*STAYLINE, "watch", "s", "--interval", "0.05")
        try:
            terminal.wait_for(b"output  old")
            terminal.wait_for(b"seen 1h00m ago")
            terminal.type(b"\x03")
            assert terminal.wait() == 130
            assert not link.congested
        finally:
            terminal.close()


def test_names_of_sessions_are_exact_in_a_pipe(tmp_path: Path) -> None:
    """What a shell completes has to name the session; only a terminal is spared."""
    name = "turned \u202earound"
    assert call(tmp_path, "run", "--session", name, "--", "true").returncode == 0
    assert call(tmp_path, "runs", "--names").stdout.decode() == f"{name}\n"
    assert "\u202e" not in call(tmp_path, "runs").stdout.decode()
    assert call(tmp_path, "events", name).returncode == 0


def test_the_picture_of_a_run_whose_process_was_killed_has_no_link(killed: Path) -> None:
    text = call(killed, "timeline", "s").stdout.decode()
    (link,) = [line for line in text.splitlines() if line.startswith("link")]
    assert link.endswith("\u2573")
    assert "its coordinator's process is gone" in text
    # A host that reads beside nobody gets the same picture.
    location = f"sqlite:{killed / '.stayline' / 'runs.db'}"
    with stayline.Coordinator(location, read_only=True) as reader:
        assert "process is gone" in reader.session("s").timeline().text()


def test_an_owner_that_lives_is_no_owner_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / ".stayline").mkdir()
    location = f"sqlite:{tmp_path / '.stayline' / 'runs.db'}"
    with stayline.Coordinator(location) as coordinator:
        session = coordinator.session("s")
        session.start("e")
        with session.attach("e", trusted=True) as link:
            link.receive(frame("output", {"text": "x"}))
            eventually(lambda: session.count_events() == 1)
            assert "process is gone" not in session.timeline().text()
            (run,) = listed(tmp_path)
            assert (run["health"], run["connected"], run["owned"]) == ("healthy", True, True)
            with stayline.Coordinator(location, read_only=True) as reader:
                assert "process is gone" not in reader.session("s").timeline().text()
    # In order or not: nobody is there, so nobody can be connected.
    (run,) = listed(tmp_path)
    assert (run["status"], run["connected"], run["owned"]) == ("running", False, False)


def test_a_watch_sees_the_owner_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / ".stayline").mkdir()
    location = f"sqlite:{tmp_path / '.stayline' / 'runs.db'}"
    coordinator = stayline.Coordinator(location)
    session = coordinator.session("s")
    session.start("e")
    link = session.attach("e", trusted=True)
    terminal = Terminal(*STAYLINE, "watch", "s", "--interval", "0.05")
    try:
        terminal.wait_for(b"running, healthy")
        assert not link.congested
        coordinator._abandon()
        terminal.wait_for(b"its coordinator's process is gone")
        terminal.type(b"\x03")
        assert terminal.wait() == 130
    finally:
        terminal.close()


# --- several files --------------------------------------------------------------------------------


@pytest.fixture
def two_files(tmp_path: Path) -> Path:
    """A folder in which two files know a session of one id."""
    (tmp_path / ".stayline").mkdir()
    for name, text in (("runs.db", "first"), ("runs-2.db", "second")):
        location = f"sqlite:{tmp_path / '.stayline' / name}"
        answer = call(tmp_path, "run", "--store", location, "--session", "s", "--", "echo", text)
        assert answer.returncode == 0
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ["events", "s"],
        ["events", "s", "--follow"],
        ["watch", "s"],
        ["timeline", "s"],
        ["fail", "s", "-m", "x"],
        ["interrupt", "s"],
    ],
)
def test_a_session_that_is_in_two_files_has_to_be_chosen(
    two_files: Path, arguments: list[str]
) -> None:
    answer = call(two_files, *arguments)
    assert answer.returncode == 2
    assert answer.stdout == b""
    told = answer.stderr.decode()
    assert told.count("\n") == 1
    assert "sqlite:.stayline/runs.db" in told
    assert "sqlite:.stayline/runs-2.db" in told
    assert "--store" in told


def test_a_file_is_chosen_by_its_name_as_it_is_told(two_files: Path) -> None:
    for name, text in (("runs.db", b"first"), ("runs-2.db", b"second")):
        store = f"sqlite:.stayline/{name}"
        assert text in call(two_files, "events", "s", "--store", store).stdout
        assert b"completed" in call(two_files, "timeline", "s", "--store", store).stdout


def test_a_listing_says_which_file_where_the_session_does_not(two_files: Path) -> None:
    head, *rows = call(two_files, "runs").stdout.decode().splitlines()
    assert head.endswith("  STORE")
    assert {row.rpartition("  ")[2] for row in rows} == {
        "sqlite:.stayline/runs.db",
        "sqlite:.stayline/runs-2.db",
    }
    call(two_files, "run", "--session", "t", "--", "true")
    only = call(two_files, "runs", "--session", "t").stdout.decode()
    assert "STORE" not in only


def test_a_file_that_cannot_be_read_hides_no_other(two_files: Path) -> None:
    (two_files / ".stayline" / "odd.db").write_text("certainly no database " * 100)
    answer = call(two_files, "runs")
    assert answer.stdout.count(b"completed") == 2
    # Not all that there is was listed.
    assert answer.returncode == 1
    assert answer.stderr.count(b"\n") == 1
    assert b".stayline/odd.db" in answer.stderr
    call(two_files, "run", "--session", "t", "--", "true")
    events = call(two_files, "events", "t")
    assert (events.returncode, events.stdout.count(b"\n")) == (0, 1)
    assert call(two_files, "interrupt", "t").stderr.count(b"\n") == 2
    named = call(two_files, "runs", "--store", ".stayline/odd.db")
    assert named.returncode == 1
    assert b".stayline/odd.db" in named.stderr


# --- what is expected to go wrong -----------------------------------------------------------------


def shell(folder: Path, script: str) -> subprocess.CompletedProcess[bytes]:
    """A shell that knows `stayline`."""
    command = 'stayline() { "$PYTHON" -W error -m stayline "$@"; }; ' + script
    return subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        cwd=folder,
        env=environment(PYTHON=STAYLINE[0]),
        timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    ("script", "code", "told"),
    [
        ("stayline runs > /dev/full", 1, "No space left on device"),
        ("stayline events s > /dev/full", 1, "No space left on device"),
        ("stayline timeline s -o /dev/full/x.html", 1, "/dev/full/x.html"),
        ("stayline timeline s -o nowhere/x.svg", 1, "nowhere/x.svg"),
        ("stayline timeline s -o x.png", 2, "x.png"),
        ("stayline runs --store nowhere.db", 1, "nowhere.db"),
        ("stayline runs --store /", 1, "/"),
        ("stayline serve --store /dev/null/x.db --listen 127.0.0.1:0", 1, "/dev/null"),
        ("stayline run --store /dev/null/x.db -- true", 1, "/dev/null"),
        ("cd empty; : > .stayline; stayline run -- true", 1, ".stayline"),
        ("cd empty; : > .stayline; stayline serve --listen 127.0.0.1:0", 1, ".stayline"),
        ("stayline serve --key-file nowhere --listen 127.0.0.1:0", 2, "nowhere"),
        ("stayline run -- ./no-such-program", 127, "./no-such-program"),
        ("stayline run -- ./empty", 126, "./empty"),
        ("stayline runs >&-", 0, ""),
        ("stayline events s 2>&- >&-", 0, ""),
        ("stayline --help >&-", 0, ""),
        ("set -o pipefail; stayline events s | true", 141, ""),
        ("set -o pipefail; stayline --help | true", 141, ""),
        ("set -o pipefail; stayline completion bash | head -c 1 >&2", 141, "#"),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_code(
    tmp_path: Path, script: str, code: int, told: str
) -> None:
    (tmp_path / "empty").mkdir()
    assert call(tmp_path, "run", "--session", "s", "--", "echo", "x").returncode == 0
    answer = shell(tmp_path, script)
    err = answer.stderr.decode()
    assert "Traceback" not in err
    assert "Exception ignored" not in err
    assert told in err
    assert err.count("\n") == (1 if told and code != 141 else 0)
    # A reader that leaves late enough has taken it all.
    assert answer.returncode in ((code, 0) if code == 141 else (code,))


def test_a_store_of_a_newer_version_is_told(tmp_path: Path) -> None:
    import sqlite3

    assert call(tmp_path, "run", "--session", "s", "--", "true").returncode == 0
    with sqlite3.connect(tmp_path / ".stayline" / "runs.db") as file:
        (version,) = file.execute("pragma user_version").fetchone()
        file.execute(f"pragma user_version = {version + 100}")
    file.close()
    for arguments in (["runs"], ["events", "s"], ["run", "--session", "s", "--", "true"]):
        answer = call(tmp_path, *arguments)
        assert answer.returncode == 1
        assert b"Traceback" not in answer.stderr
        assert b"format" in answer.stderr
        assert b"runs.db" in answer.stderr


def test_a_password_in_an_address_is_shown_by_nothing(tmp_path: Path, server: Server) -> None:
    call(tmp_path, "run", "--to", server.url, "--session", "s", "--", "true")
    for place in (server.url.removeprefix("http://"), "127.0.0.1:1", "127.0.0.1:x", "h h"):
        url = f"http://user:hunter2@{place}"
        for arguments in (
            ["runs"],
            ["runs", "--json"],
            ["watch", "--until-end"],
            ["watch", "s", "--until-end", "--json"],
            ["events", "s"],
            ["fail", "s", "-m", "x"],
            ["interrupt", "s"],
            ["run", "--", "true"],
        ):
            command = [arguments[0], "--to", url, *arguments[1:]]
            answer = call(tmp_path, *command)
            assert b"hunter2" not in answer.stdout + answer.stderr, command
            assert b"Traceback" not in answer.stderr


def test_a_narrow_terminal_says_who_is_gone(killed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(killed)
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Terminal(*STAYLINE, "runs")
    try:
        terminal.wait_for(b"gone")
        assert terminal.wait() == 0
    finally:
        terminal.close()
    terminal = Terminal(*STAYLINE, "watch", "s", "--interval", "0.05")
    try:
        terminal.wait_for(b"its coordinator's process is gone")
        terminal.type(b"\x03")
        assert terminal.wait() == 130
    finally:
        terminal.close()
