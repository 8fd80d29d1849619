"""What a guest leaves to its host: signals go to the host's threads, no write raises SIGPIPE, and
the host's own code finds the signals as it left them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command import PATIENCE, environment

CERTIFICATES = Path(__file__).parents[2] / "core" / "tests" / "net" / "certificates"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

#: Opens everything that has threads, over plain TCP or TLS, is left by peers in the middle, and
#: tells of each thread which signals are blocked and which are pending for it alone.
HOST = """
import asyncio, json, logging, os, signal, socket, ssl, subprocess, sys, threading, time
from pathlib import Path
from urllib.parse import urlsplit

import stayline
from stayline import aio

folder, certificates, tls = sys.argv[1:]
logging.basicConfig(level=logging.DEBUG, stream=open(os.devnull, "w"))
options = {}
if tls == "tls":
    options = {
        "tls_certificate": f"{certificates}/server.pem", "tls_key": f"{certificates}/server.key"
    }
blocked_in_hooks = []


def authorize(session_id, execution_id, bearer):
    blocked_in_hooks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    return True


def on_kill(kill):
    # What a hook starts must not be deaf to signals.
    status = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True).stdout
    blocked_in_hooks.append(status)


async def use_a_loop():
    async with aio.Coordinator("memory:") as coordinator:
        await coordinator.session("s").start("e")
        names.update(threads())


def threads():
    found = {}
    for task in Path("/proc/self/task").iterdir():
        if int(task.name) == os.getpid():
            continue
        try:
            status = dict(
                line.split(":", 1) for line in (task / "status").read_text().splitlines()
            )
        except OSError:
            continue
        found[task.name] = (
            status["Name"].strip(), int(status["SigBlk"], 16), int(status["SigPnd"], 16)
        )
    return found


def leave(requests, pause):
    plain = socket.create_connection(("localhost", port), timeout=20)
    if tls == "tls":
        context = ssl.create_default_context(cafile=f"{certificates}/authority.pem")
        peer = context.wrap_socket(plain, server_hostname="localhost")
    else:
        peer = plain
    peer.sendall(requests)
    time.sleep(pause)
    peer.settimeout(0.05)
    try:
        while peer.recv(65536):
            pass
    except OSError:
        pass
    peer.close()


names = {}
coordinator = stayline.Coordinator(f"sqlite:{folder}/runs.db")
session = coordinator.session("s")
execution = session.start("e")
server = coordinator.serve("localhost:0", authorize=authorize, **options)
port = urlsplit(server.url).port
wrapper = stayline.Wrapper(
    server.url, session_id="s", execution_id="e", token=execution.token
)
wrapper.on_kill(on_kill)
wrapper.wait_connected(timeout=20)
# One of ours in each place that can have one: a stream, a reader, the loop's pool.
stream = session.stream(timeout=0.1)
list(stream)
asyncio.run(use_a_loop())
get = b"GET /sessions/s/events?replay=false HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n"
health = b"GET /health HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n"
for turn in range(8):
    leave(get + (health if turn % 2 else b""), 0.02)
    for n in range(5):
        wrapper.send("output", {"text": "x" * 4_000})
        while wrapper.unacknowledged or wrapper.buffered:
            time.sleep(0.001)
        time.sleep(0.003)
names.update(threads())
session.interrupt()
while len(blocked_in_hooks) < 2:
    time.sleep(0.01)
names.update(threads())
wrapper.close()
coordinator.close()
mask = blocked_in_hooks[0]
status = dict(line.split(":", 1) for line in blocked_in_hooks[1].splitlines())
print(json.dumps({
    "threads": list(names.values()),
    "authorize": sorted(int(number) for number in mask),
    "child": int(status["SigBlk"], 16),
}))
"""


def told(tmp_path: Path, tls: str) -> dict[str, Any]:
    script = tmp_path / "host.py"
    script.write_text(HOST)
    trust = {"SSL_CERT_FILE": str(CERTIFICATES / "authority.pem")}
    ended = subprocess.run(
        [sys.executable, script, tmp_path, CERTIFICATES, tls],
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        env=environment(**trust),
    )
    assert ended.returncode == 0, ended.stderr
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


def bit(number: int) -> int:
    return 1 << (number - 1)


@pytest.mark.parametrize("tls", ["plain", "tls"])
def test_threads_of_ours_take_no_signal_and_raise_none(tmp_path: Path, tls: str) -> None:
    host = told(tmp_path, tls)
    kinds = {name for name, _, _ in host["threads"]}
    assert {"stayline", "stayline-net"} <= kinds, kinds
    assert len(host["threads"]) >= 8, kinds
    ours = signal.valid_signals() - {
        *(signal.SIGKILL, signal.SIGSTOP),
        # Raised by the thread itself; a host's handler for crashes hears of them.
        *(signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS),
        signal.SIGTRAP,
    }
    for name, blocked, pending in host["threads"]:
        open_ones = sorted(number for number in ours if not blocked & bit(number))
        assert not open_ones, (name, open_ones)
        assert not pending & bit(signal.SIGPIPE), f"a write of {name} raised SIGPIPE"
    # The host's own code, and what it starts, are as anywhere else in the host.
    assert host["authorize"] == []
    assert host["child"] == 0


def test_a_host_that_waits_for_its_signals_gets_them(tmp_path: Path) -> None:
    script = tmp_path / "host.py"
    script.write_text(
        """
import os, signal, sys
import stayline
coordinator = stayline.Coordinator("memory:")
session = coordinator.session("s")
server = coordinator.serve(authorize=lambda *_: True)
session.start("e")
wrapper = stayline.Wrapper(server.url, session_id="s", execution_id="e", token="t")
wrapper.on_kill(print)
wrapper.wait_connected(timeout=20)
taken = [signal.SIGUSR1, signal.SIGTERM, signal.SIGHUP]
signal.pthread_sigmask(signal.SIG_BLOCK, taken)
for turn in range(60):
    wrapper.send("output", {"n": turn})
    os.kill(os.getpid(), taken[turn % 3])
    assert signal.sigtimedwait(taken, 20).si_signo == taken[turn % 3]
print(wrapper.complete(timeout=20).status)
"""
    )
    ended = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        env=environment(),
    )
    assert (ended.returncode, ended.stdout) == (0, "completed\n"), ended.stderr
