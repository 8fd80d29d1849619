"""``stayline serve``: a coordinator on a file, reachable by wrappers and readers."""

from __future__ import annotations

import argparse
import logging
import signal
import sys

import stayline
from stayline.cli import arguments, places
from stayline.cli.console import complain
from stayline.cli.output import say
from stayline.cli.signals import SignalWatch


def main(options: argparse.Namespace) -> int:
    """Serves until SIGINT, SIGTERM or, without TLS, SIGHUP; then closes links with 1012 and ends.

    With TLS, SIGHUP has the certificate read anew.
    """
    settings = arguments.settings(options)
    if options.store is None:
        places.make_folder()
    location = options.store or places.SERVED
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    stops = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # Watched from before the store is opened: a stop during recovery is a stop too.
    with SignalWatch(*stops) as watch, places.open_named(location, settings) as owner:
        server = owner.serve(
            options.listen,
            key=options.key,
            base_path=options.base_path,
            allowed_origins=options.allow_origin or None,
            tls_certificate=options.tls_certificate,
            tls_key=options.tls_key,
            max_sockets=options.max_sockets,
            max_unauthenticated_sockets=options.max_unauthenticated_sockets,
            max_requests=options.max_requests,
            max_body_bytes=options.max_body_bytes,
            workers=options.workers,
        )
        with server:
            say(_banner(owner, server, options))
            taken = watch.wait()
            while taken[0].number == signal.SIGHUP and options.tls_certificate is not None:
                _reload(server)
                taken = taken[1:] or watch.wait()
            say(f"{taken[0].name}: closing links, wrappers will come back")
    say("stopped")
    return 0


def _reload(server: stayline.Server) -> None:
    try:
        server.reload_tls()
    except stayline.InvalidArgument as error:
        complain(f"the certificate of before is served on: {error}")
    else:
        say("SIGHUP: the certificate was read anew")


def _banner(
    owner: stayline.Coordinator, server: stayline.Server, options: argparse.Namespace
) -> str:
    base = f"{server.url}/sessions/SESSION"
    if options.key is None:
        key = "none: reachable from this machine only"
    elif options.new_key:
        key = f"{options.key}   (for this time; STAYLINE_KEY=… for those who call)"
    else:
        key = "needed: Authorization: Bearer KEY, or STAYLINE_KEY=… for the command line"
    lines = [
        f"Stayline {stayline.__version__} serves {server.url}",
        f"  store     {owner.location}",
        f"  start     POST {base}/executions",
        f"  wrappers  {base}/ingest   (stayline run --to {server.url} -- COMMAND)",
        f"  readers   {base}/stream   (WebSocket; server-sent events: /events)",
        f"  watch     stayline watch --to {server.url}",
        f"  key       {key}",
    ]
    if options.tls_certificate is not None:
        lines.append(f"  TLS       {options.tls_certificate}; callers use a name that it is for")
    elif options.key is not None:
        lines.append("  TLS       none: a proxy in front should have it, or --tls-certificate")
    lines.append("Ctrl-C stops it; what was acknowledged is in the store.")
    return "\n".join(lines)
