"""What a look at a session costs from Python: ``session.active``, and a method that does nothing.

Called by the benchmark with the number of calls and what to call, ``active`` or ``empty``; prints
one JSON object with µs a call. Exits with 77 and a line that says why when the module cannot be
imported.
"""

from __future__ import annotations

import json
import sys
import time

NOT_IMPORTABLE = 77


def main(count: int, what: str) -> None:
    """Call it so often, and check that every call saw what is there."""
    try:
        from stayline import Coordinator
    except ImportError as error:
        print(f"the module cannot be imported ({error}); build it first")
        sys.exit(NOT_IMPORTABLE)
    with Coordinator("memory:") as coordinator:
        session = coordinator.session("session")
        execution = session.start()
        link = session.attach(execution.id, trusted=True)
        last: object = None
        started = time.perf_counter()
        if what == "active":
            for _ in range(count):
                last = session.active
        else:
            # Takes nothing, does nothing, and returns what it is called on.
            for _ in range(count):
                last = link.__enter__()
        elapsed = time.perf_counter() - started
        expected = execution.id if what == "active" else link
        if last != expected:
            sys.exit(f"the last call saw {last!r}")
    print(json.dumps({"microseconds": elapsed / count * 1e6}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
