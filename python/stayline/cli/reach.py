"""How ``fail`` and ``interrupt`` reach the one coordinator that may act on a session.

One coordinator owns a file. When nobody does, we are it, for a moment. When a server does, it says
where it is, and is asked. Otherwise its owner is a program that only its own process can stop.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

import stayline
from stayline.cli import places
from stayline.cli.console import complain
from stayline.cli.rest import Rest, ServerRefused

T = TypeVar("T")


def act(
    options: argparse.Namespace,
    by_store: Callable[[stayline.Session], T],
    by_server: Callable[[Rest], T],
) -> T:
    """Does it where the session lives. ``NotFound`` for an unknown one, ``StoreInUse`` when its
    owner can only be reached as a process."""
    if options.to is not None:
        return by_server(Rest.of(options))
    location = _locate(options.store, options.session)
    try:
        with places.open_named(location) as coordinator:
            return by_store(coordinator.session(options.session))
    except stayline.StoreInUse as owner:
        if owner.url is None:
            raise
        try:
            return by_server(Rest(owner.url, options.key))
        except ServerRefused as refusal:
            if refusal.name != "Unauthorized":
                raise
            raise ConnectionError(
                None,
                f"process {owner.pid} owns {location} and serves {owner.url}; give its key by "
                f"STAYLINE_KEY or --key, or, if it is `stayline run`, stop it: kill {owner.pid}",
            ) from None


def _locate(location: str | None, session: str) -> str:
    found = places.readable(location)
    if not found:
        raise stayline.NotFound(
            f"nothing ran here: there is no {places.FOLDER}/*.db; name a file by --store, "
            "or a server by --to"
        )
    known = []
    for one in found:
        try:
            with places.reader(one) as coordinator:
                coordinator.session(session).info()
        except stayline.NotFound:
            continue
        except (stayline.StoreError, stayline.StoreFormat) as error:
            if location is not None:
                raise places.naming(one, error) from None
            complain(f"{places.naming(one, error)}; it was not looked into")
            continue
        known.append((one, one))
    return places.only_one(session, known, ", ".join(found))[0]
