"""What one event costs through ``link.receive`` from Python, on ``memory:``.

Called by the benchmark with the number of events and one frame without a number; prints one
JSON object. Exits with 77 and a line that says why when the module cannot be imported.
"""

from __future__ import annotations

import json
import sys
import time

LOOK_EVERY = 64
NOT_IMPORTABLE = 77


def main(count: int, frame: str) -> None:
    """Hand ``count`` frames over, and check that every one was stored and acknowledged."""
    try:
        from stayline import Coordinator, Send
    except ImportError as error:
        print(f"the module cannot be imported ({error}); build it first")
        sys.exit(NOT_IMPORTABLE)
    opened = frame.removesuffix("}")
    frames = [f'{opened},"seq":{seq}}}' for seq in range(1, count + 1)]
    with Coordinator("memory:") as coordinator:
        session = coordinator.session("session")
        execution = session.start()
        link = session.attach(
            execution.id, trusted=True, acknowledged=True, producer="bench", attempt=1
        )
        receive, try_output = link.receive, link.try_output
        last = None
        started = time.perf_counter()
        for seq, text in enumerate(frames, 1):
            receive(text)
            if seq % LOOK_EVERY == 0 or seq == count:
                while (output := try_output()) is not None:
                    last = output
        elapsed = time.perf_counter() - started
        acked = json.loads(last.text)["seq"] if isinstance(last, Send) else None
        newest = next(iter(session.events(after=count - 1)), None)
        if acked != count or newest is None or newest.id != count:
            sys.exit(f"{acked} of {count} events are acknowledged, the newest stored is {newest}")
    print(json.dumps({"microseconds": elapsed / count * 1e6}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
