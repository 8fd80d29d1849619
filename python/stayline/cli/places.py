"""Where runs are kept when nobody says where: ``.stayline/`` in the current folder.

A server has ``serve.db``. One coordinator owns a file, so programs that run side by side without a
server use ``runs.db``, ``runs-2.db``, ``runs-3.db`` and so on: the first that is free. What reads,
reads all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import stayline

FOLDER = Path(".stayline")
#: The file of ``stayline serve``.
SERVED = "sqlite:.stayline/serve.db"

#: More programs than this side by side in one folder are taken for a mistake.
MOST_FILES = 1_000


def open_own(location: str | None, settings: stayline.Settings) -> stayline.Coordinator:
    """Opens the store that was named, or else the first file that nobody owns."""
    if location is not None:
        return stayline.Coordinator(location, settings=settings)
    make_folder()
    for number in range(1, MOST_FILES):
        name = "runs.db" if number == 1 else f"runs-{number}.db"
        try:
            return stayline.Coordinator(f"sqlite:{FOLDER / name}", settings=settings)
        except stayline.StoreInUse:
            continue
    raise stayline.InvalidArgument(f"{FOLDER} holds {MOST_FILES} files in use; name one by --store")


def make_folder() -> None:
    """Makes ``.stayline/``, and keeps it out of version control."""
    FOLDER.mkdir(exist_ok=True)
    ignore = FOLDER / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")


def readable(location: str | None) -> list[str]:
    """The stores to read: the one that was named, or those below ``.stayline/``."""
    if location is not None:
        return [location]
    return [f"sqlite:{path}" for path in sorted(FOLDER.glob("*.db"))]


@contextmanager
def reader(location: str) -> Iterator[stayline.Coordinator]:
    """Opens a store for reading only, whoever owns it."""
    with stayline.Coordinator(location, read_only=True) as coordinator:
        yield coordinator
