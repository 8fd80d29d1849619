"""TLS from C: served with a certificate, reached by a wrapper that trusts its authority."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import PATIENCE, ROOT, Compile

CERTIFICATES = ROOT / "core" / "tests" / "net" / "certificates"


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_run_over_tls(compile: Compile, compiler: str, tmp_path: Path) -> None:
    program = compile("tests/capi/tls.c", compiler=compiler)
    files = ["server.pem", "server.key", "other.pem", "other.key"]
    for file in files:
        shutil.copy(CERTIFICATES / file, tmp_path)
    ended = subprocess.run(
        [program, *(tmp_path / file for file in files)],
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
        "InvalidArgument",
        "Ok",
    ]
