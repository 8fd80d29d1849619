"""What a run that was killed has left at work, so that no two programs work for one session.

While a program of a named session runs, a small file says so, in ``stayline/`` below
``XDG_STATE_HOME`` (default: ``~/.local/state``); each run has one of its own. Whoever ends in order
takes it away again, whatever the program has left behind: a server that it started is meant to
stay. So a file that is found, whose ``stayline run`` is gone, names a run that was cut; if its
processes are still there, the next run of the session does not start beside them.

Runs of other machines that share the home, of other containers and of earlier boots cannot be seen
from here: their files are left alone until they are old.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import stayline
from stayline.cli import processes
from stayline.cli.console import complain
from stayline.cli.processes import Identity

#: Seconds for processes that are about to end, with the ``stayline run`` that has just been killed.
_ABOUT_TO_END = 2.0

#: Seconds after which a file goes that says nothing about processes that could be seen from here.
_OLD = 30 * 86_400.0

#: How many files are looked at when those of the dead are swept.
_SWEPT_AT_ONCE = 256

#: Beginning of the name of a file that is being written.
_NEW = ".new-"


class LeftAtWork(stayline.Error):
    """The last run of the session was killed, and its program still works."""


@dataclass(frozen=True)
class _Record:
    """One file: one run."""

    file: Path
    mark: str
    supervisor: Identity
    program: Identity
    #: Its processes have numbers here.
    is_here: bool

    @property
    def is_cut(self) -> bool:
        """Its ``stayline run`` is gone, and did not end in order. Of one that is at work the
        coordinator says whether another may start."""
        return self.is_here and not self.supervisor.is_alive

    def at_work(self) -> list[int]:
        """Those of its processes that still are there."""
        found = processes.of_run(self.mark)
        return found or ([self.program.pid] if self.program.is_alive else [])

    def remove(self) -> None:
        """The run is over."""
        with suppress(OSError):
            self.file.unlink()


class Records:
    """The files of one session of one coordinator. Where there is no place for them, nothing is
    noted and nothing is found; a run without a name is nobody's last one."""

    def __init__(self, home: str, session_id: str | None) -> None:
        self._session_id = session_id or ""
        self._folder = None if session_id is None else _folder()
        name = f"{home}\0{self._session_id}".encode("utf-8", "surrogateescape")
        self._name = hashlib.sha256(name).hexdigest()[:32]

    def check(self, *, take_over: bool, grace: float) -> None:
        """Raises ``LeftAtWork`` when runs of the session were killed and have left processes at
        work; with ``take_over`` ends them first, SIGKILL after ``grace`` seconds."""
        if self._folder is None:
            return
        files = _listed(self._folder)
        of_session = [_read(file) for file in files if file.name.startswith(self._name)]
        cut = [one for one in of_session if one is not None and one.is_cut]

        def find() -> list[int]:
            return sorted({pid for one in cut for pid in one.at_work()})

        left = _after_a_moment(find)
        if left and take_over:
            told = processes.described(left)
            left = processes.end_all(find, grace)
            if not left:
                complain(
                    f"ended what the last run of session {self._session_id} had left at work: "
                    f"{told}"
                )
        if left:
            hint = "they cannot be ended from here" if take_over else "--take-over ends it first"
            raise LeftAtWork(
                f"the last run of session {self._session_id!r} was killed and has left its program "
                f"at work: {processes.described(left)}; {hint}"
            )
        for one in cut:
            one.remove()

    @contextmanager
    def noted(self, mark: str, program: int) -> Iterator[None]:
        """Says that the program is at work, until left in order. Without a place for it, runs go on
        as well as they can."""
        supervisor = processes.identify(os.getpid())
        if self._folder is None or not supervisor.started:
            # A number alone would be taken for whoever has it later.
            yield
            return
        file = self._folder / f"{self._name}.{mark}.json"
        record = {
            "session": self._session_id,
            "mark": mark,
            "supervisor": supervisor.pid,
            "supervisorStarted": supervisor.started,
            "program": program,
            "programStarted": processes.identify(program).started,
            "boot": processes.boot(),
            "namespace": processes.namespace(),
        }
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(file, record)
            _sweep(self._folder)
        yield
        with suppress(OSError):
            file.unlink()


def _after_a_moment(find: Callable[[], list[int]]) -> list[int]:
    deadline = time.monotonic() + _ABOUT_TO_END
    left = find()
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = find()
    return left


def _write(file: Path, record: dict[str, object]) -> None:
    """Whole, or not at all."""
    descriptor, new = tempfile.mkstemp(dir=file.parent, prefix=_NEW)
    try:
        with open(descriptor, "w", encoding="utf-8") as opened:
            json.dump(record, opened)
        os.replace(new, file)
    except OSError:
        with suppress(OSError):
            os.unlink(new)
        raise


def _read(file: Path) -> _Record | None:
    try:
        noted = json.loads(file.read_text(encoding="utf-8"))
        here = (processes.boot(), processes.namespace())
        return _Record(
            file,
            str(noted["mark"]),
            Identity(int(noted["supervisor"]), str(noted["supervisorStarted"])),
            Identity(int(noted["program"]), str(noted["programStarted"])),
            is_here=(noted["boot"], noted["namespace"]) == here,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sweep(folder: Path) -> None:
    """Takes away what says nothing any more: names of sessions may be used only once."""
    marks: set[str] | None = None
    for file in islice(_listed(folder), _SWEPT_AT_ONCE):
        record = _read(file)
        if record is None or not record.is_here:
            with suppress(OSError):
                # The clock of another machine may be wrong, but not by as much.
                if time.time() - file.stat().st_mtime > _OLD:
                    file.unlink()
        elif record.is_cut:
            if marks is None:
                marks = processes.marks()
            if record.mark not in marks and not record.program.is_alive:
                record.remove()


def _listed(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in os.listdir(folder)]
    except OSError:
        return []


def _folder() -> Path | None:
    """Where the files are; ``None`` where there is no place for them. Never raises: a program is
    not kept from running by this."""
    state = os.environ.get("XDG_STATE_HOME") or ""
    if not os.path.isabs(state):
        # Without a known home this stays as it is.
        state = os.path.expanduser("~/.local/state")
    if os.path.isabs(state) and _is_ours_to_write(state):
        return Path(state) / "stayline" / "programs"
    # Not `gettempdir`: it takes the current folder at last.
    for temporary in (os.environ.get("TMPDIR") or "", "/tmp", "/var/tmp"):
        folder = os.path.join(temporary, f"stayline-{os.getuid()}")
        if os.path.isabs(folder) and _is_ours_to_write(folder) and _is_nobody_elses(folder):
            return Path(folder) / "stayline" / "programs"
    return None


def _is_ours_to_write(folder: str) -> bool:
    """The folder, or the nearest one above it that there is."""
    while not os.path.exists(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    return os.access(folder, os.W_OK | os.X_OK)


def _is_nobody_elses(folder: str) -> bool:
    """Anybody may make one of this name where all make theirs, and say things there."""
    try:
        found = os.lstat(folder)
    except OSError:
        return True
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
