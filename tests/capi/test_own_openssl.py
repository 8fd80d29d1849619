"""A C host with an OpenSSL and an SQLite of its own beside the library: each keeps to its own,
whichever the loader finds first."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from conftest import BUILD_PATIENCE, PATIENCE, ROOT, Compile, run_pkg_config

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into ELF files")

SOURCE = "tests/capi/own_openssl.c"
CERTIFICATES = ROOT / "core" / "tests" / "net" / "certificates"
OWN = ("openssl", "sqlite3")
# Older C libraries have threads and dlsym in libraries of their own.
FLAGS = ("-pthread", "-ldl")
VALGRIND = (
    "valgrind",
    "--error-exitcode=9",
    "--leak-check=full",
    # What a wrapper trusts, and the tickets for its next connections, stay until the process ends;
    # they are only "possibly" lost, because a hash table points into the middle of its memory.
    "--errors-for-leak-kinds=definite",
    "--num-callers=40",
)

# Valgrind takes the tags of AES-GCM, which ring computes in assembly, for uninitialised: the last
# 16 bytes of a record, also without any OpenSSL in the process. OpenSSL, at the other end here,
# finds every one of them right. Which part of a write they are varies, and has no pattern.
WRITTEN = """
{
   tags are written
   Memcheck:Param
   sendmsg(msg.msg_iov[%d])
   ...
   fun:*rustls*vecbuf*ChunkVecBuffer*write_to*
   ...
}
"""
COMPARED = """
{
   tags are compared
   Memcheck:Cond
   fun:*ring*bb*verify_slices_are_equal*
   ...
}
"""
SUPPRESSIONS = COMPARED + "".join(WRITTEN % part for part in range(64))

# A host that knows the library only at run time, and a part of it that was linked without.
LOADER = """
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

int main(int count, char **arguments)
{
    int (*run)(int, char **);
    void *library = dlopen(arguments[1], RTLD_NOW | RTLD_GLOBAL);
    void *part = library == NULL ? NULL : dlopen(arguments[2], RTLD_NOW | RTLD_LOCAL);
    void *found = part == NULL ? NULL : dlsym(part, "main");
    if (found == NULL) {
        fprintf(stderr, "%s\\n", dlerror());
        return 1;
    }
    memcpy(&run, &found, sizeof run); /* ISO C has no cast for it */
    return run(count - 2, arguments + 2);
}
"""


@pytest.mark.parametrize("preload", [False, True], ids=["", "preloaded"])
@pytest.mark.parametrize("packages", [("stayline", *OWN), (*OWN, "stayline")], ids=" ".join)
def test_a_host_with_its_own_openssl_and_sqlite(
    compile: Compile,
    libdir: Path,
    tmp_path: Path,
    pkg_config_environment: Mapping[str, str],
    packages: Sequence[str],
    preload: bool,
) -> None:
    program = compile(SOURCE, flags=FLAGS, packages=packages)
    assert needed(program) == list(packages)
    environment = {"LD_PRELOAD": str(libdir / "libstayline.so")} if preload else {}
    run([program], tmp_path, versions(pkg_config_environment), environment)


def test_a_host_that_loads_the_library(
    compile: Compile, libdir: Path, tmp_path: Path, pkg_config_environment: Mapping[str, str]
) -> None:
    part = compile(
        SOURCE,
        flags=[*FLAGS, "-shared", "-fPIC", f"-I{libdir.parent / 'include'}"],
        packages=OWN,
        output=tmp_path / "part.so",
    )
    assert needed(part) == list(OWN)
    source = tmp_path / "loader.c"
    source.write_text(LOADER)
    loader = compile(source, flags=FLAGS, packages=(), output=tmp_path / "loader")
    command = [loader, libdir / "libstayline.so", part]
    run(command, tmp_path, versions(pkg_config_environment))


def test_a_host_with_its_own_openssl_and_sqlite_under_valgrind(
    compile: Compile, tmp_path: Path, pkg_config_environment: Mapping[str, str]
) -> None:
    program = compile(SOURCE, flags=FLAGS, packages=("stayline", *OWN))
    log = tmp_path / "valgrind"
    suppressions = tmp_path / "suppressions"
    suppressions.write_text(SUPPRESSIONS)
    command: list[str | Path] = [*VALGRIND]
    command += [f"--suppressions={suppressions}", f"--log-file={log}", program]
    try:
        run(command, tmp_path, versions(pkg_config_environment), patience=BUILD_PATIENCE)
    finally:
        told = log.read_text() if log.exists() else ""
        print(told[:8000])  # which pytest shows of a test that failed
    assert "ERROR SUMMARY: 0 errors" in told


def run(
    command: Sequence[str | Path],
    folder: Path,
    versions: Sequence[str],
    environment: Mapping[str, str] | None = None,
    patience: float = PATIENCE,
) -> None:
    files = (CERTIFICATES / name for name in ("authority.pem", "server.pem", "server.key"))
    ended = subprocess.run(
        [*command, folder, *files],
        env={
            **os.environ,
            "SSL_CERT_FILE": str(CERTIFICATES / "authority.pem"),
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        timeout=patience,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = [re.sub(r"\.so.*", "", line) for line in ended.stdout.splitlines()]
    assert lines == [
        *versions,
        "SSL_connect: libssl",
        "EVP_DigestInit_ex: libcrypto",
        "sqlite3_open_v2: libsqlite3",
        "stayline_coordinator_open: libstayline",
        "without authority: unable to get local issuer certificate",
        'health: TLSv1.3, {"status":"ok"}',
        "by the library's TLS: completed, 20 events",
        "by the host's TLS: completed, 20 events",
        "of the host: 20 rows",
        "memory of the host's SQLite: 0",
        "relay: TLSv1.3, both ways",
    ]


def versions(environment: Mapping[str, str]) -> list[str]:
    """Of the host's OpenSSL and SQLite, as their packages say."""
    return [run_pkg_config([one], "--modversion", environment=environment)[0] for one in OWN]


def needed(program: Path) -> list[str]:
    """The packages whose libraries a program names, in the order in which it names them."""
    ended = subprocess.run(
        ["readelf", "-d", program], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    packages = {"ssl": "openssl", "sqlite3": "sqlite3", "stayline": "stayline"}
    names = re.findall(r"\(NEEDED\).*\[lib(\w+)\.", ended.stdout)
    return [packages[name] for name in names if name in packages]
