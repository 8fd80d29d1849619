"""``stayline events``: what was stored for one session, and what comes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import islice

from stayline.cli.again import Again
from stayline.cli.console import complain
from stayline.cli.lines import line
from stayline.cli.output import json_line
from stayline.cli.source import Feed, opened
from stayline.cli.views import Query, Record


def main(options: argparse.Namespace) -> int:
    """Prints the events that match, oldest first."""
    with opened(options) as source:
        after = options.after
        if options.tail is not None:
            newest = source.state(options.session).last_event_id
            after = max(after, newest - options.tail)
        query = Query(after, options.types, options.execution, options.since, options.until)
        with closing(source.feed(options.session, query, follow=options.follow)) as feed:
            for record in islice(_records(feed, options.interval), options.limit):
                print(json_line(record.frame) if options.json else line(record))
    return 0


def _records(feed: Feed, interval: float) -> Iterator[Record]:
    again = Again(complain)
    while not feed.over:
        again.look(feed.trouble)
        yield from feed.take(interval)
        # Whoever reads a pipe wants to see now what there is now.
        sys.stdout.flush()
