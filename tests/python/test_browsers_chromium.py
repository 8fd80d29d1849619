"""The programs of `docs/browsers.md` in a browser, on a page of another origin than the stream."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import stayline
from conftest import PATIENCE, eventually, frame
from fastapi import FastAPI, Request, Response
from hosts import AppServer
from proxy import CuttingProxy
from test_timeline_screenshot import BROWSER, QUIET

DOCUMENT = Path(__file__).parents[2] / "docs" / "browsers.md"
SESSION = "user_1/agent:1"

PAGE = """<!doctype html>
<script type="module">
import { byEvents, bySocket } from "./follow.js";
import { show } from "./page.js";

const seen = { ids: [], states: [], clears: 0, end: null };
let told = Promise.resolve();
const tell = () => {
  const body = JSON.stringify(seen);
  told = told.then(() => fetch("/seen", { method: "POST", body }));
};
const page = {
  add: ({ eventId }) => { seen.ids.push(eventId); tell(); },
  clear: () => { seen.ids = []; seen.clears += 1; tell(); },
  state: (state) => { seen.states.push(state); tell(); },
};
const name = new URLSearchParams(location.search).get("by");
seen.end = await show("SESSION", page, { connect: { byEvents, bySocket }[name] });
tell();
</script>
"""


class Host:
    """Gives the page, its programs, and tickets; knows what the page shows."""

    def __init__(self, coordinator: stayline.Coordinator) -> None:
        self._coordinator = coordinator
        self.app = FastAPI()
        self.ttl = 60.0
        self.public_url = ""
        self.tickets: list[str] = []
        self.seen: dict[str, Any] = {"ids": [], "states": [], "clears": 0, "end": None}
        text = DOCUMENT.read_text()
        programs = re.findall(r"^<!-- (\S+) -->\n```js\n(.*?)^```$", text, re.M | re.S)
        self._files = {name: ("text/javascript", source) for name, source in programs}
        self._files[""] = ("text/html", PAGE.replace("SESSION", SESSION))
        self.app.add_route("/seen", self._hear, methods=["POST"])
        self.app.add_route("/api/{rest:path}", self._ticket, methods=["POST"])
        self.app.add_route("/{name}", self._file)
        self.app.add_route("/", self._file)

    async def _file(self, request: Request) -> Response:
        found = self._files.get(request.path_params.get("name", ""))
        if found is None:
            return Response(status_code=404)
        return Response(found[1], media_type=found[0])

    async def _hear(self, request: Request) -> Response:
        self.seen = await request.json()
        return Response(status_code=204)

    async def _ticket(self, request: Request) -> Response:
        assert request.path_params["rest"] == f"sessions/{SESSION}/ticket"
        self.tickets.append(self._coordinator.issue_ticket(SESSION, ttl=self.ttl))
        url = f"{self.public_url}/sessions/{quote(SESSION, safe='')}"
        text = json.dumps({"url": url, "ticket": self.tickets[-1]})
        return Response(text, media_type="application/json")


@contextmanager
def browsing(folder: Path, url: str) -> Iterator[None]:
    assert BROWSER is not None
    command = [BROWSER, *QUIET, f"--user-data-dir={folder / 'browser'}", "--no-proxy-server"]
    browser = subprocess.Popen(
        [*command, "--remote-debugging-port=0", url],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait(PATIENCE)


@pytest.mark.skipif(BROWSER is None, reason="chromium is not installed: apt-get install chromium")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("by", ["bySocket", "byEvents"])
def test_a_page_comes_back_with_a_new_ticket_and_shows_each_event_once(
    tmp_path: Path, by: str
) -> None:
    with stayline.Coordinator("memory:") as coordinator:
        host = Host(coordinator)
        session = coordinator.session(SESSION)
        session.start("e")
        link = session.attach("e", trusted=True)

        def say(count: int) -> None:
            before = session.count_events()
            link.receive_many([frame("output", {"n": n}) for n in range(count)])
            eventually(lambda: session.count_events() == before + count)

        def shows(count: int) -> bool:
            return host.seen["ids"] == list(range(1, count + 1))

        say(3)
        host.ttl = 2.0
        with (
            AppServer(host.app) as served,
            coordinator.serve(key="secret", allowed_origins=[served.url]) as server,
            CuttingProxy(server.url.removeprefix("http://")) as network,
        ):
            host.public_url = network.url
            with browsing(tmp_path, f"{served.url}/?by={by}"):
                # A browser takes its time to begin, and a ticket may run out meanwhile.
                until = time.monotonic() + 100
                while not (shows(3) and host.seen["states"][-1:] == ["live"]):
                    assert time.monotonic() < until, host.seen
                    time.sleep(0.01)
                first = host.tickets[-1]
                eventually(lambda: has_run_out(coordinator, first))
                say(2)
                eventually(lambda: shows(5))
                host.ttl = 60.0
                eventually(network.cut)
                say(4)
                eventually(lambda: shows(9))
                eventually(lambda: host.seen["states"][-3:] == ["live", "away", "live"])
                assert host.tickets[-1] != first
                # Refused upgrades and answers are tries like others: a ticket for no time at all.
                host.ttl = 0.001
                tickets = len(host.tickets)
                network.cut()
                eventually(lambda: len(host.tickets) >= tickets + 2)
                host.ttl = 60.0
                say(1)
                eventually(lambda: shows(10))
                assert host.seen["clears"] == 0
                session.delete()
                eventually(lambda: host.seen["end"] == "deleted")


def has_run_out(coordinator: stayline.Coordinator, ticket: str) -> bool:
    try:
        coordinator.verify_ticket(SESSION, ticket)
    except stayline.Unauthorized:
        return True
    return False
