"""What peers may take of the built-in server, as Python hosts and the command line set it."""

from __future__ import annotations

import asyncio
import json
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import stayline
from command import call, serving
from conftest import PATIENCE, eventually
from stayline import aio


def status(url: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(url, data=body, timeout=PATIENCE) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_each_bound_reaches_the_server() -> None:
    coordinator = stayline.Coordinator("memory:")
    coordinator.session("s").start("e")
    with coordinator.serve(max_body_bytes=10_000, workers=1) as server:
        path = f"{server.url}/sessions/s/interrupt"
        code, told = status(path, b" " * 10_001)
        assert (code, told["error"], told["limit"]) == (413, "LimitExceeded", "max_body_bytes")
        assert status(path, b" " * 10_000)[0] == 200
    with coordinator.serve(max_sockets=1, max_requests=7) as server:
        host, port = server.address.split(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE):
            eventually(lambda: status(f"{server.url}/health")[0] == 503)
    coordinator.close()


@pytest.mark.parametrize(
    "name",
    ["max_sockets", "max_unauthenticated_sockets", "max_requests", "max_body_bytes", "workers"],
)
def test_what_is_out_of_range_is_told_by_its_name(name: str) -> None:
    with stayline.Coordinator("memory:") as coordinator:
        for wrong in (0, -1, 2**31, 10**5000):
            given: dict[str, Any] = {name: wrong}
            with pytest.raises(stayline.InvalidArgument) as raised:
                coordinator.serve(**given)
            assert wrong < 0 or wrong > 2**63 or name in str(raised.value)


def test_an_event_loop_sets_them_too() -> None:
    async def main() -> None:
        async with aio.Coordinator("memory:") as coordinator:
            with pytest.raises(stayline.InvalidArgument, match="workers"):
                await coordinator.serve(workers=65)
            async with coordinator.serve(max_sockets=5, max_body_bytes=9_000, workers=3):
                pass

    asyncio.run(main())


def test_the_command_line_sets_them(tmp_path: Path) -> None:
    with serving(tmp_path, "--max-body-bytes", "9000", "--workers", "1") as url:
        assert status(f"{url}/sessions/s/interrupt", b" " * 9_001)[0] == 413
        assert status(f"{url}/sessions/s/interrupt", b" " * 9_000)[0] == 404
    refused = call(tmp_path, "serve", "--listen", "127.0.0.1:0", "--max-sockets", "0")
    assert refused.returncode != 0
    assert b"max_sockets" in refused.stderr


def test_runs_of_a_server_are_listed_through_all_pages(tmp_path: Path) -> None:
    with stayline.Coordinator("memory:") as coordinator, coordinator.serve() as server:
        session = coordinator.session("s")
        # More than one page may have: 4 MiB.
        for number in range(300):
            session.start(f"e{number}")
            session.fail(f"e{number}", "x" * 16_000)
        path = f"{server.url}/sessions/s/executions?limit=1000"
        code, page = status(path)
        assert code == 200
        assert page["cursor"]
        assert len(page["executions"]) < 300
        command = ("runs", "--json", "--to", server.url, "--session", "s", "--limit", "299")
        listed = call(tmp_path, *command)
        assert listed.returncode == 0, listed.stderr
        runs = [json.loads(line)["execution"] for line in listed.stdout.splitlines()]
        assert runs == [f"e{number}" for number in reversed(range(1, 300))]
