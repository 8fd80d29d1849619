"""What importing a module costs a new interpreter. Called by the benchmark with its name.

Prints one JSON object. Exits with 77 and a line that says why when it cannot be imported.
"""

from __future__ import annotations

import importlib
import sys
import time

NOT_IMPORTABLE = 77


def main(name: str) -> None:
    """Import the module, once."""
    # What is installed has its bytecode beside it; so has this from the second run on.
    sys.dont_write_bytecode = False
    started = time.perf_counter()
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(f"the module cannot be imported ({error}); build it first")
        sys.exit(NOT_IMPORTABLE)
    elapsed = time.perf_counter() - started
    print(f'{{"microseconds": {elapsed * 1e6}}}')


if __name__ == "__main__":
    main(sys.argv[1])
