"""`docs/c.md` is true: its whole hosts print what it says, every piece of it compiles, and
`docs/parity.md` is what the sources of the four languages say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import stayline
from conftest import PATIENCE, ROOT, Compile
from test_valgrind import VALGRIND, environment

PAGE = (ROOT / "docs/c.md").read_text()
# Where the pieces stand in a reader's mind: what a host has, and what it does to its sockets.
AROUND = """\
#include <poll.h>
#include <stayline.h>
#include <stdio.h>
static void refuse(unsigned http_status, stayline_view refusal) {
    (void)http_status, (void)refusal;
}
static void accept(bool acknowledged) { (void)acknowledged; }
static void socket_send(stayline_view text) { (void)text; }
static void socket_close(unsigned code, stayline_view reason) { (void)code, (void)reason; }
static void perform(const stayline_action_info *info, const stayline_signal *signal) {
    (void)info, (void)signal;
}
static void wait_until(int64_t deadline_ms) { (void)deadline_ms; }
void piece(stayline_session *session, stayline_link *link, stayline_view target,
           stayline_view authorization, stayline_view protocol);
void piece(stayline_session *session, stayline_link *link, stayline_view target,
           stayline_view authorization, stayline_view protocol) {
(void)session, (void)link, (void)target, (void)authorization, (void)protocol;
{
%s
}
}
int main(void) {
    (void)refuse, (void)accept, (void)socket_send, (void)socket_close;
    (void)perform, (void)wait_until;
    return 0;
}
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.S | re.M)


def printed(program: Path, folder: Path) -> str:
    ended = subprocess.run([program], cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize(("language", "suffix"), [("c", "c"), ("c++", "cpp")])
def test_the_whole_host_prints_what_the_page_says(
    compile: Compile, compiler: str, language: str, suffix: str, tmp_path: Path
) -> None:
    source = blocks("c" if language == "c" else "cpp")[0]
    assert len(source.splitlines()) < 60
    path = tmp_path / f"host.{suffix}"
    path.write_text(source)
    program = compile(path, language=language, compiler=compiler)
    assert printed(program, tmp_path) == blocks("text")[0]


SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
UNDER_VALGRIND = [*VALGRIND, "--quiet"]
#: How a host may be built and run: with which flags, from the archive or not, under what.
WAYS: dict[str, tuple[list[str], bool, list[str]]] = {
    "plain": ([], False, []),
    "sanitized": (SANITIZERS, False, []),
    "valgrind": ([], False, UNDER_VALGRIND),
    "sanitized archive": (SANITIZERS, True, []),
    "archive under valgrind": ([], True, UNDER_VALGRIND),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("language", "suffix"), [("c", "c"), ("c++", "cpp")])
def test_the_whole_host_says_what_went_wrong(
    compile: Compile, language: str, suffix: str, way: str, tmp_path: Path
) -> None:
    flags, static, around = WAYS[way]
    path = tmp_path / f"host.{suffix}"
    path.write_text(blocks("c" if language == "c" else "cpp")[0])
    program = compile(path, language=language, flags=flags, static=static)

    def run(folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*around, program],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=environment(),
        )

    # First it goes well, then the store is somebody else's, then none at all.
    good = run(tmp_path)
    assert (good.returncode, good.stderr) == (0, "")
    with stayline.Coordinator(f"sqlite:{tmp_path / 'runs.db'}"):
        taken = run(tmp_path)
    assert (taken.returncode, taken.stdout) == (1, ""), taken.stderr
    assert "another coordinator owns this store" in taken.stderr
    assert taken.stderr.count("\n") == 1
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "runs.db").mkdir(parents=True)
    none = run(elsewhere)
    assert (none.returncode, none.stdout) == (1, ""), none.stderr
    assert "runs.db" in none.stderr
    assert none.stderr.count("\n") == 1


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_every_piece_compiles(compile: Compile, compiler: str, tmp_path: Path) -> None:
    pieces = blocks("c")[1:]
    assert len(pieces) >= 4
    for number, piece in enumerate(pieces):
        path = tmp_path / f"piece_{number}.c"
        path.write_text(AROUND % piece)
        compile(path, compiler=compiler)


def test_parity_is_what_the_sources_say() -> None:
    ended = subprocess.run(
        [sys.executable, ROOT / "tests/parity", "--check"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (ended.returncode, ended.stdout) == (0, "")
