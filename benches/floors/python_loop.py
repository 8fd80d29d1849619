"""The floor of any call from Python: the loop itself, and a call that hands one ``str`` over.

Called with the number of calls; prints one JSON object with µs a call.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque


def main(count: int) -> None:
    """Hand ``count`` texts to something that does next to nothing with them."""
    texts = [f"text {number}" for number in range(count)]
    receive = deque[str](maxlen=1).append
    started = time.perf_counter()
    for _, text in enumerate(texts, 1):
        receive(text)
    elapsed = time.perf_counter() - started
    print(json.dumps({"microseconds": elapsed / count * 1e6}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
