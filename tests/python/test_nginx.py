"""`docs/nginx.md`: its configuration in a real nginx, but for ports, files and times as it is."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import stayline
from command import environment
from conftest import PATIENCE, eventually, frame
from hosts import free_port
from proxy import CuttingProxy
from test_tls import CERTIFICATES, TRUST
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

PAGE = Path(__file__).parents[2] / "docs" / "nginx.md"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
SESSION = "user_1/agent:1"
PATH = f"/sessions/{quote(SESSION, safe='')}"
KEY = "secret"
TRUSTING = ssl.create_default_context(cafile=str(CERTIFICATES / "authority.pem"))

pytestmark = [
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed: apt-get install nginx"),
    pytest.mark.timeout(120),
]


class Nginx:
    """One with the page's configuration, before a server that listens at `behind`."""

    def __init__(self, folder: Path, behind: str, *, seconds: int = 60) -> None:
        self._folder, self._behind, self._seconds = folder, behind, seconds
        self.port = free_port()
        self.url = f"https://localhost:{self.port}/stayline"
        self.log = folder / "access.log"

    def __enter__(self) -> Nginx:
        assert NGINX is not None
        configuration = self._folder / "nginx.conf"
        configuration.write_text(self._configuration())
        errors = self._folder / "error.log"
        # One process, in the foreground, with the rights that the test has.
        globally = f"daemon off; master_process off; pid {self._folder}/nginx.pid;"
        command = [NGINX, "-p", str(self._folder), "-c", str(configuration), "-e", str(errors)]
        self._process = subprocess.Popen(
            [*command, "-g", globally], stderr=subprocess.PIPE, text=True
        )

        def answers() -> bool:
            assert self._process.poll() is None, (self._process.communicate(), errors.read_text())
            try:
                with asked("GET", f"{self.url}/health"):
                    return True
            except OSError:
                return False

        try:
            eventually(answers)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=PATIENCE)

    def _configuration(self) -> str:
        (text,) = re.findall(r"^```nginx\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
        temporary = "".join(
            f"    {kind}_temp_path {self._folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")
        )
        for there, here in (
            ("server 127.0.0.1:8787;", f"server {self._behind};"),
            ("listen 443 ssl http2;", f"listen 127.0.0.1:{self.port} ssl http2;"),
            ("server_name runs.example.org;", "server_name localhost;"),
            ("/etc/ssl/runs.example.org.pem", str(CERTIFICATES / "server.pem")),
            ("/etc/ssl/runs.example.org.key", str(CERTIFICATES / "server.key")),
            ("/var/log/nginx/stayline.log", str(self.log)),
            ("http {\n", f"http {{\n{temporary}"),
            ("proxy_read_timeout 60s;", f"proxy_read_timeout {self._seconds}s;"),
            ("proxy_send_timeout 60s;", f"proxy_send_timeout {self._seconds}s;"),
            ("send_timeout 60s;\n        }", f"send_timeout {self._seconds}s;\n        }}"),
        ):
            assert text.count(there) == 1, there
            text = text.replace(there, here)
        return text


def asked(method: str, url: str, body: object = None, **headers: str) -> http.client.HTTPResponse:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    request.add_header("Authorization", f"Bearer {KEY}")
    answer: http.client.HTTPResponse = urllib.request.urlopen(
        request, timeout=PATIENCE, context=TRUSTING
    )
    return answer


def told(method: str, url: str, body: object = None) -> Any:
    with asked(method, url, body) as answer:
        return json.load(answer)


def ticket(nginx: Nginx) -> str:
    given: str = told("POST", f"{nginx.url}{PATH}/ticket")["ticket"]
    return given


def opened(nginx: Nginx, name: str, query: str, **options: Any) -> ClientConnection:
    url = nginx.url.replace("https", "wss", 1)
    return connect(
        f"{url}{PATH}/{name}?{query}",
        ssl=TRUSTING,
        proxy=None,
        open_timeout=PATIENCE,
        # Only the server's pings keep what is silent.
        ping_interval=None,
        **options,
    )


@contextmanager
def serving(
    coordinator: stayline.Coordinator, address: str = "127.0.0.1:0", **options: Any
) -> Iterator[tuple[stayline.Server, str]]:
    """The server that the page asks for, and where it listens."""
    with coordinator.serve(address, base_path="/stayline", key=KEY, **options) as server:
        yield server, server.url.removeprefix("http://").removesuffix("/stayline")


@pytest.fixture
def nginx(coordinator: stayline.Coordinator, tmp_path: Path) -> Iterator[Nginx]:
    with serving(coordinator) as (_, address), Nginx(tmp_path, address) as nginx:
        yield nginx


def test_rest_with_its_ids_bodies_and_errors(
    coordinator: stayline.Coordinator, nginx: Nginx
) -> None:
    started = told("POST", f"{nginx.url}{PATH}/executions", {"executionId": "e"})
    assert started["executionId"] == "e"
    assert told("GET", f"{nginx.url}{PATH}")["sessionId"] == SESSION
    # Larger than nginx lets through unless it is told, and within the server's bound.
    body = {"message": "x" * 1_500_000}
    assert told("POST", f"{nginx.url}{PATH}/executions/e/fail", body) == {"failed": True}
    # What is too much is said by the server.
    body = {"message": "x" * 2_500_000}
    with pytest.raises(urllib.error.HTTPError) as refused:
        asked("POST", f"{nginx.url}{PATH}/executions/e/fail", body)
    with refused.value as answer:
        assert answer.code == 413
        assert json.load(answer)["limit"] == "max_body_bytes"
    with pytest.raises(urllib.error.HTTPError) as refused:
        asked("GET", f"{nginx.url}/sessions/nobody")
    with refused.value as answer:
        assert (answer.code, json.load(answer)["error"]) == (404, "NotFound")
    # Tickets are not in nginx's log.
    given = ticket(nginx)
    asked("GET", f"{nginx.url}{PATH}/events?ticket={given}").close()
    eventually(lambda: "/events" in nginx.log.read_text())
    assert given not in nginx.log.read_text()


def test_connections_to_the_server_are_kept(
    coordinator: stayline.Coordinator, tmp_path: Path
) -> None:
    coordinator.session(SESSION).start()
    with (
        serving(coordinator) as (_, address),
        CuttingProxy(address) as between,
        Nginx(tmp_path, between.url.removeprefix("http://")) as nginx,
    ):
        for _ in range(20):
            assert told("GET", f"{nginx.url}{PATH}")["sessionId"] == SESSION
        assert between.accepted == 1


def test_both_kinds_of_streams_tell_at_once(
    coordinator: stayline.Coordinator, nginx: Nginx
) -> None:
    session = coordinator.session(SESSION)
    session.start("e")
    with (
        session.attach("e", trusted=True) as link,
        opened(nginx, "stream", f"ticket={ticket(nginx)}") as client,
        asked("GET", f"{nginx.url}{PATH}/events?ticket={ticket(nginx)}") as answer,
    ):
        assert answer.headers["Content-Type"] == "text/event-stream"
        records = (json.loads(line[6:]) for line in answer if line.startswith(b"data: "))
        assert next(records)["streamEventType"] == "connected"
        assert json.loads(client.recv(timeout=PATIENCE))["streamEventType"] == "connected"
        # The streams are open: what is held back until there is more would never come.
        for n in range(3):
            link.receive(frame("output", {"n": n}))
            assert next(records)["data"] == {"n": n}
            assert json.loads(client.recv(timeout=PATIENCE))["data"] == {"n": n}


def speaks_http2(curl: str) -> bool:
    return "HTTP2" in subprocess.run([curl, "-V"], capture_output=True, text=True).stdout


def test_a_page_reads_by_http2(coordinator: stayline.Coordinator, nginx: Nginx) -> None:
    """As browsers do: `Host` is made of what HTTP/2 has in its place."""
    curl = shutil.which("curl")
    if curl is None or not speaks_http2(curl):
        pytest.skip("there is no curl that speaks HTTP/2: apt-get install curl")
    coordinator.session(SESSION).start("e")
    command = [curl, "--http2", "--no-buffer", "--silent", "--show-error", "--include"]
    trusting = ["--cacert", str(CERTIFICATES / "authority.pem"), "--noproxy", "*"]
    page = ["--header", f"Origin: https://localhost:{nginx.port}"]
    url = f"{nginx.url}{PATH}/events?ticket={ticket(nginx)}"
    reader = subprocess.Popen(
        [*command, *trusting, *page, url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        assert reader.stdout is not None
        assert reader.stdout.readline().startswith(b"HTTP/2 200")
        assert any(b"connected" in line for line in reader.stdout)
        coordinator.session(SESSION).fail("e", "enough")
        assert any(b"enough" in line for line in reader.stdout)
    finally:
        reader.kill()
        reader.communicate()


@pytest.mark.parametrize("kept", [True, False], ids=["pinged", "not-pinged"])
def test_silence_is_kept_alive_by_the_servers_pings(tmp_path: Path, kept: bool) -> None:
    """Of streams and links. Without pings nginx does end them: its time is what was set."""
    patience = 2
    settings = stayline.Settings(ping_interval_ms=400 if kept else 10_000)
    with (
        stayline.Coordinator("memory:", settings=settings) as coordinator,
        serving(coordinator) as (_, address),
        Nginx(tmp_path, address, seconds=patience) as nginx,
    ):
        session = coordinator.session(SESSION)
        token = session.start("e").token
        query = f"ticket={ticket(nginx)}"
        with (
            opened(nginx, "stream", query) as client,
            opened(nginx, "ingest", f"executionId=e&token={token}") as link,
            asked("GET", f"{nginx.url}{PATH}/events?{query}") as answer,
        ):
            assert "connected" in client.recv(timeout=PATIENCE)
            if not kept:
                assert b"connected" in answer.readline()
                for silent in (client, link):
                    with pytest.raises(ConnectionClosed):
                        silent.recv(timeout=PATIENCE)
                with pytest.raises(http.client.IncompleteRead):
                    answer.read()
                return
            time.sleep(2.5 * patience)
            link.send(frame("output", {"n": 1}))
            assert json.loads(client.recv(timeout=PATIENCE))["data"] == {"n": 1}
            records = (json.loads(line[6:]) for line in answer if line.startswith(b"data: "))
            assert [next(records)["streamEventType"] for _ in range(2)] == ["connected", "output"]


def test_refusals_and_origins_pass_as_they_are(
    coordinator: stayline.Coordinator, tmp_path: Path
) -> None:
    coordinator.session(SESSION).start("e")
    answers = {"later": None, "no": False, "yes": True}
    allowed = ["https://dash.example.org"]
    with (
        serving(
            coordinator,
            authorize=lambda _session, _execution, bearer: answers[bearer or ""],
            allowed_origins=allowed,
        ) as (_, address),
        Nginx(tmp_path, address) as nginx,
    ):

        def refused(name: str, query: str, **options: Any) -> tuple[int, Any]:
            with pytest.raises(InvalidStatus) as answer:
                opened(nginx, name, query, **options)
            return answer.value.response.status_code, answer.value.response.headers

        status, headers = refused("ingest", "executionId=e&token=later")
        assert (status, headers["Retry-After"]) == (503, "1")
        assert "Stayline-Refusal" not in headers
        status, headers = refused("ingest", "executionId=e&token=no")
        assert (status, headers["Stayline-Refusal"]) == (401, "unauthorized")
        given = f"ticket={ticket(nginx)}"
        for origin in (f"https://localhost:{nginx.port}", *allowed):
            with opened(nginx, "stream", given, origin=origin) as client:
                assert "connected" in client.recv(timeout=PATIENCE)
        for origin in ("https://evil.example", "https://localhost:1"):
            assert refused("stream", given, origin=origin)[0] == 403
        preflight = {"Origin": allowed[0], "Access-Control-Request-Method": "GET"}
        with asked("OPTIONS", f"{nginx.url}{PATH}/events", **preflight) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == allowed[0]


WRAPPER = """
import sys
import stayline

url, token = sys.argv[1:]
settings = stayline.Settings(reconnect_base_ms=20, reconnect_cap_ms=100, jitter=0.0)
with stayline.Wrapper(
    url, session_id="user_1/agent:1", execution_id="e", token=token, settings=settings
) as wrapper:
    for n, _ in enumerate(sys.stdin):
        wrapper.send("output", {"n": n})
        print("sent", flush=True)
    print(wrapper.complete().status, wrapper.reconnects, flush=True)
"""


def test_a_wrapper_goes_on_behind_a_cut_and_a_restart(tmp_path: Path) -> None:
    """Between it and nginx, and between nginx and the server, which is another one afterwards."""
    settings = stayline.Settings(disconnect_grace_ms=60_000)
    with stayline.Coordinator(f"sqlite:{tmp_path / 'runs.db'}", settings=settings) as coordinator:
        session = coordinator.session(SESSION)
        token = session.start("e").token
        with serving(coordinator) as (server, address), Nginx(tmp_path, address) as nginx:
            with CuttingProxy(f"127.0.0.1:{nginx.port}") as network:
                url = network.url.replace("http://127.0.0.1", "https://localhost") + "/stayline"
                wrapper = subprocess.Popen(
                    [sys.executable, "-W", "error", "-c", WRAPPER, url, token],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env=environment(**TRUST),
                )
                assert wrapper.stdin is not None
                assert wrapper.stdout is not None

                def send(count: int) -> None:
                    for _ in range(count):
                        wrapper.stdin.write("\n")
                    wrapper.stdin.flush()
                    for _ in range(count):
                        assert wrapper.stdout.readline() == "sent\n"

                try:
                    send(5)
                    eventually(lambda: session.count_events() == 5)
                    eventually(network.cut)
                    send(5)
                    eventually(lambda: session.count_events(types=["output"]) == 10)
                    server.close()
                    send(5)
                    with serving(coordinator, address):
                        status, reconnects = wrapper.communicate(timeout=PATIENCE)[0].split()
                    assert status == "completed"
                    assert int(reconnects) >= 2
                finally:
                    wrapper.kill()
                    wrapper.communicate()
        outputs = [event.data["n"] for event in session.events(types=["output"])]
        assert outputs == list(range(15))


def test_the_command_line_reports_through_it(tmp_path: Path) -> None:
    """`stayline serve` as the page starts it, and `stayline run --to`."""
    stayline_command = [sys.executable, "-W", "error", "-m", "stayline"]
    page = PAGE.read_text()
    words = re.search(r"^stayline serve (.*?)\n```", page, re.M | re.S)
    assert words is not None
    key_file = tmp_path / "key"
    key_file.write_text(f"{KEY}\n")
    arguments = words.group(1).replace("\\\n", " ").split()
    for there, here in (("127.0.0.1:8787", "127.0.0.1:0"), ("/etc/stayline/key", str(key_file))):
        arguments[arguments.index(there)] = here
    served = subprocess.Popen(
        [*stayline_command, "serve", *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert served.stdout is not None
        address = re.search(r"http://(\S+)/stayline", served.stdout.readline())
        assert address is not None
        with Nginx(tmp_path, address.group(1)) as nginx:
            run = [*stayline_command, "run", "--to", nginx.url, "--key-file", str(key_file)]
            told_by = subprocess.run(
                [*run, "--session", SESSION, "--", "echo", "hello"],
                capture_output=True,
                text=True,
                cwd=tmp_path,
                env=environment(**TRUST),
                timeout=PATIENCE,
            )
            assert told_by.returncode == 0, told_by.stderr
            (execution,) = told("GET", f"{nginx.url}{PATH}/executions")["executions"]
            assert (execution["status"], execution["exitCode"]) == ("completed", 0)
            # An authority that is not trusted is not taken.
            untrusting = subprocess.run(
                [*run, "--", "true"],
                capture_output=True,
                text=True,
                cwd=tmp_path,
                env=environment(SSL_CERT_FILE=""),
                timeout=PATIENCE,
            )
            assert untrusting.returncode != 0
            assert "certificate" in untrusting.stderr
    finally:
        served.terminate()
        served.communicate(timeout=PATIENCE)
