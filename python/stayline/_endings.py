"""How a run ended, or is to end, in words."""

from __future__ import annotations

import builtins
import re
import signal
import sys
import traceback

#: The exit codes of programs that were stopped: by Ctrl-C, a hang-up, or a request to end.
_STOPPED = frozenset(
    128 + int(getattr(signal, name))
    for name in ("SIGHUP", "SIGINT", "SIGTERM")
    if hasattr(signal, name)
)
#: Exceptions behind exceptions that are looked at.
_DEEPEST = 100


def ending(error: str | None, exit_code: int | None) -> str:
    """Why it ended and with which exit code, as far as that is known; empty where it is not. An
    error that tells the code itself is enough."""
    if exit_code is None:
        return error or ""
    code = f"exit code {exit_code}"
    if not error:
        return code
    return error if re.search(rf"{re.escape(code)}(?!\d)", error) else f"{error}, {code}"


def raised(error: BaseException) -> tuple[str, bool, int | None] | None:
    """What an exception that left a block makes of its run (R51a): the text, whether the block was
    stopped rather than failed, and the exit code where there is one. ``None``: nothing, since the
    program just ends well.
    """
    if not isinstance(error, SystemExit):
        return _text(error), _is_stop(error), None
    code = _exit_code(error)
    if code == 0:
        return None
    stopped = code in _STOPPED or any(_is_stop(one) for one in _behind(error))
    return _text(error), stopped, code if -(2**63) <= code < 2**63 else None


def note_untold(error: BaseException) -> None:
    """Says on an exception that nobody may know of the ending that it made."""
    # From Python 3.11 on.
    if hasattr(error, "add_note"):
        error.add_note(
            "the coordinator has not said in time that it knows; the run then ends as"
            " 'Wrapper disconnected'"
        )


def _text(error: BaseException) -> str:
    """Type and message, as Python shows them."""
    return "".join(traceback.format_exception_only(error)).strip()


def _exit_code(error: SystemExit) -> int:
    """As the interpreter reads it."""
    if error.code is None:
        return 0
    # A text is printed, and the code is 1.
    return error.code if isinstance(error.code, int) else 1


def _is_stop(error: BaseException) -> bool:
    """Whether it came from outside: Ctrl-C, a task that was cancelled, a generator that nobody
    asks any more."""
    if isinstance(error, (KeyboardInterrupt, GeneratorExit)):
        return True
    # Whoever has one of its exceptions has imported it.
    cancelled = getattr(sys.modules.get("asyncio"), "CancelledError", ())
    if isinstance(error, cancelled):
        return True
    group = getattr(builtins, "BaseExceptionGroup", ())
    return isinstance(error, group) and all(_is_stop(one) for one in error.exceptions)


def _behind(error: BaseException) -> list[BaseException]:
    """The exceptions in whose handling it was raised."""
    found: list[BaseException] = []
    before = error.__cause__ or error.__context__
    while before is not None and len(found) < _DEEPEST:
        found.append(before)
        before = before.__cause__ or before.__context__
    return found
