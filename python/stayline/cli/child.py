"""The program that ``stayline run`` runs: started, signalled, lent the terminal, waited for.

It gets a process group of its own, so that a stop reaches everything it started and never the
wrapper beside it. On a terminal that group becomes the foreground one, as a shell would have it:
Ctrl-C goes to the program, and it can read what is typed. Its stdin and stderr are ours; only its
stdout is a pipe.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

#: What Python ignores for itself, and a program must not inherit as ignored.
_RESTORED = [signal.SIGPIPE, signal.SIGXFSZ]


class Child:
    """A started program. ``output`` is the reading end of its stdout."""

    def __init__(self, program: Sequence[str]) -> None:
        """Starts it; ``OSError`` when that does not work."""
        self._terminal = _Terminal()
        self.output, writer = os.pipe()
        try:
            self.pid = os.posix_spawnp(
                program[0],
                list(program),
                os.environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1)],
                setpgroup=0,
                setsigmask=[],
                setsigdef=_RESTORED,
            )
        except BaseException:
            os.close(self.output)
            raise
        finally:
            os.close(writer)
        self.exit_code: int | None = None
        self._terminal.lend(self.pid)

    def poll(self) -> bool:
        """Whether it has ended; ``exit_code`` is then its code, or minus a signal's number."""
        if self.exit_code is not None:
            return True
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid == 0:
                return False
            if not os.WIFSTOPPED(status):
                break
            self._terminal.stopped(self.pid)
        self.exit_code = os.waitstatus_to_exitcode(status)
        self._terminal.take_back()
        return True

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to it and to everything it started that is still in its group."""
        # Once it has been waited for its number may belong to somebody else, but the group keeps
        # it taken as long as anybody is left in it; nobody left: nothing to do.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)
            if number is not signal.SIGKILL:
                # A stopped program would not notice anything else.
                os.killpg(self.pid, signal.SIGCONT)


class _Terminal:
    """Lends the foreground of the terminal to the program, where we have it to lend."""

    def __init__(self) -> None:
        self._lent = False

    def lend(self, group: int) -> None:
        if not _in_foreground():
            return
        with _without_sigttou(), suppress(OSError):
            os.tcsetpgrp(0, group)
            self._lent = True
            # It may have asked for the terminal before it had it, and been stopped for that.
            os.killpg(group, signal.SIGCONT)

    def take_back(self) -> None:
        if self._lent:
            with _without_sigttou(), suppress(OSError):
                os.tcsetpgrp(0, os.getpgrp())
            self._lent = False

    def stopped(self, group: int) -> None:
        """Ctrl-Z: stops us as well, so that the shell notices; goes on when we do."""
        if not self._lent:
            return
        self.take_back()
        os.killpg(os.getpgrp(), signal.SIGTSTP)
        self.lend(group)
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGCONT)


def _in_foreground() -> bool:
    try:
        return os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


@contextmanager
def _without_sigttou() -> Iterator[None]:
    """Giving the terminal away and taking it back is allowed to us, in the background too."""
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTOU])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
