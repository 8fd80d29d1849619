"""The command line: ``stayline run``, ``watch``, ``runs``, ``events``, ``serve`` and the rest.

``main`` reads the arguments, imports the one command that was asked for, and turns what goes wrong
into one line on stderr and an exit code: 2 when the call is wrong, 1 when the call was right and
something failed. ``stayline run`` ends with the exit code of the program it ran.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from importlib import import_module

import stayline
from stayline.cli import output
from stayline.cli.arguments import parse
from stayline.cli.console import complain

__all__ = ["main"]

FAILURE = 1
USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    output.prepare()
    try:
        try:
            return _run(sys.argv[1:] if arguments is None else arguments)
        finally:
            # Here rather than at exit, where a closed pipe could no longer be answered.
            sys.stdout.flush()
    except (stayline.InvalidArgument, stayline.InvalidSettings) as error:
        complain(str(error))
        return USAGE
    except stayline.Error as error:
        complain(str(error))
        return FAILURE
    except BrokenPipeError:
        # The reader has seen enough (`… | head`).
        output.give_up()
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except OSError as error:
        output.give_up_if_stuck()
        complain(_text(error))
        return FAILURE
    except UnicodeError as error:
        complain(f"an argument is no text that can be sent or stored: {error}")
        return USAGE


def _run(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    command = import_module(f"stayline.cli.{options.command}")
    return int(command.main(options))


def _text(error: OSError) -> str:
    named = f"{error.filename!r}: " if error.filename else ""
    return f"{named}{error.strerror or error}"
