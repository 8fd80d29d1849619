"""Lines on stderr from a thread that has other things to do than to wait for who reads them."""

from __future__ import annotations

import queue
import sys
import threading

from stayline.cli import waiting
from stayline.cli.console import complaint


class Teller:
    """Prints complaints in order. While it waits for a reader, its owner does not: signals that are
    blocked there are heeded, whatever stderr is."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._print, name="stayline-stderr", daemon=True)
        self._has_begun = False

    def tell(self, text: str) -> None:
        """Has one line printed."""
        self._lines.put(text)
        if not self._has_begun:
            self._has_begun = True
            self._thread.start()

    def close(self) -> None:
        """There is nothing more to tell."""
        self._lines.put(None)

    def finishes(self, timeout: float) -> bool:
        """Waits until all is printed, at most ``timeout`` seconds; whether it is so."""
        if self._has_begun:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _print(self) -> None:
        while (text := self._lines.get()) is not None:
            try:
                # Past Python's own buffer: its lock would be held for as long.
                if sys.stderr is not None:
                    line = complaint(text).encode(sys.stderr.encoding, "backslashreplace")
                    waiting.write_all(sys.stderr.fileno(), line)
            except (OSError, ValueError):
                # Nobody reads it, or it is closed; the rest is nobody's either.
                continue
