"""A thousand children of a parent that opens, writes, serves and closes all the while: each opens a
store of its own, serves and has a whole run. In C and in Python. None may hang.

STAYLINE_FORKS says how many (default 1000 in each).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import stayline

ROOT = Path(__file__).parents[2]
CAPI = ROOT / "target" / "capi"
CHILDREN = int(os.environ.get("STAYLINE_FORKS", "1000"))
ABREAST = 4
CHILD_SECONDS = 120
LIMIT = 1_800


def whole_run(store: Path) -> None:
    with stayline.Coordinator(f"sqlite:{store}") as coordinator, coordinator.serve() as server:
        execution = coordinator.session("s").start()
        with stayline.Wrapper(
            server.url, session_id="s", execution_id=execution.id, token=execution.token
        ) as wrapper:
            assert wrapper.complete(0, timeout=60).status == "completed"


def work(store: Path, over: threading.Event) -> None:
    while not over.is_set():
        whole_run(store)


def write_on(store: Path, over: threading.Event) -> None:
    with stayline.Coordinator(f"sqlite:{store}") as coordinator:
        session = coordinator.session("s")
        while not over.is_set():
            session.fail(session.start().id, "boom")


def reap() -> int:
    _, status = os.wait()
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        print(f"forks: a child ended with {code}", file=sys.stderr)
    return int(code != 0)


def in_python(folder: Path) -> int:
    over = threading.Event()
    threads = [
        threading.Thread(target=work, args=(folder / "one.db", over)),
        threading.Thread(target=work, args=(folder / "two.db", over)),
        threading.Thread(target=write_on, args=(folder / "three.db", over)),
    ]
    for thread in threads:
        thread.start()
    failed = abreast = 0
    try:
        for _ in range(CHILDREN):
            if abreast == ABREAST:
                failed += reap()
                abreast -= 1
            if os.fork() == 0:
                # One that hangs is ended, and counted.
                signal.alarm(CHILD_SECONDS)
                code = 1
                try:
                    whole_run(folder / f"child-{os.getpid()}.db")
                    code = 0
                finally:
                    os._exit(code)
            abreast += 1
        while abreast:
            failed += reap()
            abreast -= 1
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    print(f"forks: python: {CHILDREN} children, {failed} failed")
    return failed


def in_c(folder: Path) -> int:
    program = folder / "forking"
    subprocess.run(["make", "--no-print-directory", "target/stamps/capi"], check=True, cwd=ROOT)
    subprocess.run(
        [
            *("cc", "-std=c99", "-g", "-pthread", f"-I{CAPI}/include"),
            *(str(ROOT / "tests" / "capi" / "forking.c"), f"-L{CAPI}/lib", "-lstayline"),
            *(f"-Wl,-rpath,{CAPI}/lib", "-o", str(program)),
        ],
        check=True,
    )
    ended = subprocess.run(
        [program, folder, str(CHILDREN)], stdout=subprocess.PIPE, text=True, timeout=LIMIT
    )
    print(f"forks: C: {ended.stdout.strip()}")
    return ended.returncode


def main() -> int:
    with tempfile.TemporaryDirectory() as place:
        python, c = Path(place, "python"), Path(place, "c")
        python.mkdir()
        c.mkdir()
        return int(in_c(c) != 0) | int(in_python(python) != 0)


if __name__ == "__main__":
    sys.exit(main())
