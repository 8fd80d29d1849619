"""``stayline events``: what was stored for one session."""

from __future__ import annotations

import argparse
import re

import stayline
from stayline.cli import places
from stayline.cli.console import complain

#: Control characters of stored output must not steer the reader's terminal.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def main(options: argparse.Namespace) -> int:
    """Prints the events that match, oldest first."""
    locations = places.readable(options.store)
    if not locations:
        complain(f"nothing ran here: there is no {places.FOLDER}/*.db; name a file by --store")
        return 1
    for location in locations:
        with places.reader(location) as coordinator:
            session = coordinator.session(options.session)
            try:
                session.info()
            except stayline.NotFound:
                continue
            _print(session, options)
            return 0
    where = ", ".join(locations)
    complain(f"no session {options.session!r} in {where}; `stayline runs` lists what there is")
    return 1


def _print(session: stayline.Session, options: argparse.Namespace) -> None:
    executions = None
    if options.execution is not None:
        # An unknown one is an error rather than an empty answer.
        executions = [session.execution(options.execution).id]
    found = session.events(
        after=options.after, types=options.types, executions=executions, limit=options.limit
    )
    for event in found:
        print(event.frame if options.json else _line(event))


def _line(event: stayline.Event) -> str:
    at = event.timestamp.astimezone().strftime("%H:%M:%S.%f")[:-3]
    late = " (late)" if event.late else ""
    return f"{event.id:>7}  {at}  {event.type}{late}  {_visible(_text(event))}"


def _text(event: stayline.Event) -> str:
    """The text of an output event, and the data of any other as it was sent."""
    data = event.data
    if event.type == "output" and isinstance(data, dict):
        text = data.get("text")
        if isinstance(text, str) and set(data) <= {"text", "part", "last", "base64"}:
            return text
    return event.raw_data


def _visible(text: str) -> str:
    return _CONTROL.sub(lambda found: f"\\x{ord(found.group()):02x}", text)
