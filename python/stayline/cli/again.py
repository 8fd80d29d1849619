"""What commands that follow do when a server goes away: they say so, once, and ask again until it
answers; then they say that, and go on where they were.

A server that restarts answers 503 for a moment, then nothing, then as before: none of it is an end.
What it *refuses* is: a wrong key, a session that is not there any more. The first question of a
command is not asked again, so that a wrong address is told at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from stayline.cli.rest import ServerRefused

T = TypeVar("T")

#: Seconds between two attempts.
AGAIN = 1.0

#: The most, however long a server asks to be left alone.
_LONGEST = 30.0

#: What a server, or a proxy before it, answers while it cannot serve.
_FOR_NOW = (429, 502, 503, 504)


def may_pass(error: BaseException) -> bool:
    """Whether asking again may help."""
    if isinstance(error, ServerRefused):
        return error.status in _FOR_NOW
    return isinstance(error, ConnectionError)


def pause_after(error: BaseException | None) -> float:
    """Seconds to the next attempt: as long as the server asks for, within bounds."""
    asked = error.retry_after if isinstance(error, ServerRefused) else None
    return min(max(asked or 0.0, AGAIN), _LONGEST)


class Again:
    """Asks one server, and tells when it goes away and when it is back. ``tell`` prints."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._away = False
        #: Seconds to the next attempt.
        self.pause = AGAIN

    def ask(self, question: Callable[[], T]) -> T | None:
        """The answer; none while the server is away."""
        try:
            answer = question()
        except OSError as error:
            if not may_pass(error):
                raise
            self.look(error)
            return None
        self.look(None)
        return answer

    def look(self, trouble: BaseException | None) -> None:
        """Takes in that there is trouble, or none."""
        self.pause = pause_after(trouble)
        if trouble is not None and not self._away:
            text = str(trouble.strerror if isinstance(trouble, OSError) else trouble)
            self._tell(f"{text.partition('; is `stayline')[0]}; trying again")
        elif trouble is None and self._away:
            self._tell("the server is back")
        self._away = trouble is not None

    def wait(self) -> None:
        """Between two attempts."""
        time.sleep(self.pause)
