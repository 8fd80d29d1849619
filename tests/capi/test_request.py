"""What a request asks for is read by the library, for hosts with sockets of their own (C, C++)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import PATIENCE, Compile
from test_valgrind import VALGRIND

SOURCE = Path(__file__).with_name("request.cpp")
PRINTED = """\
ingest user_1:a b q -
stream s key t
events s - -
other - - -
refused 400 invalid argument: the path's part "%ff" is no UTF-8 when it is decoded
refused 400 invalid argument: the query's parameter "token=…" is no UTF-8 when it is decoded
refused 401 unauthorized
refused 401 unauthorized
acknowledged 0
acknowledged 1
refused 400 invalid argument: protocol 2 needs producer and attempt in the query
all wrapper_reconnected
rest error
c 100 100 0 100
"""


@pytest.mark.parametrize("way", ["plain", "sanitized", "valgrind"])
def test_requests_are_read_as_the_server_does(compile: Compile, way: str) -> None:
    flags = ["-fsanitize=address,undefined"] if way == "sanitized" else []
    program = compile(SOURCE, language="c++", flags=flags)
    around = [*VALGRIND, "--quiet"] if way == "valgrind" else []
    ended = subprocess.run(
        [*around, program], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == PRINTED
