"""Where runs are kept when nobody says where: ``.stayline/`` in the current folder.

A server has ``serve.db``. One coordinator owns a file, so programs that run side by side without a
server use ``runs.db``, ``runs-2.db``, ``runs-3.db`` and so on: the first that is free. What reads,
reads all of them.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import stayline

FOLDER = Path(".stayline")
#: The file of ``stayline serve``.
SERVED = "sqlite:.stayline/serve.db"

#: Seconds below which a time is told in a unit, its length, and its name.
_UNITS = (
    (120.0, 1, "second"),
    (7_200.0, 60, "minute"),
    (172_800.0, 3_600, "hour"),
    (float("inf"), 86_400, "day"),
)

#: More programs than this side by side in one folder are taken for a mistake.
MOST_FILES = 1_000


def open_own(location: str | None, settings: stayline.Settings) -> stayline.Coordinator:
    """Opens the store that was named, or else the first file that nobody owns."""
    if location is not None:
        return open_named(location, settings)
    make_folder()
    for number in range(1, MOST_FILES):
        name = "runs.db" if number == 1 else f"runs-{number}.db"
        try:
            return open_named(f"sqlite:{FOLDER / name}", settings)
        except stayline.StoreInUse:
            continue
    raise stayline.InvalidArgument(f"{FOLDER} holds {MOST_FILES} files in use; name one by --store")


def open_named(location: str, settings: stayline.Settings | None = None) -> stayline.Coordinator:
    """Opens a store; an error names it."""
    try:
        return stayline.Coordinator(location, settings=settings)
    except stayline.StoreInUse as owner:
        raise in_use(location, owner) from None
    except (stayline.StoreError, stayline.StoreFormat) as error:
        raise naming(location, error) from None


def make_folder() -> None:
    """Makes ``.stayline/``, for its owner alone, and keeps it out of version control."""
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    ignore = FOLDER / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")


def readable(location: str | None) -> list[str]:
    """The stores to read: the one that was named, or those below ``.stayline/``."""
    if location is not None:
        return [location]
    return [f"sqlite:{path}" for path in sorted(FOLDER.glob("*.db"))]


T = TypeVar("T")


def only_one(session: str, known: list[tuple[T, str]], where: str) -> tuple[T, str]:
    """Of the files that know a session the only one; ``NotFound`` when none does,
    ``InvalidArgument`` when several do."""
    if not known:
        raise stayline.NotFound(
            f"no session {session!r} in {where}; `stayline runs` lists what there is"
        )
    if len(known) > 1:
        names = [name for _, name in known]
        raise stayline.InvalidArgument(
            f"there is a session {session!r} in each of {', '.join(names)}; choose one by --store, "
            f"as in --store {shlex.quote(names[0])}"
        )
    return known[0]


def naming(name: str, error: stayline.Error) -> stayline.Error:
    """The error, with the file that it is about."""
    text = str(error)
    path = name.removeprefix("sqlite:")
    return error if path in text else type(error)(f"{path}: {text}")


def in_use(location: str, owner: stayline.StoreInUse, now_ms: int | None = None) -> stayline.Error:
    """The error with the file, in the reader's time, and with what a command can do about it."""
    path = location.removeprefix("sqlite:")
    if not owner.pid:
        text = (
            f"{path} is in use by a program that cannot be named here; close it, or name another "
            "file by --store"
        )
    else:
        program = f"{owner.program}, " if owner.program else ""
        serving = f", and serves {owner.url}" if owner.url else ""
        ask = f"reach it by --to {owner.url}, " if owner.url else ""
        text = (
            f"{path} is in use ({program}pid {owner.pid}) since {_since(owner.since, now_ms)}"
            f"{serving}; {ask}stop it (kill {owner.pid}), or name another file by --store"
        )
    told = type(owner)(text)
    # The fields stay as they are.
    vars(told).update(vars(owner))
    return told


def _since(since_ms: int, now_ms: int | None) -> str:
    """``14:02:11, 3 minutes ago``; with the day where that was another one."""
    now = time.time() if now_ms is None else now_ms / 1000
    try:
        at, today = datetime.fromtimestamp(since_ms / 1000), datetime.fromtimestamp(now)
    except (ValueError, OverflowError, OSError):
        # Beyond all calendars.
        return f"{since_ms} ms"
    moment = at.strftime("%H:%M:%S" if at.date() == today.date() else "%Y-%m-%d %H:%M:%S")
    seconds = int(now - since_ms / 1000)
    if seconds < 0:
        # The clock was put back since.
        return moment
    length, unit = next((length, unit) for most, length, unit in _UNITS if seconds < most)
    number = seconds // length
    return f"{moment}, {number} {unit}{'' if number == 1 else 's'} ago"


def kept(location: str, session_id: str, execution_id: str) -> int:
    """How many events of an execution are found where its store should be."""
    try:
        with reader(location) as coordinator:
            return coordinator.session(session_id).count_events(executions=[execution_id])
    except stayline.Error:
        return 0


@contextmanager
def reader(location: str) -> Iterator[stayline.Coordinator]:
    """Opens a store for reading only, whoever owns it."""
    with stayline.Coordinator(location, read_only=True) as coordinator:
        yield coordinator
