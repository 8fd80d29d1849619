"""TLS from C: served with a certificate, reached by a wrapper that trusts its authority."""

from __future__ import annotations

import os
import subprocess

import pytest
from conftest import PATIENCE, ROOT, Compile

CERTIFICATES = ROOT / "core" / "tests" / "net" / "certificates"


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_run_over_tls(compile: Compile, compiler: str) -> None:
    program = compile("tests/capi/tls.c", compiler=compiler)
    ended = subprocess.run(
        [program, CERTIFICATES / "server.pem", CERTIFICATES / "server.key"],
        env={**os.environ, "SSL_CERT_FILE": str(CERTIFICATES / "authority.pem")},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [
        "invalid argument: tls_certificate needs tls_key",
        "invalid argument: tls_key needs tls_certificate",
        "https://localhost",
        "completed",
    ]
