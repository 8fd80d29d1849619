"""The sandbox's side of the host examples: an agent that prints steps, next to its wrapper.

The host gives it four words: where the server is, the session, the execution, and its token. The
wrapper does the rest: it sends, buffers while the connection is gone, reconnects and sends again.

    python examples/agent.py URL SESSION EXECUTION TOKEN [STEPS] [SECONDS_A_STEP]
"""

from __future__ import annotations

import sys
import time

import stayline


def main(url: str, session_id: str, execution_id: str, token: str, *more: str) -> int:
    """Runs the agent to its end; 0 when it completed."""
    steps, pause = int(more[0]) if more else 5, float(more[1]) if len(more) > 1 else 0.2
    with stayline.Wrapper(
        url, session_id=session_id, execution_id=execution_id, token=token
    ) as wrapper:
        for step in range(1, steps + 1):
            wrapper.send("output", {"text": f"step {step} of {steps}"})
            time.sleep(pause)
            if isinstance(wrapper.try_signal(), stayline.Kill):
                wrapper.interrupted("asked to stop")
                return 1
        ended = wrapper.complete()
    print(f"the run is {ended.status}")
    return 0 if ended.status == "completed" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
