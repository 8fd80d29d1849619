"""`stayline run --to`: a server elsewhere, its key, its kills, its absence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import stayline
from command import (
    PATIENCE,
    QUICK,
    begin,
    call,
    closing_line,
    finish,
    line_of,
    listed,
    serving,
    stored,
)
from stayline.cli import main


def post(url: str, path: str, body: object = None, key: str | None = None) -> Any:
    request = urllib.request.Request(
        f"{url}/sessions/{path}", data=json.dumps(body or {}).encode(), method="POST"
    )
    if key is not None:
        request.add_header("Authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.load(answer)


def gone(pid: int) -> bool:
    """Whether a process has ended, or is only waiting to be asked how."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_it_starts_an_execution_through_rest_with_the_key(tmp_path: Path) -> None:
    with serving(tmp_path, STAYLINE_KEY="secret") as url:
        arguments = ("run", "--to", url, "--session", "a/b:c", "--mode", "code", "--", "echo", "hi")
        refused = call(tmp_path, *arguments)
        assert refused.returncode == 1
        assert b"STAYLINE_KEY" in refused.stderr
        assert refused.stderr.count(b"\n") == 1
        answer = call(tmp_path, *arguments, STAYLINE_KEY="secret")
        assert (answer.returncode, answer.stdout) == (0, b"hi\n")
        # The file can be read while the server owns it.
        (run,) = listed(tmp_path)
        assert (run["session"], run["status"], run["mode"]) == ("a/b:c", "completed", "code")
    events = stored(tmp_path, "a/b:c", "serve.db")
    assert events == [("output", {"text": "hi"}), ("complete", {"exitCode": 0})]


def test_it_joins_an_execution_that_was_started_for_it(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        started = post(url, "s/executions")
        common = ("run", "--to", url, "--session", "s", "--execution", started["executionId"])
        wrong = call(tmp_path, *common, "--token", "wrong", "--", "echo", "never")
        assert (wrong.returncode, wrong.stdout) == (1, b"")
        answer = call(tmp_path, *common, "--", "true", STAYLINE_TOKEN=started["token"])
        assert answer.returncode == 0, answer.stderr
        (run,) = listed(tmp_path)
        assert (run["execution"], run["status"]) == (started["executionId"], "completed")


def test_nothing_runs_when_the_server_is_not_there(tmp_path: Path) -> None:
    answer = call(tmp_path, "run", "--to", "http://127.0.0.1:1", "--", "echo", "never")
    assert (answer.returncode, answer.stdout) == (1, b"")
    assert b"http://127.0.0.1:1" in answer.stderr
    assert answer.stderr.count(b"\n") == 1


def test_an_interrupt_stops_the_program_and_all_it_started(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        script = "sleep 60 & echo $!; wait"
        process = begin(tmp_path, "run", "--to", url, "--session", "s", "--", "sh", "-c", script)
        helper = int(line_of(process))
        assert post(url, "s/interrupt")["verdict"] == "sent"
        code, _, err = finish(process)
        assert code == 128 + signal.SIGTERM
        assert closing_line(err).startswith("stayline: interrupted (User interrupted), 1 event,")
        assert gone(helper)
        (run,) = listed(tmp_path)
        assert run["status"] == "interrupted"


def test_a_program_that_ignores_an_interrupt_is_killed(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        common = ("run", "--to", url, "--session", "s", "--stop-grace", "0.2", "--")
        script = "trap '' TERM; echo up; while :; do sleep 0.05; done"
        process = begin(tmp_path, *common, "sh", "-c", script)
        assert line_of(process) == "up"
        post(url, "s/interrupt")
        code, _, err = finish(process)
        assert code == 128 + signal.SIGKILL
        assert closing_line(err).startswith("stayline: interrupted")


def test_a_run_that_the_coordinator_ended_does_not_work_on(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        script = "echo up; exec sleep 60"
        process = begin(tmp_path, "run", "--to", url, "--session", "s", "--", "sh", "-c", script)
        assert line_of(process) == "up"
        (run,) = listed(tmp_path)
        assert post(url, f"s/executions/{run['execution']}/fail", {"message": "boom"})["failed"]
        code, _, err = finish(process)
        assert code == 128 + signal.SIGTERM
        assert closing_line(err).startswith("stayline: failed (boom), 1 event,")


def test_a_wrapper_that_gives_up_lets_the_program_go_on(tmp_path: Path) -> None:
    script = "echo up; read go; for i in 1 2 3; do echo line $i; done; exit 4"
    with serving(tmp_path) as url:
        options = [*QUICK, "--set", "give_up_after_ms=300"]
        process = begin(
            tmp_path, "run", "--to", url, "--session", "s", *options, "--", "sh", "-c", script
        )
        assert line_of(process) == "up"
    # The server is gone; only after the wrapper has given up does the program say more.
    time.sleep(1.5)
    assert process.stdin is not None
    process.stdin.write(b"\n")
    code, out, err = finish(process)
    assert (code, out) == (4, "line 1\nline 2\nline 3\n")
    last = closing_line(err)
    assert last.startswith("stayline: disconnected (")
    assert ", 4 events, 0 reconnects, " in last
    assert " lost, session s" in last


def test_a_stop_while_lines_wait_gives_them_up_and_says_so(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        process = begin(
            tmp_path,
            "run",
            "--to",
            url,
            "--session",
            "s",
            *QUICK,
            "--",
            "sh",
            "-c",
            "echo up; read x",
        )
        assert line_of(process) == "up"
    assert process.stdin is not None
    process.stdin.close()
    process.stdin = None
    # The program ends and its ending cannot be delivered. The first signal may still reach the
    # program; one that comes later gives up.
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None:
        assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    code, _, err = finish(process)
    assert code in (1, 128 + signal.SIGINT)
    assert "lost" in closing_line(err)


def test_the_program_waits_rather_than_losing_lines(tmp_path: Path) -> None:
    """The server is stopped in mid-run; the program fills what may wait and then stands still."""
    store = f"sqlite:{tmp_path / 'runs.db'}"
    source = (
        "import sys\n"
        "print('up', flush=True); sys.stdin.readline()\n"
        "for number in range(60_000): print(number)\n"
    )
    with serving(tmp_path, "--store", store) as url:
        process = begin(
            tmp_path,
            "run",
            "--to",
            url,
            "--session",
            "s",
            *QUICK,
            "--",
            sys.executable,
            "-c",
            source,
        )
        assert line_of(process) == "up"
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()
    address = url.removeprefix("http://")
    with serving(tmp_path, "--store", store, "--listen", address):
        code, out, err = finish(process)
        assert code == 0
        assert out == "".join(f"{number}\n" for number in range(60_000))
        assert closing_line(err).startswith(
            "stayline: completed (exit code 0), 60001 events, 1 reco"
        )
    with stayline.Coordinator(store, read_only=True) as coordinator:
        texts = [event.data["text"] for event in coordinator.session("s").events(types=["output"])]
    assert texts == ["up", *map(str, range(60_000))]


def test_a_second_wrapper_takes_over_and_the_first_stops(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        started = post(url, "s/executions")
        common = ["run", "--to", url, "--session", "s", "--execution", started["executionId"]]
        first = begin(
            tmp_path,
            *common,
            "--",
            "sh",
            "-c",
            "echo $$; exec sleep 60",
            STAYLINE_TOKEN=started["token"],
        )
        program = int(line_of(first))
        second = call(tmp_path, *common, "--", "true", STAYLINE_TOKEN=started["token"])
        assert second.returncode == 0, second.stderr
        code, _, err = finish(first)
        assert code == 128 + signal.SIGTERM
        assert closing_line(err).startswith("stayline: replaced (another wrapper has taken over)")
        assert gone(program)


def test_a_killed_wrapper_fails_its_run_once_and_makes_room(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        script = "echo $$; exec sleep 60"
        process = begin(tmp_path, "run", "--to", url, "--session", "s", "--", "sh", "-c", script)
        program = int(line_of(process))
        deadline = time.monotonic() + PATIENCE
        while listed(tmp_path)[0]["events"] == 0:
            assert time.monotonic() < deadline
        process.kill()
        os.kill(program, signal.SIGKILL)
        finish(process)
        while listed(tmp_path)[0]["status"] != "failed":
            assert time.monotonic() < deadline
        assert call(tmp_path, "run", "--to", url, "--session", "s", "--", "true").returncode == 0
    names = [name for name, _ in stored(tmp_path, "s", "serve.db")]
    assert names == ["output", "wrapper_disconnected", "complete"]


def test_an_address_that_is_none_is_told(tmp_path: Path) -> None:
    answer = call(tmp_path, "run", "--to", "localhost", "--", "true")
    assert answer.returncode == 2
    assert b"'localhost'" in answer.stderr


def test_a_server_of_another_kind_is_told(tmp_path: Path) -> None:
    """What looks like Stayline and is not says so instead of a traceback."""
    server = subprocess.Popen(
        [sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        text=True,
    )
    try:
        assert server.stdout is not None
        port = server.stdout.readline().split("port ")[1].split()[0]
        answer = call(tmp_path, "run", "--to", f"http://127.0.0.1:{port}", "--", "true")
        assert answer.returncode == 1
        assert answer.stderr.count(b"\n") == 1
        asked = f"http://127.0.0.1:{port}/sessions/"
        assert asked.encode() in answer.stderr
        assert b"check the address and its base path" in answer.stderr
    finally:
        server.terminate()
        server.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("body", ["{}", "[]", "7", '{"executions": [{}], "sessions": [{}]}'])
@pytest.mark.parametrize(
    "command",
    [
        ("run", "--session", "s", "--", "true"),
        ("runs",),
        ("runs", "--session", "s"),
        ("watch", "s"),
        ("fail", "s", "-m", "over"),
        ("interrupt", "s"),
    ],
    ids=" ".join,
)
def test_an_answer_of_another_kind_is_no_traceback(
    tmp_path: Path, body: str, command: tuple[str, ...]
) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_told: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        name, *rest = command
        answer = call(tmp_path, name, "--to", url, *rest)
        server.shutdown()
    assert answer.returncode == 1
    advice = "check the address and its base path"
    assert answer.stderr.decode() == f"stayline: {url} did not answer as Stayline does; {advice}\n"


def test_runs_of_a_server_have_their_events_counted(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        for session, lines in (("a", "echo one; echo two"), ("b/c", "true")):
            run = call(tmp_path, "run", "--to", url, "--session", session, "--", "sh", "-c", lines)
            assert run.returncode == 0, run.stderr
        counted = {run["session"]: run["events"] for run in listed(tmp_path, "--to", url)}
        assert counted == {"a": 3, "b/c": 1}
        # Who only looks at one of them has it too, and who does not ask does not get it.
        assert listed(tmp_path, "--to", url, "--session", "a")[0]["events"] == 3
        base = f"{url}/sessions/a/executions"
        with urllib.request.urlopen(base, timeout=PATIENCE) as answer:
            [run] = json.load(answer)["executions"]
        assert "events" not in run
        path = f"{base}/{run['executionId']}?events=true"
        with urllib.request.urlopen(path, timeout=PATIENCE) as answer:
            assert json.load(answer)["events"] == 3


#: Says ``many`` more lines when it is stopped: they come after everybody knows of the end.
TALKS_AT_THE_END = """
import signal, sys, time

def stop(*_):
    for n in range(3_000):
        print("last words", n, flush=True)
    sys.exit(3)

signal.signal(signal.SIGTERM, stop)
print("first", flush=True)
time.sleep(600)
"""


def test_what_a_frozen_run_still_brings_is_not_called_lost(tmp_path: Path) -> None:
    impatient = (
        *("--set", "ping_interval_ms=100"),
        *("--set", "link_timeout_ms=1000"),
    )
    with serving(tmp_path, *impatient) as url:
        program = (sys.executable, "-c", TALKS_AT_THE_END)
        run = begin(tmp_path, "run", "--to", url, "--session", "s", *QUICK, "--", *program)
        assert line_of(run) == "first"
        until(lambda: ("output", {"text": "first"}) in stored(tmp_path, "s", "serve.db"))
        run.send_signal(signal.SIGSTOP)
        until(lambda: listed(tmp_path)[0]["status"] == "failed")
        run.send_signal(signal.SIGCONT)
        code, out, err = finish(run)
        assert code == 3
        assert out.count("last words") == 3_000
        line = closing_line(err)
        assert "failed (Wrapper disconnected)" in line
        assert "3001 events" in line
        assert "lost" not in line
        late = [data for type, data in stored(tmp_path, "s", "serve.db") if type == "output"]
        assert len(late) == 3_001


def until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    "address",
    [
        "http://user:geh%65im-geheim@127.0.0.1:9",
        "wss://user:geheim@127.0.0.1:9/base",
        "http://user:ge@heim?geheim@127.0.0.1:9",
        "user:geheim@127.0.0.1:9",
        "http://127.0.0.1:9/?key=geheim",
        "http://user:geheim@127.0.0.1:port",
        "http://user:geheim@",
    ],
)
def test_a_password_in_an_address_is_never_shown(
    address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    to = ("--to", address)
    for arguments in (
        ("run", *to, "--", "true"),
        ("run", *to, "--session", "s", "--execution", "e", "--", "true"),
        ("runs", *to),
        ("events", "s", *to),
        ("timeline", "s", *to),
        ("watch", "s", *to),
        ("fail", "s", *to),
        ("interrupt", "s", *to),
        ("runs", f"--too={address}"),
        ("runs", "--too", address),
        ("run", *to, "--store", "sqlite:x.db", "--", "true"),
    ):
        code: object
        try:
            code = main(arguments)
        except SystemExit as error:
            code = error.code
        assert code != 0, arguments
        told = "".join(capfd.readouterr())
        assert "geheim" not in told, (arguments, told)
    with pytest.raises(stayline.InvalidArgument) as refused:
        stayline.Wrapper(address, session_id="s", execution_id="e")
    assert "geheim" not in str(refused.value)


def test_keys_that_no_server_has_are_told_and_not_shown(tmp_path: Path) -> None:
    with serving(tmp_path, STAYLINE_KEY="secret") as url:
        for key in ("geheim ", "\tgeheim", "gehéim", "geheim\n", ""):
            ended = call(tmp_path, "runs", "--to", url, "--key", key)
            assert ended.returncode == 2, key
            assert b"STAYLINE_KEY" in ended.stderr
            assert b"geh" not in ended.stderr
        assert call(tmp_path, "runs", "--to", url, "--key", "secret").returncode == 0


def test_a_server_that_could_not_be_used_or_guarded_does_not_start(tmp_path: Path) -> None:
    for arguments, told in (
        (("--allow-origin", "*"), b"set a key"),
        (("--allow-origin", "dash.example"), b"dash.example"),
        (("--base-path", "runs/"), b"runs/"),
        (("--key", "geheim "), b"white space"),
        (("--key", "gehéim"), b"beyond ASCII"),
        (("--key", ""), b"empty"),
    ):
        ended = call(tmp_path, "serve", "--listen", "127.0.0.1:0", *arguments)
        assert ended.returncode == 2, arguments
        assert told in ended.stderr, ended.stderr
        # A key on the command line is warned about first.
        assert ended.stderr.count(b"\n") == 1 + ("--key" in arguments)
        assert b"geh" not in ended.stderr


def test_a_server_below_a_path_is_reported_to_there(tmp_path: Path) -> None:
    with serving(tmp_path, "--base-path", "/stay/line") as url:
        assert url.endswith("/stay/line")
        ended = call(tmp_path, "run", "--to", url, "--session", "s", "--", "true")
        assert ended.returncode == 0, ended.stderr
        (run,) = listed(tmp_path, "--to", url)
        assert run["status"] == "completed"
        ended = call(tmp_path, "runs", "--to", url.removesuffix("/stay/line"))
        assert ended.returncode != 0


def test_a_server_whose_notifications_nobody_takes_keeps_none(tmp_path: Path) -> None:
    for switch, kept in (("on", 1), ("off", 0)):
        store = f"sqlite:{switch}.db"
        with serving(tmp_path, "--store", store, "--notifications", switch) as url:
            ended = call(tmp_path, "run", "--to", url, "--session", "s", "--", "true")
            assert ended.returncode == 0, ended.stderr
        with stayline.Coordinator(f"sqlite:{tmp_path / switch}.db", read_only=True) as reader:
            assert reader.session("s").executions()[0].status == "completed"
            assert len(reader.pending_notifications()) == kept
