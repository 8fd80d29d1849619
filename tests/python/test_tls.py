"""TLS from end to end: the server, wrappers, readers and the command line, each in a process that
trusts what `SSL_CERT_FILE` names."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import stayline
from command import PATIENCE, QUICK, begin, call, environment, finish, line_of, serving
from proxy import CuttingProxy
from stayline import aio

CERTIFICATES = Path(__file__).parents[2] / "core" / "tests" / "net" / "certificates"
SERVER: dict[str, Any] = {
    "tls_certificate": CERTIFICATES / "server.pem",
    "tls_key": CERTIFICATES / "server.key",
}
TLS = [
    *("--tls-certificate", str(CERTIFICATES / "server.pem")),
    *("--tls-key", str(CERTIFICATES / "server.key")),
]
TRUST = {"SSL_CERT_FILE": str(CERTIFICATES / "authority.pem")}


def trusting(tmp_path: Path, source: str, **changes: str) -> str:
    """Runs a script with the tests' authority trusted; what it printed."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(source))
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(script), str(CERTIFICATES)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=tmp_path,
        env=environment(**TRUST, **changes),
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_run_goes_over_tls(tmp_path: Path) -> None:
    printed = trusting(
        tmp_path,
        """
        import sys
        import urllib.request

        import stayline

        folder = sys.argv[1]
        with stayline.Coordinator("memory:") as coordinator:
            server = coordinator.serve(
                "localhost:0",
                tls_certificate=f"{folder}/server.pem",
                tls_key=f"{folder}/server.key",
            )
            assert server.url.startswith("https://localhost:"), server.url
            session = coordinator.session("s")
            execution = session.start()
            with stayline.Wrapper(
                server.url, session_id="s", execution_id=execution.id, token=execution.token
            ) as wrapper:
                wrapper.send("output", {"text": "hi"})
                print(wrapper.complete().status)
            print([event.type for event in session.events()])
            with urllib.request.urlopen(f"{server.url}/health", timeout=20) as answer:
                print(answer.read().decode())
        """,
    )
    assert printed.split("\n")[:3] == ["completed", "['output', 'complete']", '{"status":"ok"}']


def test_a_run_goes_over_tls_on_an_event_loop(tmp_path: Path) -> None:
    printed = trusting(
        tmp_path,
        """
        import asyncio
        import sys
        from pathlib import Path

        from stayline import aio

        folder = Path(sys.argv[1])


        async def main():
            async with aio.Coordinator("memory:") as coordinator:
                async with coordinator.serve(
                    tls_certificate=folder / "server.pem", tls_key=folder / "server.key"
                ) as server:
                    execution = await coordinator.session("s").start()
                    async with aio.Wrapper(
                        server.url, session_id="s", execution_id=execution.id, token=execution.token
                    ) as wrapper:
                        await wrapper.send("output", {"text": "hi"})
                        print((await wrapper.complete()).status)


        asyncio.run(main())
        """,
    )
    assert printed == "completed\n"


def renew(folder: Path, name: str) -> dict[str, Any]:
    """Puts a certificate and its key there, as tools of renewal do; how to serve them."""
    for suffix in (".pem", ".key"):
        new = folder / "new"
        new.write_bytes((CERTIFICATES / name).with_suffix(suffix).read_bytes())
        new.rename(folder / f"served{suffix}")
    return {"tls_certificate": folder / "served.pem", "tls_key": folder / "served.key"}


def served_at(address: str) -> str:
    host, port = address.rsplit(":", 1)
    return ssl.get_server_certificate((host, int(port))).strip()


def test_a_new_certificate_is_taken_up_when_it_is_asked_for(tmp_path: Path) -> None:
    with (
        stayline.Coordinator("memory:") as coordinator,
        coordinator.serve(**renew(tmp_path, "server")) as server,
    ):
        first = served_at(server.address)
        renew(tmp_path, "other")
        assert served_at(server.address) == first
        server.reload_tls()
        second = served_at(server.address)
        assert second != first
        (tmp_path / "served.key").write_text("nothing")
        with pytest.raises(stayline.InvalidArgument, match=r"served\.key"):
            server.reload_tls()
        assert served_at(server.address) == second


def test_a_new_certificate_is_taken_up_on_an_event_loop(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            aio.Coordinator("memory:") as coordinator,
            coordinator.serve(**renew(tmp_path, "server")) as server,
        ):
            first = await asyncio.to_thread(served_at, server.address)
            renew(tmp_path, "other")
            await server.reload_tls()
            assert await asyncio.to_thread(served_at, server.address) != first

    asyncio.run(main())


def test_a_server_without_a_certificate_has_none_to_read_anew() -> None:
    with stayline.Coordinator("memory:") as coordinator, coordinator.serve() as server:
        with pytest.raises(stayline.InvalidArgument, match="no TLS"):
            server.reload_tls()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"tls_certificate": CERTIFICATES / "server.pem"}, "tls_certificate needs tls_key"),
        ({"tls_key": CERTIFICATES / "server.key"}, "tls_key needs tls_certificate"),
        ({**SERVER, "tls_key": CERTIFICATES / "other.key"}, "other.key.* does not belong to"),
        ({**SERVER, "tls_certificate": CERTIFICATES / "none.pem"}, "cannot read .*none.pem"),
        ({**SERVER, "tls_key": CERTIFICATES / "server.pem"}, "no PRIVATE KEY section"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_served(
    arguments: dict[str, Any], told: str
) -> None:
    with stayline.Coordinator("memory:") as coordinator:
        with pytest.raises(stayline.InvalidArgument, match=told):
            coordinator.serve(**arguments)
        # The one that did not come about holds nothing.
        coordinator.serve(**SERVER).close()


def test_a_wrapper_that_does_not_trust_the_certificate_says_so() -> None:
    with stayline.Coordinator("memory:") as coordinator, coordinator.serve(**SERVER) as server:
        execution = coordinator.session("s").start()
        wrapper = stayline.Wrapper(
            server.url, session_id="s", execution_id=execution.id, token=execution.token
        )
        with pytest.raises(stayline.Disconnected, match="SSL_CERT_FILE"), wrapper:
            pytest.fail("it connected")


# --- the command line -----------------------------------------------------------------------------


def test_every_command_goes_over_tls(tmp_path: Path) -> None:
    with serving(tmp_path, *TLS, "--listen", "localhost:0") as url:
        assert url.startswith("https://localhost:")
        ran = call(tmp_path, "run", "--to", url, "--session", "s", "--", "echo", "hi", **TRUST)
        assert (ran.returncode, ran.stdout) == (0, b"hi\n"), ran.stderr
        assert b"completed" in call(tmp_path, "runs", "--to", url, **TRUST).stdout
        events = call(tmp_path, "events", "s", "--to", url, **TRUST)
        assert [line.split()[2] for line in events.stdout.splitlines()] == [b"output", b"complete"]
        watched = call(tmp_path, "watch", "s", "--until-end", "--to", url, **TRUST)
        assert watched.returncode == 0, watched.stderr
        assert b"complete" in watched.stdout
        program = begin(
            tmp_path,
            *("run", "--to", url, "--session", "t", "--", "sh", "-c", "echo on; exec sleep 60"),
            **TRUST,
        )
        assert line_of(program) == "on"
        # Nothing but the file is named: its owner is found there, and by a name that is right.
        stopped = call(tmp_path, "fail", "t", "-m", "no more", **TRUST)
        assert stopped.returncode == 0, stopped.stderr
        assert "failed" in finish(program)[2]


def test_a_run_comes_back_after_cuts(tmp_path: Path) -> None:
    with serving(tmp_path, *TLS) as url:
        proxy = CuttingProxy(url.removeprefix("https://"))
        try:
            address = proxy.url.replace("http://", "https://")
            lines = "i=0; while [ $i -lt 400 ]; do echo $i; i=$((i+1)); done; read go; echo end"
            program = begin(
                tmp_path,
                *("run", "--to", address, "--session", "s", *QUICK, "--", "sh", "-c", lines),
                **TRUST,
            )
            while line_of(program) != "399":
                pass
            assert proxy.cut() > 0
            assert program.stdin is not None
            program.stdin.write(b"\n")
            code, _, err = finish(program)
        finally:
            proxy.close()
        assert code == 0, err
        assert "401 events, 1 reconnect" in err
        told = call(tmp_path, "events", "s", "--types", "output", "--to", url, **TRUST).stdout
        words = [line.split()[3].decode() for line in told.splitlines()]
        assert words == [*map(str, range(400)), "end"]


def test_a_reader_that_does_not_trust_the_certificate_says_what_to_do(tmp_path: Path) -> None:
    with serving(tmp_path, *TLS) as url:
        for command in (["runs"], ["events", "s"], ["watch", "s"], ["run", "--", "true"]):
            name, *rest = command
            answer = call(tmp_path, name, "--to", url, *rest)
            assert answer.returncode == 1
            assert b"SSL_CERT_FILE" in answer.stderr
            assert answer.stderr.count(b"\n") == 1


def test_who_mistakes_the_scheme_is_told(tmp_path: Path) -> None:
    with serving(tmp_path, *TLS) as url:
        answer = call(tmp_path, "runs", "--to", url.replace("https://", "http://"))
        assert (answer.returncode, answer.stderr.count(b"\n")) == (1, 1)
        assert b"https://" in answer.stderr.replace(url.encode(), b"")
    with serving(tmp_path) as url:
        answer = call(tmp_path, "runs", "--to", url.replace("http://", "https://"), **TRUST)
        assert (answer.returncode, answer.stderr.count(b"\n")) == (1, 1)
        assert b"does not speak TLS" in answer.stderr


def test_serve_says_where_it_is_and_what_is_wrong(tmp_path: Path) -> None:
    process = begin(tmp_path, "serve", "--listen", "127.0.0.1:0", *TLS)
    banner = []
    while not (banner and banner[-1].startswith("Ctrl-C")):
        banner.append(line_of(process))
    process.terminate()
    finish(process)
    found = re.search(r"https://127\.0\.0\.1:(\d+)$", banner[0])
    assert found is not None, banner
    assert not [line for line in banner if "http://" in line]
    assert any(line.startswith("  TLS ") and "server.pem" in line for line in banner)
    other = str(CERTIFICATES / "other.key")
    for wrong, told in [
        (["--tls-key", other], "--tls-key needs --tls-certificate"),
        (TLS[:2], "--tls-certificate needs --tls-key"),
        ([*TLS[:2], "--tls-key", other], "does not belong to"),
        (["--tls-certificate", "none.pem", *TLS[2:]], "none.pem"),
    ]:
        answer = call(tmp_path, "serve", "--listen", "127.0.0.1:0", *wrong)
        assert (answer.returncode, answer.stderr.count(b"\n")) == (2, 1), answer.stderr
        assert told in answer.stderr.decode()


def test_plain_http_sent_to_it_is_answered_and_nobody_waits(tmp_path: Path) -> None:
    with serving(tmp_path, *TLS) as url:
        port = int(url.rsplit(":", 1)[1])
        # Somebody who says nothing at all is there meanwhile.
        with (
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE),
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain,
        ):
            plain.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = plain.makefile("rb").read()
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert b"https://" in answer
            assert call(tmp_path, "runs", "--to", url, **TRUST).returncode == 0


def test_a_new_certificate_is_taken_up_at_sighup_and_a_broken_one_is_not(tmp_path: Path) -> None:
    files = renew(tmp_path, "server")
    options = ["--tls-certificate", str(files["tls_certificate"])]
    options += ["--tls-key", str(files["tls_key"])]
    process = begin(tmp_path, "serve", "--listen", "localhost:0", *options)
    try:
        first_line = line_of(process)
        found = re.search(r"localhost:(\d+)", first_line)
        assert found is not None, first_line

        def served() -> str:
            return served_at(f"localhost:{found.group(1)}")

        def told(what: str) -> None:
            while what not in line_of(process):
                pass

        told("Ctrl-C")
        first = served()
        renew(tmp_path, "other")
        process.send_signal(signal.SIGHUP)
        told("read anew")
        second = served()
        assert second != first
        (tmp_path / "served.key").write_text("nothing")
        process.send_signal(signal.SIGHUP)
        assert process.stderr is not None
        assert b"served on" in process.stderr.readline()
        assert served() == second
    finally:
        process.terminate()
        finish(process)


def test_a_server_whose_news_nobody_reads_any_more_goes_on(tmp_path: Path) -> None:
    process = begin(tmp_path, "serve", "--listen", "localhost:0", *TLS)
    try:
        found = re.search(r"https://\S+", line_of(process))
        assert found is not None
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGHUP)
        for _ in range(3):
            assert call(tmp_path, "runs", "--to", found.group(), **TRUST).returncode == 0
    finally:
        process.terminate()
    assert finish(process)[0] == 0
