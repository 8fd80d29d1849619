"""``stayline interrupt``: asks an execution to stop (R11)."""

from __future__ import annotations

import argparse
from typing import Any

import stayline
from stayline.cli.console import visible
from stayline.cli.reach import act
from stayline.cli.rest import Rest

_SAID = {
    "sent": "sent: its wrapper was told to stop",
    "latched": "latched: its wrapper is told as soon as it is connected",
    "already_terminal": "already_terminal: it had ended",
}


def main(options: argparse.Namespace) -> int:
    """Asks, and prints the verdict."""

    def by_store(session: stayline.Session) -> str:
        how: dict[str, Any] = {}
        if options.no_escalation or options.grace is not None:
            how["grace"] = None if options.no_escalation else options.grace
        return session.interrupt(options.execution, escalate=options.escalate, **how)

    def by_server(rest: Rest) -> str:
        body: dict[str, Any] = {"escalate": options.escalate}
        if options.no_escalation:
            body["graceMs"] = None
        elif options.grace is not None:
            body["graceMs"] = round(options.grace * 1000)
        return rest.interrupt(options.session, options.execution, body)

    verdict = act(options, by_store, by_server)
    print(_SAID.get(verdict) or visible(verdict))
    return 0
