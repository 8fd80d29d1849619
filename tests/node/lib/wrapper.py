"""Our wrapper, led by lines on stdin; what it is told goes to stdout, one line each."""

from __future__ import annotations

import json
import sys
import threading

import stayline


def main() -> None:
    """Arguments: the server's address, and settings as JSON."""
    url, settings = sys.argv[1], json.loads(sys.argv[2])
    wrapper = stayline.Wrapper(
        url,
        session_id="node/session:1",
        execution_id="exc_1",
        token="secret",
        settings=stayline.Settings(**settings),
    )
    with wrapper:
        wrapper.start_job()
        wrapper.begin_turn()
        say("connected")
        threading.Thread(target=listen, args=(wrapper,), daemon=True).start()
        for line in sys.stdin:
            order = json.loads(line)
            if "send" in order:
                wrapper.send("output", {"text": order["send"]})
                say(f"sent {order['send']}")
            elif "aborted" in order:
                wrapper.aborted()
                say(f"ended {wrapper.outcome(timeout=20).status}")
                return
            elif "complete" in order:
                ended = wrapper.complete(order["complete"], branch="main", timeout=20)
                say(f"ended {ended.status} {ended.unacknowledged}")
                return


def listen(wrapper: stayline.Wrapper) -> None:
    for signal in wrapper.signals():
        if isinstance(signal, stayline.Kill):
            say(f"kill {signal.signal}")
        elif isinstance(signal, stayline.Command):
            say(f"command {signal.data['type']}")
        elif isinstance(signal, stayline.Disconnected):
            say(f"disconnected {signal.reason}")
        elif isinstance(signal, stayline.Reconnecting | stayline.Reconnected):
            say(type(signal).__name__.lower())


def say(text: str) -> None:
    print(text, flush=True)


main()
