"""What may take its time, done on a thread, so that signals are heeded meanwhile."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Beside(Generic[T]):
    """Does something at once. ``fileno`` is readable when it is done; one that never is ends with
    the process."""

    def __init__(self, do: Callable[[], T], name: str) -> None:
        self._do = do
        self._results: list[T] = []
        self._error: BaseException | None = None
        self._reader, self._writer = os.pipe()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._results.append(self._do())
        except BaseException as error:
            self._error = error
        finally:
            os.close(self._writer)

    def fileno(self) -> int:
        """Readable when it is done."""
        return self._reader

    def finishes(self, timeout: float) -> bool:
        """Waits for that, at most ``timeout`` seconds; whether it is so."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def result(self) -> T:
        """What came of it, or the error that it raised; to be called once."""
        self._thread.join()
        os.close(self._reader)
        if self._error is not None:
            raise self._error
        return self._results[0]
