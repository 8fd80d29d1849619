"""The way into the command ``stayline``: what the console script calls.

Python takes a moment to read the command line's modules. A Ctrl-C in it would end in a traceback
through whatever was just being read, so that it is answered here, before anything of that: there is
nothing to clean up yet.
"""

import os
from signal import SIGINT, default_int_handler, getsignal, signal

_INTERRUPTED = 128 + SIGINT


def main() -> int:
    """Runs the command line; its exit code."""
    # Who starts it may have it ignored, as a shell does for what runs behind it.
    is_heeded = getsignal(SIGINT) is default_int_handler
    if is_heeded:
        signal(SIGINT, _leave)
    from stayline.cli import main

    try:
        if is_heeded:
            signal(SIGINT, default_int_handler)
        return main()
    except KeyboardInterrupt:
        return _INTERRUPTED


def _leave(_number: int, _frame: object) -> None:
    os._exit(_INTERRUPTED)
