"""The processes of a run: its program, and whatever that has started.

On Linux they are known by a mark in their environment, which their children inherit and which
outlives the parent, a new session and a new process group. Elsewhere there is the program's
process group, if it has one of its own.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: In the environment of the program: which `stayline run` has started it. Not the execution's id:
#: another wrapper may have taken the same execution over. A run inside a run adds its own mark to
#: that of the outer one, of which its processes are, too.
MARK = "STAYLINE_STARTED_BY"

#: Between marks.
MARKS_APART = b":"

_PROC = Path("/proc")
#: Seconds between looks.
_LOOK_AGAIN = 0.02
#: Seconds. A `ps` that has said nothing by then says nothing.
_PS_PATIENCE = 5.0


@dataclass(frozen=True)
class Identity:
    """One process, also after its number has been given to another one."""

    pid: int
    #: When it started, in whatever words the system has; empty where that cannot be had.
    started: str

    @property
    def is_alive(self) -> bool:
        """Whether it still runs; one that has ended and was not waited for does not. Nobody is
        known by a number alone: it may be anybody's by now."""
        return self.started != "" and _started(self.pid) == self.started


@dataclass(frozen=True)
class _Stat:
    state: str
    parent: int
    group: int
    started: str


def identify(pid: int) -> Identity:
    """The process that has this number now."""
    return Identity(pid, _started(pid))


def boot() -> str:
    """Which boot of the machine, or of the container, this is; empty where that cannot be had."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def namespace() -> str:
    """Among which processes numbers are what they are here; empty where all are in one."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def of_run(mark_of_run: str) -> list[int]:
    """The processes with this run's mark, but for this one; none where marks cannot be read."""
    return [pid for pid, marks in _marked() if mark_of_run in marks]


def marks() -> set[str]:
    """The marks of all processes, but for this one."""
    return {mark for _, marks in _marked() for mark in marks}


def _marked() -> Iterator[tuple[int, list[str]]]:
    name = os.fsencode(MARK) + b"="
    for pid in _all():
        if pid == os.getpid():
            continue
        try:
            environment = (_PROC / str(pid) / "environ").read_bytes()
        except OSError:
            # It has ended, or is somebody else's.
            continue
        for variable in environment.split(b"\0"):
            if variable.startswith(name):
                found = _stat(pid)
                if found is not None and found.state not in "ZX":
                    yield pid, os.fsdecode(variable[len(name) :]).split(os.fsdecode(MARKS_APART))
                break


def holders(pipe: int) -> list[int]:
    """The processes, but for this one, that have this pipe open; none where that cannot be had."""
    try:
        wanted = os.readlink(f"/proc/self/fd/{pipe}")
    except OSError:
        return []
    found = []
    for pid in _all():
        if pid == os.getpid():
            continue
        with suppress(OSError):
            for name in os.listdir(_PROC / str(pid) / "fd"):
                with suppress(OSError):
                    if os.readlink(_PROC / str(pid) / "fd" / name) == wanted:
                        found.append(pid)
                        break
    return found


def name_of(pid: int) -> str:
    """What it was called as, or its short name; empty where that cannot be had."""
    with suppress(OSError):
        words = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
        text = b" ".join(words).strip().decode("utf-8", "replace")
        if text:
            return text if len(text) <= 60 else f"{text[:59]}\u2026"
        return (_PROC / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
    return ""


def described(pids: list[int]) -> str:
    """``process 12 (sh -c …) and 2 more``."""
    first, *others = sorted(pids)
    name = name_of(first)
    text = f"process {first} ({name})" if name else f"process {first}"
    return f"{text} and {len(others)} more" if others else text


def end_all(find: Callable[[], list[int]], grace: float) -> list[int]:
    """Ends what ``find`` finds: SIGTERM first, SIGKILL after ``grace`` seconds, until there is
    nothing left or five more seconds are over. Returns what is left."""
    left = find()
    _send(left, signal.SIGTERM)
    # A stopped process would not notice anything else.
    _send(left, signal.SIGCONT)
    deadline = time.monotonic() + grace
    while left and time.monotonic() < deadline:
        time.sleep(_LOOK_AGAIN)
        left = find()
    deadline = time.monotonic() + 5.0
    while left and time.monotonic() < deadline:
        _send(left, signal.SIGKILL)
        time.sleep(_LOOK_AGAIN)
        left = find()
    return left


def _send(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _all() -> list[int]:
    try:
        return [int(name) for name in os.listdir(_PROC) if name.isdigit()]
    except OSError:
        return []


def _started(pid: int) -> str:
    """When it started; empty when it has ended, or where that cannot be had."""
    if not os.path.exists(_PROC / "self" / "stat"):
        return _started_by_ps(pid)
    found = _stat(pid)
    return found.started if found is not None and found.state not in "ZX" else ""


def _started_by_ps(pid: int) -> str:
    """The same where there is no /proc (macOS), to the second."""
    # Nobody else needs it, and it takes its time.
    import subprocess

    # In one language and one time zone, whoever asks.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
    try:
        told = subprocess.run(
            ["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PS_PATIENCE,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    state, _, started = told.stdout.decode("utf-8", "replace").strip().partition(" ")
    return "" if told.returncode != 0 or state.startswith("Z") else started.strip()


def _stat(pid: int) -> _Stat | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name, in brackets, may hold anything.
    fields = text.rpartition(")")[2].split()
    try:
        return _Stat(fields[0], int(fields[1]), int(fields[2]), fields[19])
    except (IndexError, ValueError):
        return None
