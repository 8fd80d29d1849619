"""The program that the demo runs: prints Python's standard library, line by line, at a steady pace.

It knows nothing of Stayline. Each line is ``path:number:text``, so that no two are the same. On
stderr it says its process id first, and in the end the SHA-256 of all that it printed.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

#: Lines are written so many times a second.
BEATS = 100


def main() -> None:
    """Prints ``--lines`` lines, ``--rate`` a second."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=40_000)
    parser.add_argument("--rate", type=int, default=4_000)
    options = parser.parse_args()
    print(f"pid {os.getpid()}", file=sys.stderr, flush=True)
    digest = hashlib.sha256()
    lines = itertools.islice(standard_library(), options.lines)
    burst = max(1, options.rate // BEATS)
    due = time.monotonic()
    while batch := b"".join(itertools.islice(lines, burst)):
        digest.update(batch)
        sys.stdout.buffer.write(batch)
        sys.stdout.buffer.flush()
        due += burst / options.rate
        time.sleep(max(0.0, due - time.monotonic()))
    print(f"sha256 {digest.hexdigest()}", file=sys.stderr, flush=True)


def standard_library() -> Iterator[bytes]:
    """Every line of every module, in a fixed order."""
    root = Path(sysconfig.get_path("stdlib"))
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(set(folders) - {"__pycache__", "site-packages", "test", "tests"})
        for name in sorted(files):
            if not name.endswith(".py"):
                continue
            path = Path(folder, name)
            with path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    text = line.rstrip(b"\r\n")
                    yield b"%s:%d:%s\n" % (os.fsencode(path.relative_to(root)), number, text)


if __name__ == "__main__":
    main()
