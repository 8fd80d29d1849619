"""``stayline serve``: a coordinator on a file, reachable by wrappers and readers."""

from __future__ import annotations

import argparse
import logging
import signal
import sys

import stayline
from stayline.cli import arguments, places
from stayline.cli.signals import SignalWatch


def main(options: argparse.Namespace) -> int:
    """Serves until SIGINT, SIGTERM or SIGHUP; then closes links with 1012 and ends."""
    settings = arguments.settings(options)
    if options.store is None:
        places.make_folder()
    location = options.store or places.SERVED
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    stops = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # Watched from before the store is opened: a stop during recovery is a stop too.
    with SignalWatch(*stops) as watch, stayline.Coordinator(location, settings=settings) as owner:
        server = owner.serve(
            options.listen,
            key=options.key,
            allowed_origins=options.allow_origin or None,
            tls_certificate=options.tls_certificate,
            tls_key=options.tls_key,
        )
        with server:
            print(_banner(owner, server, options), flush=True)
            taken = watch.wait()
            print(f"{taken[0].name}: closing links, wrappers will come back", flush=True)
    print("stopped", flush=True)
    return 0


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
