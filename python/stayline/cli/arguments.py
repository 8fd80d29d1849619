"""What each command takes."""

from __future__ import annotations

import argparse
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import stayline
from stayline import _internal
from stayline.cli import about, secret, values
from stayline.cli.console import complain

USAGE = 2

_STATUSES = ["pending", "running", "completed", "failed", "interrupted"]
_BELOW = "the file (default: those below .stayline/)"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line; a wrong one ends the process with exit code 2."""
    options, unknown = tree().parse_known_args(list(arguments))
    _check_texts(options)
    if unknown:
        # What looks like an address may have a password in it.
        shown = " ".join(_internal._without_credentials(word) for word in unknown)
        _refuse(options.command, f"{options.command} does not take {shown}")
    if options.command == "run":
        _check_run(options)
    elif getattr(options, "to", None) is not None and options.store is not None:
        _refuse(options.command, "--store and --to exclude each other: a server has its own store")
    if getattr(options, "proxy", None) is not None:
        _check_proxy(options)
    if options.command == "serve":
        _check_tls(options)
    _find_secrets(options)
    return options


def settings(options: argparse.Namespace) -> stayline.Settings:
    """The settings of ``--set``; ``InvalidSettings`` when they contradict each other (R24)."""
    found: dict[str, Any] = dict(options.set)
    if getattr(options, "notifications", None) is not None:
        found["notifications"] = options.notifications == "on"
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

    add("demo", "see it hold through cuts and kills", about.DEMO, _add_demo)
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
    parser.add_argument(
        "--base-path",
        metavar="/PATH",
        default="",
        help="what stands before /sessions in every address, behind a proxy for example",
    )
    keys = _add_key(parser, "the key of REST and tickets; needed on anything but loopback")
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
        "--notifications",
        choices=["on", "off"],
        help="off: none are kept for a host that opens the file later (default: on)",
    )
    for option, meaning in (
        ("--max-sockets", "sockets at the same time (default: 10000)"),
        (
            "--max-unauthenticated-sockets",
            "those of them that were let in to nothing (default: 256)",
        ),
        ("--max-requests", "requests under way that read, or that change something (default: 256)"),
        ("--max-body-bytes", "the body of a request, in bytes (default: 2097152)"),
        ("--workers", "threads that drive sockets (default: 2)"),
    ):
        parser.add_argument(option, metavar="N", type=int, help=meaning)
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
    _add_secret(parser, "token", "that execution's token")
    _add_key(parser, "with --to: the server's key, to start an execution")
    _add_proxy(parser)
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
        "--stderr",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="keep the lines of its stderr, too (default: where stderr is no terminal)",
    )
    parser.add_argument(
        "--pty",
        action="store_true",
        help="give it a terminal of its own: colours, and output line by line",
    )
    parser.add_argument(
        "--init",
        action="store_true",
        help="wait for orphans, as the first process of a container must (there by itself)",
    )
    parser.add_argument(
        "--take-over",
        action="store_true",
        help="end first what the session's last run has left at work, if that was killed",
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


def _add_demo(parser: Parser) -> None:
    parser.add_argument(
        "--seed", metavar="N", type=int, default=7, help="of the network's cuts (default: 7)"
    )
    parser.add_argument(
        "--lines",
        metavar="N",
        type=values.positive,
        default=40_000,
        help="of output, in the first act (default: 40000)",
    )
    parser.add_argument("--keep", action="store_true", help="keep the store, and say where it is")


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
    _add_proxy(parser)


def _add_store(parser: Parser, text: str) -> None:
    parser.add_argument("--store", metavar="STORE", type=values.location, help=text)


def _add_key(parser: Parser, text: str) -> argparse._MutuallyExclusiveGroup:
    return _add_secret(parser, "key", text)


def _add_secret(parser: Parser, name: str, text: str) -> argparse._MutuallyExclusiveGroup:
    group = parser.add_mutually_exclusive_group()
    variable = f"STAYLINE_{name.upper()}"
    group.add_argument(
        f"--{name}",
        metavar=name.upper(),
        action=secret.Secret,
        default=os.environ.get(variable),
        help=f"{text} (default: {variable})",
    )
    group.add_argument(
        f"--{name}-file", metavar="PATH", type=Path, help=f"read the {name} from its first line"
    )
    return group


def _add_proxy(parser: Parser) -> None:
    parser.add_argument(
        "--proxy",
        metavar="URL",
        help="with --to: the proxy before the server, or none (default: what HTTPS_PROXY, "
        "HTTP_PROXY and NO_PROXY say)",
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


#: What the system takes as bytes: names of files, and another program's words.
_BYTES = {"program", "store", "output", "key_file", "tls_certificate", "tls_key"}
_SECRET = {"key", "token", "proxy"}


def _check_texts(options: argparse.Namespace) -> None:
    """An argument that is no UTF-8 names nothing that we could have stored."""
    for name, value in vars(options).items():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and name not in _BYTES and _no_text(text):
                shown = "the value" if name in _SECRET else repr(text)
                _refuse(options.command, f"{name.replace('_', '-')}: {shown} is not UTF-8")


def _no_text(text: str) -> bool:
    return any("\ud800" <= one <= "\udfff" for one in text)


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


def _check_proxy(options: argparse.Namespace) -> None:
    if options.to is None:
        _refuse(options.command, "--proxy needs --to, the server behind it")
    if not options.proxy:
        _refuse(options.command, "--proxy is empty; say none, or http://proxy.example:3128")


def _check_tls(options: argparse.Namespace) -> None:
    if (options.tls_certificate is None) != (options.tls_key is None):
        given, missing = "--tls-certificate", "--tls-key"
        if options.tls_certificate is None:
            given, missing = missing, given
        _refuse("serve", f"{given} needs {missing}: TLS takes a certificate and its key")


def _find_secrets(options: argparse.Namespace) -> None:
    if getattr(options, "new_key", False):
        options.key = secrets.token_urlsafe(24)
    for name in ("key", "token"):
        path = getattr(options, f"{name}_file", None)
        if path is not None:
            try:
                setattr(options, name, secret.read(path, name))
            except ValueError as error:
                _refuse(options.command, str(error))


def _refuse(command: str, wrong: str) -> NoReturn:
    complain(f"{wrong}; see: stayline {command} --help")
    raise SystemExit(USAGE)
