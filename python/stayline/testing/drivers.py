"""What runs the scenarios: a driver is an implementation behind one call, `Driver.call`.

The operations are listed in `docs/drivers.md`; a driver translates them and decides nothing. The
interpreter owns time, the network between the two ends and every comparison. `ProcessDriver`
speaks to any program in any language; the driver for this module itself is in `python_driver`.
"""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from .vocabulary import ERRORS

__all__ = ["Driver", "DriverError", "OperationError", "ProcessDriver", "open_driver"]


class OperationError(Exception):
    """An operation ended with one of Stayline's errors."""

    def __init__(self, name: str, message: str, fields: Mapping[str, Any]) -> None:
        super().__init__(f"{name}: {message}" if message else name)
        self.name = name
        self.fields = dict(fields)


class DriverError(Exception):
    """The driver itself failed: it died, or does not speak the protocol."""


class Driver(ABC):
    """One implementation under test."""

    #: What it can do beyond the minimum: `durable_outbox`.
    capabilities: frozenset[str] = frozenset()

    @abstractmethod
    def call(self, operation: str, **arguments: Any) -> Any:
        """Performs one operation. `OperationError` when Stayline refuses it, `DriverError` when
        the driver cannot go on."""

    @abstractmethod
    def reset(self) -> None:
        """Drops everything of the scenario before, whatever state that left."""

    @abstractmethod
    def close(self) -> None:
        """The last call: gives back what the driver holds."""


class ProcessDriver(Driver):
    """A program that reads one JSON object a line and answers each with one."""

    def __init__(self, command: Sequence[str], *, patience: float = 60.0) -> None:
        self._command = list(command)
        # Far more than any operation takes, in seconds; beyond it the program hangs.
        self._patience = patience
        self._process: subprocess.Popen[str] | None = None
        self._last_id = 0
        self.capabilities = frozenset(self.call("hello").get("capabilities", []))

    def call(self, operation: str, **arguments: Any) -> Any:
        """Asks, and waits for the answer."""
        self._last_id += 1
        request = {"id": self._last_id, "do": operation, **arguments}
        answer = self._exchange(json.dumps(request, separators=(",", ":")), operation)
        if "error" in answer:
            error = dict(answer["error"])
            name = str(error.pop("name", None))
            if name not in ERRORS:
                # One of the driver's own: it does not know the operation, or got it wrong.
                raise DriverError(f"{operation}: {name}: {error.pop('message', error)}")
            raise OperationError(name, str(error.pop("message", "")), error)
        if "ok" not in answer:
            raise DriverError(f"the driver answered {operation} with neither ok nor error")
        return answer["ok"]

    def _exchange(self, line: str, operation: str) -> dict[str, Any]:
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            # It speaks only when asked, so nothing can wait in Python's own buffer.
            ready, _, _ = select.select([process.stdout], [], [], self._patience)
            if not ready:
                raise self._broken(f"the driver did not answer {operation}")
            reply = process.stdout.readline()
        except OSError as error:
            raise self._broken(f"the driver went away during {operation}: {error}") from None
        if not reply:
            raise self._broken(f"the driver ended during {operation}")
        try:
            answer = json.loads(reply)
        except ValueError:
            raise self._broken(f"the driver answered {operation} with no JSON: {reply!r}") from None
        if not isinstance(answer, dict) or answer.get("id") != self._last_id:
            raise self._broken(f"the driver answered {operation} out of turn: {reply!r}")
        return answer

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            try:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    encoding="utf-8",
                )
            except OSError as error:
                raise DriverError(f"{self._command[0]} cannot be started: {error}") from None
        return self._process

    def _broken(self, what: str) -> DriverError:
        """Ends what is left of the process, so that the next scenario gets a new one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            code = process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    # What was still to be written has nobody to read it.
                    with contextlib.suppress(OSError):
                        pipe.close()
            what = f"{what} (exit code {code})"
        return DriverError(what)

    def reset(self) -> None:
        """Drops the scenario before; a process that has died is replaced by a new one."""
        self.call("reset")

    def close(self) -> None:
        """Ends the process, by the end of its input."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def open_driver(name: str) -> Driver:
    """`python`, or an executable by its path."""
    if name == "python":
        # Other drivers are usable where the module's own extension is not built.
        from .python_driver import PythonDriver

        return PythonDriver()
    return ProcessDriver([name])
