"""What each command takes."""

from __future__ import annotations

import argparse
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import stayline
from stayline.cli import about, values
from stayline.cli.console import complain

USAGE = 2

_STATUSES = ["pending", "running", "completed", "failed", "interrupted"]
_BELOW = "the file (default: those below .stayline/)"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line; a wrong one ends the process with exit code 2."""
    options, unknown = tree().parse_known_args(list(arguments))
    if unknown:
        _refuse(options.command, f"{options.command} does not take {' '.join(unknown)}")
    if options.command == "run":
        _check_run(options)
    elif getattr(options, "to", None) is not None and options.store is not None:
        _refuse(options.command, "--store and --to exclude each other: a server has its own store")
    if options.command == "serve":
        _check_tls(options)
    if getattr(options, "key_file", None) is not None or getattr(options, "new_key", False):
        _find_key(options)
    return options


def settings(options: argparse.Namespace) -> stayline.Settings:
    """The settings of ``--set``; ``InvalidSettings`` when they contradict each other (R24)."""
    found: dict[str, Any] = dict(options.set)
    return stayline.Settings(**found)


class Parser(argparse.ArgumentParser):
    """One that says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        """One line that says what is wrong and where the help is."""
        complain(f"{message}; see: {self.prog} --help")
        self.exit(USAGE)


def tree() -> Parser:
    """All commands with all they take; ``completion`` reads it too."""
    parser = Parser(
        prog="stayline",
        description=about.STAYLINE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"stayline {stayline.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, summary: str, text: str, fill: Callable[[Parser], None]) -> None:
        command: Parser = commands.add_parser(
            name,
            help=summary,
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            # An abbreviation that works today would break with tomorrow's option.
            allow_abbrev=False,
        )
        fill(command)

    add("run", "run a program as an execution", about.RUN, _add_run)
    add("watch", "see runs, or one session, as they go", about.WATCH, _add_watch)
    add("runs", "list executions", about.RUNS, _add_runs)
    add("events", "print a session's events", about.EVENTS, _add_events)
    add("timeline", "draw how a session's runs went", about.TIMELINE, _add_timeline)
    add("interrupt", "ask an execution to stop", about.INTERRUPT, _add_interrupt)
    add("fail", "end an execution as failed", about.FAIL, _add_fail)
    add("serve", "run a coordinator and serve it", about.SERVE, _add_serve)
    add("completion", "teach your shell", about.COMPLETION, _add_completion)
    return parser


def _add_serve(parser: Parser) -> None:
    _add_store(parser, "sqlite:PATH or memory: (default: sqlite:.stayline/serve.db)")
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default="127.0.0.1:8787",
        help="where to listen; port 0 takes a free one (default: %(default)s)",
    )
    keys = parser.add_mutually_exclusive_group()
    _add_key(keys, "the key of REST and tickets; needed on anything but loopback")
    keys.add_argument(
        "--key-file", metavar="PATH", type=Path, help="read the key from a file's first line"
    )
    keys.add_argument(
        "--new-key", action="store_true", help="make a key for this time, and print it"
    )
    parser.add_argument(
        "--tls-certificate",
        metavar="FILE",
        type=Path,
        help="serve https:// with this certificate (PEM, with what leads to its authority's)",
    )
    parser.add_argument(
        "--tls-key", metavar="FILE", type=Path, help="its private key (PEM, no passphrase)"
    )
    parser.add_argument(
        "--allow-origin",
        metavar="ORIGIN",
        action="append",
        default=[],
        help="a web page's origin that may connect; may be repeated",
    )
    _add_set(parser)


def _add_run(parser: Parser) -> None:
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
        type=values.seconds,
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


def _add_watch(parser: Parser) -> None:
    parser.add_argument(
        "session", metavar="SESSION", nargs="?", help="the session's id (default: all runs)"
    )
    _add_place(parser)
    parser.add_argument(
        "--tail",
        metavar="N",
        type=values.number,
        default=20,
        help="begin with this many events of the past (default: 20)",
    )
    parser.add_argument(
        "--types", metavar="A,B", type=values.names, help="only events of these types"
    )
    parser.add_argument(
        "--limit",
        metavar="N",
        type=values.positive,
        default=20,
        help="without a session: at most this many runs (default: 20)",
    )
    _add_interval(parser)
    parser.add_argument(
        "--until-end", action="store_true", help="end when the session's active run has ended"
    )
    _add_json(parser)


def _add_events(parser: Parser) -> None:
    _add_session(parser)
    _add_place(parser)
    parser.add_argument(
        "--after", metavar="ID", type=values.number, default=0, help="only events behind this one"
    )
    parser.add_argument(
        "--types", metavar="A,B", type=values.names, help="only events of these types"
    )
    parser.add_argument("--execution", metavar="ID", help="only this execution's events")
    parser.add_argument(
        "--since", metavar="TIME", type=values.moment, help="only events of then or later"
    )
    parser.add_argument(
        "--until", metavar="TIME", type=values.moment, help="only events of then or earlier"
    )
    parser.add_argument("--limit", metavar="N", type=values.number, help="at most this many")
    parser.add_argument(
        "--tail", metavar="N", type=values.number, help="begin that many ids before the newest"
    )
    parser.add_argument(
        "--follow", "-f", action="store_true", help="go on with what comes, until Ctrl-C"
    )
    _add_interval(parser)
    _add_json(parser)


def _add_runs(parser: Parser) -> None:
    _add_place(parser)
    parser.add_argument("--session", metavar="ID", help="only this session's executions")
    parser.add_argument("--status", choices=_STATUSES, help="only executions with this status")
    parser.add_argument(
        "--limit",
        metavar="N",
        type=values.number,
        default=20,
        help="at most this many (default: 20)",
    )
    parser.add_argument(
        "--names", action="store_true", help="only the sessions' ids, one a line, each once"
    )
    _add_json(parser)


def _add_timeline(parser: Parser) -> None:
    _add_session(parser)
    _add_store(parser, _BELOW)
    parser.add_argument(
        "--output", "-o", metavar="PATH", help="run.html or run.svg (default: the terminal)"
    )
    parser.add_argument(
        "--execution", metavar="ID", action="append", help="only this one; may be repeated"
    )
    parser.add_argument(
        "--limit",
        metavar="N",
        type=values.positive,
        default=10,
        help="the newest so many executions (default: 10)",
    )


def _add_fail(parser: Parser) -> None:
    _add_session(parser)
    _add_execution(parser)
    parser.add_argument("--message", "-m", metavar="TEXT", required=True, help="why, for people")
    _add_place(parser)


def _add_interrupt(parser: Parser) -> None:
    _add_session(parser)
    _add_execution(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--escalate", action="store_true", help="send SIGKILL at once")
    how.add_argument(
        "--grace",
        metavar="SECONDS",
        type=values.seconds,
        help="from SIGTERM to SIGKILL (default: the interrupt_grace_ms of the coordinator)",
    )
    how.add_argument("--no-escalation", action="store_true", help="never send SIGKILL")
    _add_place(parser)


def _add_completion(parser: Parser) -> None:
    parser.add_argument("shell", choices=["bash", "zsh", "fish"], help="whose language to speak")


# --- what several take ----------------------------------------------------------------------------


def _add_session(parser: Parser) -> None:
    parser.add_argument("session", metavar="SESSION", help="the session's id")


def _add_execution(parser: Parser) -> None:
    parser.add_argument(
        "execution", metavar="EXECUTION", nargs="?", help="its id (default: the active one)"
    )


def _add_place(parser: Parser) -> None:
    """A file, or a server."""
    _add_store(parser, _BELOW)
    parser.add_argument("--to", metavar="URL", help="ask this server instead of a file")
    _add_key(parser, "with --to: the server's key")


def _add_store(parser: Parser, text: str) -> None:
    parser.add_argument("--store", metavar="STORE", type=values.location, help=text)


def _add_key(parser: argparse._ActionsContainer, text: str) -> None:
    parser.add_argument(
        "--key",
        metavar="KEY",
        default=os.environ.get("STAYLINE_KEY"),
        help=f"{text} (default: STAYLINE_KEY)",
    )


def _add_set(parser: Parser) -> None:
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        type=values.setting,
        action="append",
        default=[],
        help="a setting (docs/settings.md); may be repeated",
    )


def _add_interval(parser: Parser) -> None:
    parser.add_argument(
        "--interval",
        metavar="SECONDS",
        type=values.interval,
        default=0.5,
        help="between two looks (default: 0.5)",
    )


def _add_json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


# --- what argparse cannot say ---------------------------------------------------------------------


def _check_run(options: argparse.Namespace) -> None:
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
        _refuse("run", wrong)


def _check_tls(options: argparse.Namespace) -> None:
    if (options.tls_certificate is None) != (options.tls_key is None):
        given, missing = "--tls-certificate", "--tls-key"
        if options.tls_certificate is None:
            given, missing = missing, given
        _refuse("serve", f"{given} needs {missing}: TLS takes a certificate and its key")


def _find_key(options: argparse.Namespace) -> None:
    if options.new_key:
        options.key = secrets.token_urlsafe(24)
        return
    try:
        with options.key_file.open(encoding="utf-8") as file:
            options.key = file.readline().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        _refuse("serve", f"cannot read the key from {str(options.key_file)!r}: {reason}")
    if not options.key:
        _refuse("serve", f"the first line of {str(options.key_file)!r} is empty; a key goes there")


def _refuse(command: str, wrong: str) -> NoReturn:
    complain(f"{wrong}; see: stayline {command} --help")
    raise SystemExit(USAGE)
