"""``stayline fail``: ends an execution from outside (R7)."""

from __future__ import annotations

import argparse

import stayline
from stayline.cli.console import visible
from stayline.cli.reach import act
from stayline.cli.rest import Rest, segment


def main(options: argparse.Namespace) -> int:
    """Fails it; one that has ended already stays as it is, which is no error."""

    def by_store(session: stayline.Session) -> tuple[str, bool]:
        named = options.execution or session.active
        if named is None:
            raise stayline.NoActiveExecution(_nothing(options.session))
        return named, session.fail(named, options.message)

    def by_server(rest: Rest) -> tuple[str, bool]:
        named = options.execution or rest.get(segment(options.session))["activeExecutionId"]
        if named is None:
            raise stayline.NoActiveExecution(_nothing(options.session))
        return named, rest.fail(options.session, named, options.message)

    execution_id, done = act(options, by_store, by_server)
    shown = visible(execution_id)
    print(f"failed {shown}" if done else f"{shown} had ended already")
    return 0


def _nothing(session: str) -> str:
    return f"nothing is active in {session!r}; name an execution, or see `stayline runs`"
