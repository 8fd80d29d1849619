"""Stayline's main job, shown on real input: ``stayline demo``.

1. A program prints tens of thousands of lines while the network breaks a few times a second.
2. A run's processes are killed: it fails once, after its grace, and the next run starts.
3. The coordinator is killed in the middle of a run and started again: the run goes on.

Nothing here is simulated: processes, sockets, SIGKILL, an SQLite file. Exit code 1 if anything
does not hold.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stayline.demo import evidence
from stayline.demo.processes import SETTINGS, Failed, Served, Wrapped, program, wait_until
from stayline.demo.proxy import CuttingProxy

#: Seconds between two looks at how far it is.
_LOOK_AGAIN = 0.2


@contextmanager
def progress(text: Callable[[], str]) -> Iterator[None]:
    """On a terminal, one line that says how far it is; it goes when that is over."""
    if not sys.stdout.isatty():
        yield
        return
    over = threading.Event()

    def draw() -> None:
        while not over.wait(_LOOK_AGAIN):
            print(f"\r   {text()}\x1b[K", end="", flush=True)

    drawing = threading.Thread(target=draw, daemon=True)
    drawing.start()
    try:
        yield
    finally:
        over.set()
        drawing.join()
        print("\r\x1b[K", end="", flush=True)


class Checks:
    """Prints what was seen, line by line, and remembers what should not have been."""

    def __init__(self) -> None:
        self.wrong: list[str] = []

    def show(self, name: str, value: object, holds: bool = True, note: str = "") -> None:
        """One line of a table; ``holds``: whether it is as it has to be."""
        mark = "" if holds else "   <-- WRONG"
        note = f"   {note}" if note else ""
        print(f"   {name:<26}{value!s:>12}{note}{mark}", flush=True)
        if not holds:
            self.wrong.append(f"{name}: {value}")


def show(seed: int = 7, lines: int = 40_000, keep: bool = False) -> int:
    """Plays the three acts; 0 if everything held. ``seed``: of the network's cuts. ``lines``: of
    output, in the first act. ``keep``: keep the store, and say where it is."""
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="stayline-demo-"))
    store = f"sqlite:{folder / 'runs.db'}"
    checks = Checks()
    try:
        with Served(store) as served:
            broken_network(checks, store, served, seed, lines)
            killed_run(checks, store, served)
        killed_coordinator(checks, store)
    except Failed as failure:
        checks.wrong.append(str(failure))
    if keep or checks.wrong:
        print(f"\nThe store is {store}")
    else:
        shutil.rmtree(folder)
    seconds = time.monotonic() - began
    if checks.wrong:
        print(f"\nDid not hold ({seconds:.0f} s): {'; '.join(checks.wrong)}")
        return 1
    print(f"\nEverything held ({seconds:.0f} s).")
    return 0


def broken_network(checks: Checks, store: str, served: Served, seed: int, lines: int) -> None:
    """Act 1: nothing lost, nothing twice, however often the connection breaks."""
    rate = 4_000
    print(
        f"1. {lines} lines of real output, {rate} a second, through a network that keeps breaking"
    )
    with CuttingProxy(served.port, seed) as proxy:
        run = Wrapped(proxy.url, "broken-network", program(lines, rate))
        with progress(lambda: f"{run.lines} lines, {proxy.counts.cuts} cuts"):
            exit_code = run.wait()
        cuts = proxy.counts
    found = _evidence(store, "broken-network")
    inside = f"{cuts.inside_a_frame} of them in the middle of a frame"
    checks.show("connections cut", cuts.cuts, cuts.cuts >= 5 and cuts.inside_a_frame > 0, inside)
    checks.show("reconnects", found.reconnects, found.reconnects >= cuts.cuts > 0)
    checks.show("lines sent", run.lines, run.lines == lines)
    checks.show("events stored", len(found.lines), len(found.lines) == run.lines)
    _exactly_once(checks, run, found)
    checks.show("status", found.status, found.status == "completed" and found.endings == 1)
    checks.show("exit code", exit_code, exit_code == 0)


def killed_run(checks: Checks, store: str, served: Served) -> None:
    """Act 2: a run that vanishes fails once, after its grace, and makes room."""
    grace = SETTINGS["disconnect_grace_ms"] / 1000
    print(f"\n2. A run is killed with SIGKILL, wrapper and program (grace {grace:.0f} s)")
    session = "killed-run"
    run = Wrapped(served.url, session, program(1_000_000, 2_000))
    run.wait_for_lines(2_000)
    first = _execution(store, session)
    killed_at = time.monotonic()
    run.kill()
    early = Wrapped(served.url, session, ["true"])
    refused = early.wait() == 1 and "still active" in early.said("stayline:")
    checks.show("next run, within the grace", "refused" if refused else "accepted", refused)
    with progress(lambda: f"killed {time.monotonic() - killed_at:.1f} s ago, still running"):
        wait_until(
            lambda: evidence.status_of(store, session, first) != "running",
            "the end of the killed run",
        )
    waited = time.monotonic() - killed_at
    found = evidence.read(store, session, first)
    checks.show("status", found.status, found.status == "failed", found.error or "")
    checks.show("after", f"{waited:.1f} s", grace - 0.1 <= waited <= grace + 10)
    checks.show("times failed", found.endings, found.endings == 1 and found.after_the_end == 0)
    kept = len(found.lines)
    in_order = kept >= 1_000 and found.lines == run.output[:kept]
    checks.show("events kept", kept, in_order, f"of {run.lines} lines, up to the kill, in order")
    following = Wrapped(served.url, session, ["echo", "the next run"])
    code = following.wait()
    second = _evidence(store, session)
    good = code == 0 and second.status == "completed" and second.lines == [b"the next run\n"]
    checks.show("next run, after it", second.status, good)


def killed_coordinator(checks: Checks, store: str) -> None:
    """Act 3: the coordinator dies without a word; the run does not notice."""
    print("\n3. The coordinator is killed with SIGKILL in mid-run and started again")
    lines, down = 20_000, 1.0
    with Served(store) as served:
        port = served.port
        run = Wrapped(served.url, "killed-coordinator", program(lines, 4_000))
        run.wait_for_lines(lines // 4)
        before = run.lines
        served.kill()
    time.sleep(down)
    with Served(store, port), progress(lambda: f"{run.lines} of {lines} lines"):
        exit_code = run.wait()
        found = _evidence(store, "killed-coordinator")
    checks.show("killed after", f"{before} lines", before < lines, f"down for {down:.0f} s")
    checks.show("reconnects", found.reconnects, found.reconnects >= 1)
    checks.show("lines sent", run.lines, run.lines == lines)
    checks.show("events stored", len(found.lines), len(found.lines) == run.lines)
    _exactly_once(checks, run, found)
    checks.show("status", found.status, found.status == "completed" and found.endings == 1)
    checks.show("exit code", exit_code, exit_code == 0)


def _exactly_once(checks: Checks, run: Wrapped, found: evidence.Evidence) -> None:
    """The proof: the same bytes, as the program counted them, as they came out, as stored."""
    lost, duplicated = found.lost(run.output), found.duplicated()
    checks.show("lost", lost, lost == 0)
    checks.show("duplicated", duplicated, duplicated == 0)
    printed = run.said("sha256")
    same = printed == run.sha256 == found.sha256
    checks.show("SHA-256 of the output", printed[:12])
    checks.show("SHA-256 of the events", found.sha256[:12], same, "the same" if same else "")


def _execution(store: str, session: str) -> str:
    found: list[str] = []

    def look() -> bool:
        execution_id = evidence.execution_of(store, session)
        found[:] = [execution_id] if execution_id is not None else []
        return bool(found)

    wait_until(look, f"a run in session {session}")
    return found[0]


def _evidence(store: str, session: str) -> evidence.Evidence:
    return evidence.read(store, session, _execution(store, session))
