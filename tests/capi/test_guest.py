"""A C host keeps its signals: they come to its own threads, and nothing of ours raises SIGPIPE."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import PATIENCE, ROOT, Compile

CERTIFICATES = ROOT / "core" / "tests" / "net" / "certificates"
AUTHORITY = CERTIFICATES / "authority.pem"
#: Raised by what a thread does itself; the host's handler for crashes hears of them.
FAULTS = {
    *(signal.SIGBUS, signal.SIGFPE, signal.SIGILL),
    *(signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP),
}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


class Guest:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.url = process.stdout.readline().strip()

    def ask(self, word: str) -> list[str]:
        """What it prints before its `ok`."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        lines: list[str] = []
        for line in self.process.stdout:
            if line == "ok\n":
                return lines
            lines.append(line.rstrip("\n"))
        raise AssertionError(f"{word}: it ended with {self.process.wait(PATIENCE)}")

    def visit(self, requests: bytes) -> None:
        """Asks for something, and leaves as soon as nothing more comes."""
        address = urlsplit(self.url)
        peer: socket.socket = socket.create_connection(("localhost", address.port or 0), PATIENCE)
        if address.scheme == "https":
            context = ssl.create_default_context(cafile=str(AUTHORITY))
            peer = context.wrap_socket(peer, server_hostname="localhost")
        peer.sendall(requests)
        assert peer.recv(65_536)
        peer.settimeout(0.05)
        try:
            while peer.recv(65_536):
                pass
        except OSError:
            pass
        peer.close()


@contextmanager
def guest(compile: Compile, folder: Path, *tls: Path) -> Iterator[Guest]:
    program = compile("tests/capi/guest.c", flags=["-pthread"])
    process = subprocess.Popen(
        [program, folder / "runs.db", *tls],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "SSL_CERT_FILE": str(AUTHORITY)},
    )
    try:
        yield Guest(process)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("tls", [False, True])
def test_signals_are_the_hosts(compile: Compile, tmp_path: Path, tls: bool) -> None:
    stream = b"GET /sessions/s/events?replay=false HTTP/1.1\r\nHost: localhost\r\n\r\n"
    behind = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    files = [CERTIFICATES / "server.pem", CERTIFICATES / "server.key"] if tls else []
    with guest(compile, tmp_path, *files) as host:
        for turn in range(8):
            # A request behind a stream that does not end, as pipelining clients send it.
            host.visit(stream + (behind if turn % 2 else b""))
            host.ask("say")
            host.ask("take")
        host.ask("stop")
        names = set()
        for line in host.ask("threads"):
            name, blocked, pending = line.rsplit(" ", 2)
            names.add(name)
            for number in signal.valid_signals() - FAULTS - {signal.SIGKILL, signal.SIGSTOP}:
                bit = 1 << (number - 1)
                assert int(blocked, 16) & bit, (name, number)
                assert not int(pending, 16) & bit, (name, number)
        assert {"stayline", "stayline-net", "stayline-kill", "stayline-work"} <= names


UNLOADED = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stayline.h>
#include <stdio.h>
#include <time.h>
int main(int count, char **arguments)
{
    const struct timespec pause = {.tv_nsec = 300000000};
    void *library = dlopen(arguments[1], RTLD_NOW);
    stayline_status (*open)(stayline_view, const stayline_coordinator_options *,
                            stayline_coordinator **, stayline_error **);
    stayline_status (*serve)(stayline_coordinator *, stayline_view, const stayline_server_options *,
                             stayline_server **, stayline_error **);
    void (*stop)(stayline_server *);
    void (*drop)(stayline_coordinator *);
    stayline_view memory = {"memory:", 7}, address = {"127.0.0.1:0", 11};
    stayline_coordinator *coordinator;
    stayline_server *server;
    if (count != 2 || library == NULL)
        return 2;
    *(void **)&open = dlsym(library, "stayline_coordinator_open");
    *(void **)&serve = dlsym(library, "stayline_coordinator_serve");
    *(void **)&stop = dlsym(library, "stayline_server_free");
    *(void **)&drop = dlsym(library, "stayline_coordinator_free");
    if (open(memory, NULL, &coordinator, NULL) != 0)
        return 3;
    if (serve(coordinator, address, NULL, &server, NULL) != 0)
        return 3;
    stop(server);
    drop(coordinator);
    if (dlclose(library) != 0)
        return 4;
    nanosleep(&pause, NULL);
    printf("alive\n");
    return 0;
}
"""


def test_a_host_that_unloads_the_library_lives_on(
    compile: Compile, prefix: Path, libdir: Path, tmp_path: Path
) -> None:
    source = tmp_path / "unloaded.c"
    source.write_text(UNLOADED)
    # Not linked with it, or it would never be unloaded.
    flags = [f"-I{prefix}/include", "-Wno-pedantic"]
    program = compile(source, flags=flags, packages=())
    ended = subprocess.run(
        [program, libdir / "libstayline.so"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert (ended.returncode, ended.stdout) == (0, "alive\n"), ended.stderr
