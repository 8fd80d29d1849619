"""Whether the store of a server is still there, for a run that reports to it.

A server whose files are removed or moved in mid-run goes on, and stores nothing: it closes its
links, refuses new ones, and says so at ``/health``. A wrapper takes that for one more failed
attempt, and tries again for as long as it takes. So while the link is gone the server is asked what
is wrong, on a thread beside, and at the end how much of the run it has.
"""

from __future__ import annotations

import argparse
import re
import threading

import stayline
from stayline.cli.rest import Rest, ServerRefused, segment

#: Seconds. Whoever waits for more is not told, and asked again with the next attempt.
_PATIENCE = 5.0


def reason(error: str) -> str:
    """What happened, of a ``StoreError`` that is for good: there is nothing to try again."""
    found = re.search(r"; try again \((.*)\)$", error, flags=re.DOTALL)
    return error if found is None else found.group(1)


class ServedStore:
    """The store behind a server, as far as one run is concerned."""

    def __init__(self, rest: Rest, session_id: str, execution_id: str) -> None:
        self._rest = rest
        self._session_id = session_id
        self._execution_id = execution_id
        self._asking: threading.Thread | None = None
        #: Links that came back; what was asked before the last of them is of no interest.
        self._returns = 0
        #: What the server says is wrong, at its last answer.
        self.trouble: str | None = None
        #: The last that was ever wrong.
        self.was_gone: str | None = None
        #: The server does not know the run.
        self.is_forgotten = False

    @classmethod
    def of(
        cls, options: argparse.Namespace, session_id: str, execution_id: str
    ) -> ServedStore | None:
        """The store behind ``--to``. What cannot be sent is of no use here."""
        try:
            rest = Rest.of(options)
        except stayline.InvalidArgument:
            return None
        return cls(rest, session_id, execution_id)

    def ask(self) -> None:
        """Has the server asked; ``trouble`` says later what it answered. Never waits."""
        if self._asking is not None and self._asking.is_alive():
            return
        self._asking = threading.Thread(target=self._ask, name="stayline-health", daemon=True)
        self._asking.start()

    def _ask(self) -> None:
        returns, trouble = self._returns, None
        try:
            self._rest.health(_PATIENCE)
        except ServerRefused as error:
            # Anything else that refuses is not the server, or says nothing of its store.
            trouble = reason(error.text) if error.name == "StoreError" else None
        except (OSError, stayline.Error):
            pass
        if returns == self._returns:
            self.trouble = trouble
            self.was_gone = trouble or self.was_gone

    def is_back(self) -> None:
        """A link is up again: the server stores."""
        self._returns += 1
        self.trouble = None

    def kept(self) -> int | None:
        """How many events of the run the server has; ``None`` when it does not say."""
        path = f"{segment(self._session_id)}/executions/{segment(self._execution_id)}"
        try:
            return int(self._rest.get(path, {"events": "true"}, timeout=_PATIENCE)["events"])
        except stayline.NotFound:
            self.is_forgotten = True
            return 0
        except (OSError, KeyError, TypeError, ValueError):
            return None
