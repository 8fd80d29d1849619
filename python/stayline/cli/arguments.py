"""What each command takes, and the help that teaches it."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from typing import Any, NoReturn

import stayline
from stayline.cli.console import complain

USAGE = 2

_ABOUT = """\
Keeps long agent runs on the line: their status, their events, their clean-up.

  stayline run -- make test                 run a program and keep what it prints
  stayline runs                             what ran here, and how it ended
  stayline events SESSION                   what one session said
  stayline serve                            let wrappers and readers on other machines in
"""

_SERVE = """\
Runs a coordinator on an SQLite file and serves wrappers, readers and REST until Ctrl-C.

  stayline serve
  stayline serve --store sqlite:/var/lib/agents/runs.db --listen 127.0.0.1:9000
  STAYLINE_KEY=… stayline serve --listen 0.0.0.0:8787
  stayline serve --set disconnect_grace_ms=30000

One coordinator owns the file; `stayline runs` and `stayline events` read it meanwhile.
A server that other machines can reach needs a key.
"""

_RUN = """\
Runs any program as one execution. Its output passes through unchanged; each line of its stdout
becomes an event: a JSON object as it is, anything else as `output`. Ctrl-C, SIGTERM and SIGHUP
reach the program. The exit code is the program's.

  stayline run -- python crawl.py --depth 3
  stayline run --session nightly -- make test
  stayline run --to http://127.0.0.1:8787 -- ./agent
  stayline run --to https://runs.example.org --session ID --execution ID -- ./agent

Without --to the events go to a file of their own below .stayline/ (`stayline runs` lists it).
With --to the execution is started through REST (key: STAYLINE_KEY), unless --execution names one
that is started already (token: STAYLINE_TOKEN). When the connection breaks, lines wait and are
sent again; when too many wait, the program waits too. Nothing is dropped.
"""

_EVENTS = """\
Prints what was stored for a session, oldest first. Works while a coordinator owns the file.

  stayline events nightly
  stayline events nightly --types output,error --limit 20
  stayline events nightly --after 1200 --json | jq .data
"""

_RUNS = """\
Lists executions, newest first. Works while a coordinator owns the file.

  stayline runs
  stayline runs --status failed
  stayline runs --store sqlite:/var/lib/agents/runs.db --json
"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line; a wrong one ends the process with exit code 2."""
    options = _parser().parse_args(list(arguments))
    if options.command == "run":
        _check_run(options)
    return options


def settings(options: argparse.Namespace) -> stayline.Settings:
    """The settings of ``--set``; ``InvalidSettings`` when they contradict each other (R24)."""
    values: dict[str, Any] = dict(options.set)
    return stayline.Settings(**values)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line that says what is wrong and where the help is."""
        complain(f"{message}; see: {self.prog} --help")
        self.exit(USAGE)


def _parser() -> _Parser:
    parser = _Parser(
        prog="stayline", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"stayline {stayline.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_serve(_command(commands, "serve", "run a coordinator and serve it", _SERVE))
    _add_run(_command(commands, "run", "run a program as an execution", _RUN))
    _add_events(_command(commands, "events", "print a session's events", _EVENTS))
    _add_runs(_command(commands, "runs", "list executions", _RUNS))
    return parser


def _command(commands: Any, name: str, summary: str, about: str) -> _Parser:
    parser: _Parser = commands.add_parser(
        name,
        help=summary,
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # An abbreviation that works today would break with tomorrow's option.
        allow_abbrev=False,
    )
    return parser


def _add_serve(parser: _Parser) -> None:
    _add_store(parser, "sqlite:PATH or memory: (default: sqlite:.stayline/serve.db)")
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default="127.0.0.1:8787",
        help="where to listen; port 0 takes a free one (default: %(default)s)",
    )
    _add_key(parser, "the key of REST and tickets; needed on anything but loopback")
    parser.add_argument(
        "--allow-origin",
        metavar="ORIGIN",
        action="append",
        default=[],
        help="a web page's origin that may connect; may be repeated",
    )
    _add_set(parser)


def _add_run(parser: _Parser) -> None:
    parser.add_argument("--to", metavar="URL", help="the server to report to")
    parser.add_argument("--session", metavar="ID", help="the session (default: a new one)")
    parser.add_argument(
        "--execution", metavar="ID", help="with --to: an execution that was started already"
    )
    parser.add_argument(
        "--token",
        metavar="T",
        default=os.environ.get("STAYLINE_TOKEN"),
        help="that execution's token (default: STAYLINE_TOKEN)",
    )
    _add_key(parser, "with --to: the server's key, to start an execution")
    parser.add_argument("--mode", metavar="TEXT", help="kept with the execution, for the reader")
    _add_store(parser, "without --to: the file (default: sqlite:.stayline/runs.db)")
    parser.add_argument(
        "--stop-grace",
        metavar="SECONDS",
        type=_seconds,
        default=5.0,
        help="from SIGTERM to SIGKILL when the coordinator stops the run (default: 5)",
    )
    parser.add_argument(
        "--quiet", action="store_true", help="leave out the closing line when all went well"
    )
    _add_set(parser)
    parser.add_argument(
        "program", metavar="COMMAND", nargs=argparse.REMAINDER, help="the program, after --"
    )


def _add_events(parser: _Parser) -> None:
    parser.add_argument("session", metavar="SESSION", help="the session's id")
    _add_store(parser, "the file (default: those below .stayline/)")
    parser.add_argument(
        "--after", metavar="ID", type=_number, default=0, help="only events behind this one"
    )
    parser.add_argument("--types", metavar="A,B", type=_names, help="only events of these types")
    parser.add_argument("--execution", metavar="ID", help="only this execution's events")
    parser.add_argument("--limit", metavar="N", type=_number, help="at most this many")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _add_runs(parser: _Parser) -> None:
    _add_store(parser, "the file (default: those below .stayline/)")
    parser.add_argument("--session", metavar="ID", help="only this session's executions")
    parser.add_argument(
        "--status",
        choices=["pending", "running", "completed", "failed", "interrupted"],
        help="only executions with this status",
    )
    parser.add_argument(
        "--limit", metavar="N", type=_number, default=20, help="at most this many (default: 20)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _add_store(parser: _Parser, text: str) -> None:
    parser.add_argument("--store", metavar="STORE", type=_location, help=text)


def _add_key(parser: _Parser, text: str) -> None:
    parser.add_argument(
        "--key",
        metavar="KEY",
        default=os.environ.get("STAYLINE_KEY"),
        help=f"{text} (default: STAYLINE_KEY)",
    )


def _add_set(parser: _Parser) -> None:
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        type=_setting,
        action="append",
        default=[],
        help="a setting (docs/settings.md); may be repeated",
    )


def _check_run(options: argparse.Namespace) -> None:
    """What argparse cannot say about ``run``."""
    program = options.program
    if program[:1] == ["--"]:
        program = program[1:]
    options.program = program
    wrong = None
    if not program:
        wrong = "no program given; write it after --"
    elif options.to is None and options.execution is not None:
        wrong = "--execution needs --to, the server that knows it"
    elif options.to is not None and options.store is not None:
        wrong = "--store and --to exclude each other: the server has a store of its own"
    elif options.execution is not None and options.session is None:
        wrong = "--execution needs --session, the session it belongs to"
    if wrong is not None:
        complain(f"{wrong}; see: stayline run --help")
        raise SystemExit(USAGE)


def _location(text: str) -> str:
    """A store. A bare path is an SQLite file, which is what people mean by it."""
    if text == "memory:" or text.startswith(("sqlite:", "postgresql://", "postgres://")):
        return text
    if not text:
        raise argparse.ArgumentTypeError("empty; write sqlite:PATH or memory:")
    return f"sqlite:{text}"


def _setting(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    known = {row["name"] for row in stayline.Settings.table()}
    if name not in known:
        close = [one for one in sorted(known) if one.startswith(name) or name in one]
        hint = f"; there are: {', '.join(close)}" if close else "; docs/settings.md lists them"
        raise argparse.ArgumentTypeError(f"there is no setting {name!r}{hint}")
    try:
        return name, json.loads(value)
    except ValueError:
        # Words need no quotes: `overflow=block`.
        return name, value


def _number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= 86_400.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 86400")
    return seconds


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list like output,error")
    return names
