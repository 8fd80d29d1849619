"""The terminal of ``stayline run``: who has it, and a terminal of its own for the program.

In a job of a shell the program stays in our process group: the terminal treats us, the program and
the rest of a pipeline as one job, as if the program had been started without us. Elsewhere
(services, containers, ``setsid``, ``timeout``) it gets a group of its own, so that a signal for us
reaches it once.
"""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import termios
import threading
import tty
from contextlib import suppress

from stayline.cli import waiting

_CHUNK = 4_096

#: Seconds for the thread that types to end. It may wait in a read of a stdin whose other reader was
#: faster; then nobody waits for it.
_LAST_READ = 0.5

#: Seconds between attempts to type where the terminal says it has room, and takes nothing.
_TYPE_AGAIN = 0.02


def is_job() -> bool:
    """Whether we are a job of a shell on a terminal: in its foreground, or started by somebody of
    another process group."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return False
    try:
        own = os.getpgrp()
        if os.tcgetpgrp(terminal) == own:
            return True
        parent = os.getppid()
        return os.getsid(parent) == os.getsid(0) and os.getpgid(parent) != own
    except OSError:
        return False
    finally:
        os.close(terminal)


def stop_with_program() -> None:
    """The program was stopped: stops us as well, so that the shell takes notice. Does nothing where
    nobody could let us go on."""
    with suppress(OSError):
        if os.getsid(os.getppid()) == os.getsid(0) and os.getpgid(os.getppid()) != os.getpgrp():
            os.kill(os.getpid(), signal.SIGSTOP)


class Pty:
    """A pseudo-terminal for a program, with what is typed into ours, or comes from a pipe."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        # A program that does not read what is typed must not hold up its own end.
        os.set_blocking(self.master, False)
        #: Typed through it, and as little blocking. While it is open the program has its terminal,
        #: whatever becomes of ``master``.
        self._keyboard = os.dup(self.master)
        self._stdin_is_terminal = os.isatty(0)
        if not self._stdin_is_terminal:
            self._leave_out_echo()
        self._saved: list[object] | None = None
        self._stop_reader, self._stop_writer = os.pipe()
        self._pump: threading.Thread | None = None
        self._is_closed = False
        #: The last character typed.
        self._last = b""
        self.resize()

    def resize(self) -> None:
        """Gives it the size of ours."""
        for number in (1, 0, 2):
            with suppress(OSError):
                size = fcntl.ioctl(number, termios.TIOCGWINSZ, b"\0" * 8)
                if struct.unpack("HHHH", size)[0]:
                    fcntl.ioctl(self._keyboard, termios.TIOCSWINSZ, size)
                    return

    def _leave_out_echo(self) -> None:
        """Nobody types: what comes from a pipe must not stand among the output."""
        attributes = termios.tcgetattr(self.slave)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(self.slave, termios.TCSANOW, attributes)

    def starting(self) -> None:
        """Before the program is started: whatever is typed from now on is the program's."""
        self._take()

    def started(self) -> None:
        """The program has its end."""
        os.close(self.slave)
        self._pump = threading.Thread(target=self._type, name="stayline-input", daemon=True)
        self._pump.start()

    def suspended(self) -> None:
        """The program was stopped (Ctrl-Z): ours is the shell's until we go on."""
        self._give_back()
        stop_with_program()
        self._take()
        self.resize()

    def close(self) -> None:
        """Ours is as it was. ``master`` stays the reader's to close. Later calls do nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._give_back()
        os.close(self._stop_writer)
        if self._pump is not None:
            self._pump.join(_LAST_READ)
            if self._pump.is_alive():
                # What it uses is closed with this process.
                return
        os.close(self._stop_reader)
        os.close(self._keyboard)

    def _take(self) -> None:
        if self._stdin_is_terminal:
            with suppress(termios.error):
                self._saved = termios.tcgetattr(0)
                tty.setraw(0, termios.TCSANOW)

    def _give_back(self) -> None:
        if self._saved is not None:
            # From the background, too.
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTOU])
            try:
                # At once: nobody may be reading what is on its way to it.
                termios.tcsetattr(0, termios.TCSANOW, self._saved)  # type: ignore[arg-type]
            except termios.error:
                pass
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            self._saved = None

    def _type(self) -> None:
        try:
            while 1 not in waiting.readable([0, self._stop_reader], None):
                typed = self._read()
                if typed is None:
                    continue
                if not (self._write(typed or self._end()) and typed):
                    return
        except (OSError, termios.error):
            # One of the two terminals has gone, or stdin cannot be read.
            pass

    def _read(self) -> bytes | None:
        try:
            return os.read(0, _CHUNK)
        except BlockingIOError:
            # Somebody else who has it was faster.
            return None

    def _end(self) -> bytes:
        """What says on a terminal that there is no more: Ctrl-D. Within a line it ends only that,
        so there it takes two."""
        settings = termios.tcgetattr(self._keyboard)
        control: bytes = settings[6][termios.VEOF]
        ends = [b"", b"\n", control]
        if settings[0] & termios.ICRNL:
            ends.append(b"\r")
        return control if self._last in ends else control * 2

    def _write(self, data: bytes) -> bool:
        """Types it; false when that was over first."""
        view = memoryview(data)
        while view:
            if not waiting.writable(self._keyboard, None, unless=self._stop_reader):
                return False
            try:
                view = view[os.write(self._keyboard, view) :]
            except BlockingIOError:
                waiting.readable([self._stop_reader], _TYPE_AGAIN)
        self._last = data[-1:]
        return True
