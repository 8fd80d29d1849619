"""Several processes: `multiprocessing` in all its ways, and servers that fork their workers."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import urllib.request
from multiprocessing.context import BaseContext
from pathlib import Path

import pytest
import stayline
from conftest import PATIENCE, eventually

METHODS = ["fork", "spawn", "forkserver"]


def use_own_file(location: str) -> tuple[str, int]:
    with stayline.Coordinator(location) as coordinator:
        session = coordinator.session("s")
        execution = session.start("e")
        with coordinator.serve() as server:
            wrapper = stayline.Wrapper(
                server.url, session_id="s", execution_id="e", token=execution.token
            )
            with wrapper:
                wrapper.send("output", {"pid": os.getpid()})
                ended = wrapper.complete(timeout=PATIENCE)
        return str(ended.status), session.count_events()


def open_the_parents_file(location: str) -> tuple[str, int, str | None]:
    try:
        stayline.Coordinator(location).close()
    except stayline.StoreInUse as in_use:
        return type(in_use).__name__, in_use.pid, in_use.url
    return "opened", 0, None


def read_the_parents_file(location: str) -> list[str]:
    with stayline.Coordinator(location, read_only=True) as coordinator:
        return [event.type for event in coordinator.session("s").events()]


def send_to_the_parent(url: str, token: str) -> str:
    with stayline.Wrapper(url, session_id="s", execution_id="e", token=token) as wrapper:
        for n in range(20):
            wrapper.send("output", {"n": n})
        return str(wrapper.complete(timeout=PATIENCE).status)


@pytest.fixture(params=METHODS)
def context(request: pytest.FixtureRequest) -> BaseContext:
    return multiprocessing.get_context(request.param)


def test_each_worker_with_a_file_of_its_own(context: BaseContext, tmp_path: Path) -> None:
    locations = [f"sqlite:{tmp_path / str(n)}.db" for n in range(4)]
    with stayline.Coordinator("memory:") as coordinator:
        coordinator.session("s").start("e")
        with context.Pool(2) as pool:
            found = pool.map_async(use_own_file, locations).get(PATIENCE)
            pool.close()
            pool.join()
        assert found == [("completed", 2)] * 4
        assert coordinator.session("s").active == "e"


def test_workers_of_an_owner(context: BaseContext, tmp_path: Path) -> None:
    location = f"sqlite:{tmp_path / 'runs.db'}"
    with stayline.Coordinator(location) as coordinator, coordinator.serve() as server:
        session = coordinator.session("s")
        execution = session.start("e")
        with context.Pool(2) as pool:
            refused = pool.apply_async(open_the_parents_file, (location,)).get(PATIENCE)
            assert refused == ("StoreInUse", os.getpid(), server.url)
            sending = pool.apply_async(send_to_the_parent, (server.url, execution.token))
            assert sending.get(PATIENCE) == "completed"
            read = pool.apply_async(read_the_parents_file, (location,)).get(PATIENCE)
            pool.close()
            pool.join()
        assert read == ["output"] * 20 + ["complete"]
        assert execution.status == "completed"


# What a web application does in each worker of a pre-fork server. Whoever comes first owns the
# shared file; the others are told by whom, and may read. A file of its own works for each.
APPLICATION = """
    import json
    import os

    import stayline

    # Loaded once before the workers are forked: inert in them.
    loaded = stayline.Coordinator("memory:")
    loaded.session("s").start("e")
    state = {}


    def work():
        if "role" not in state:
            try:
                state["shared"] = stayline.Coordinator("sqlite:shared.db")
                state["role"] = "owner"
                state["owner"] = os.getpid()
                state["shared"].session("s").start("e")
            except stayline.StoreInUse as in_use:
                state["shared"] = stayline.Coordinator("sqlite:shared.db", read_only=True)
                state["role"] = "reader"
                state["owner"] = in_use.pid
            state["own"] = stayline.Coordinator(f"sqlite:own-{os.getpid()}.db")
            state["own"].session("s").start("e")
        try:
            loaded.session("s").active
            inert = False
        except stayline.ForkError:
            inert = True
        return {
            "pid": os.getpid(),
            "role": state["role"],
            "owner": state["owner"],
            "shared": [one.id for one in state["shared"].session("s").executions()],
            "own": state["own"].session("s").active,
            "inert": inert,
        }


    def application(environment, start_response):
        answer = json.dumps(work()).encode()
        start_response("200 OK", [("Content-Type", "application/json")])
        return [answer]
"""


def test_a_pre_fork_server(tmp_path: Path) -> None:
    pytest.importorskip("gunicorn")
    (tmp_path / "application.py").write_text(textwrap.dedent(APPLICATION))
    socket = tmp_path / "address"
    (tmp_path / "configuration.py").write_text(
        textwrap.dedent(
            f"""
            bind = "127.0.0.1:0"
            workers = 3
            preload_app = True
            worker_class = "sync"
            keepalive = 0


            def when_ready(server):
                with open({str(socket) + ".new"!r}, "w") as file:
                    file.write("http://%s:%d" % server.LISTENERS[0].sock.getsockname())
                import os

                os.rename({str(socket) + ".new"!r}, {str(socket)!r})
            """
        )
    )
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-c", "configuration.py", "application:application"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )
    try:
        url = eventually(lambda: socket.exists() and socket.read_text())
        answers: dict[int, dict[str, object]] = {}

        def all_answered() -> bool:
            with urllib.request.urlopen(str(url), timeout=PATIENCE) as response:
                answer = json.load(response)
            answers[answer["pid"]] = answer
            return len(answers) == 3

        eventually(all_answered)
        owners = [answer for answer in answers.values() if answer["role"] == "owner"]
        assert len(owners) == 1
        for answer in answers.values():
            assert answer["owner"] == owners[0]["pid"]
            assert answer["shared"] == ["e"]
            assert answer["own"] == "e"
            assert answer["inert"]
        server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE) == 0
    finally:
        server.kill()
        _, errors = server.communicate()
    assert "Traceback" not in errors
