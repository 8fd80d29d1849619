"""What a program prints: passed on unchanged, and turned into events line by line.

One thread for each output reads, writes what it read to our own stdout or stderr at once, and then
sends the lines. Sending waits when too many events wait for the coordinator, and so the pipe fills
and the program waits: back-pressure instead of loss. An output that nobody takes, or that breaks,
leaves the other one alone. When the wrapper is over, the output still passes through and the lines
that nobody takes any more are counted.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import termios
import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import stayline
from stayline._internal import _line_to_events
from stayline.cli import processes, waiting

_CHUNK = 65_536

#: A line without an end is cut here, or at several frames, whichever is later, so that a program
#: cannot use up our memory: events are made of a whole line, and take many times its size.
LONGEST_LINE = 11 * 1_048_576
_FRAMES = 4

#: After the program has ended, somebody it left behind may still hold the pipe. Its own output is
#: in the pipe already, so silence of this many seconds means that there is nothing more of it.
SILENCE = 1.0
#: Nor is such a one listened to for longer than this, however much it prints.
LONGEST_TAIL = 5.0

#: Seconds between looks at a terminal that nobody has open.
_LOOK_AGAIN = 0.05


class _Lines:
    """Chunks of bytes as lines, none of which is much longer than ``longest``."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._partial: list[bytes] = []
        self._partial_bytes = 0
        #: The line that comes was begun, and cut.
        self._is_cut = False

    def ended(self, chunk: bytes) -> list[bytes]:
        """The lines that this chunk brings to an end."""
        first, *others = chunk.split(b"\n")
        ended = []
        for following in others:
            line = self._whole(first)
            if line or not self._is_cut:
                ended.append(line)
            self._is_cut = False
            first = following
        if first:
            self._partial.append(first)
            self._partial_bytes += len(first)
        if self._partial_bytes >= self._longest:
            line = self._whole(b"")
            end = _whole_characters(line)
            ended.append(line[:end])
            self._is_cut = True
            if end < len(line):
                self._partial, self._partial_bytes = [line[end:]], len(line) - end
        return ended

    def rest(self) -> list[bytes]:
        """The last line, if it has no end."""
        return [self._whole(b"")] if self._partial else []

    def _whole(self, last: bytes) -> bytes:
        if not self._partial:
            return last
        line = b"".join([*self._partial, last])
        self._partial = []
        self._partial_bytes = 0
        return line


def _whole_characters(line: bytes) -> int:
    """How much of it to keep together, so that no character of UTF-8 is cut at the end."""
    for length in range(1, min(4, len(line))):
        byte = line[-length]
        if 0xC0 <= byte < 0xF8:
            # It begins one of two to four bytes.
            is_cut = length < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4)
            return len(line) - length if is_cut else len(line)
        if byte < 0x80:
            break
    return len(line)


class _Ending:
    """What the streams of a program know of its end."""

    def __init__(self) -> None:
        self._is_known = threading.Event()
        self._tail_ends = 0.0

    def tell(self) -> None:
        """The program has ended."""
        if not self._is_known.is_set():
            self._tail_ends = time.monotonic() + LONGEST_TAIL
            self._is_known.set()

    def is_told(self, timeout: float = 0.0) -> bool:
        """Waits for that, at most so long; whether it is so."""
        return self._is_known.wait(timeout)

    @property
    def is_long_ago(self) -> bool:
        """Nobody is listened to any more."""
        return self._is_known.is_set() and time.monotonic() >= self._tail_ends


class _Stream:
    """One of the program's outputs, read to its end."""

    def __init__(
        self,
        source: int,
        target: int,
        wrapper: stayline.Wrapper,
        settings: stayline.Settings,
        ending: _Ending,
        writing: AbstractContextManager[object],
    ) -> None:
        self._source = source
        self._target = target
        self._wrapper = wrapper
        self._settings = settings
        self._ending = ending
        #: Held while something is written there.
        self._writing = writing
        self._lines = _Lines(max(LONGEST_LINE, _FRAMES * settings.max_frame_bytes))
        #: What the program itself has printed and was not read yet; known once it has ended.
        self._own_bytes = 0
        self._noticed = False
        #: Events that the wrapper took.
        self.sent = 0
        #: Events that came after the wrapper was over.
        self.refused = 0
        #: What went wrong here, if anything did.
        self.error: Exception | None = None
        #: The processes that held the output when it was not read any longer.
        self.holders: list[int] = []
        #: It was not read to its end: somebody holds it.
        self.is_held = False

    def run(self) -> None:
        """Reads it to its end, or to where it is not listened to any longer."""
        try:
            self._read_all()
        except BrokenPipeError:
            # Whoever read our output has gone. The program is told the same way, at its next line.
            pass
        except Exception as error:
            self.error = error
        finally:
            os.close(self._source)

    def _read_all(self) -> None:
        while True:
            if not self._wait():
                self.is_held = True
                self.holders = processes.holders(self._source)
                break
            chunk = self._read()
            if chunk is None:
                continue
            if not chunk:
                break
            self._own_bytes -= len(chunk)
            try:
                with self._writing:
                    waiting.write_all(self._target, chunk)
            except OSError:
                # The program has printed it, whoever could not read it.
                self._send(self._lines.ended(chunk))
                self._send(self._lines.rest())
                raise
            self._send(self._lines.ended(chunk))
        self._send(self._lines.rest())

    def _wait(self) -> bool:
        """Waits for output; false when nothing more is waited for."""
        while True:
            # Looked at first: what the program has printed before its end is in the pipe by then.
            ended = self._ending.is_told()
            if ended and not self._has_own() and self._ending.is_long_ago:
                return False
            if waiting.readable([self._source], SILENCE):
                return True
            if ended:
                return False

    def _has_own(self) -> bool:
        """Whether something is left of what was in the pipe when the end was noticed."""
        if not self._noticed:
            self._noticed = True
            self._own_bytes = _waiting_bytes(self._source)
        return self._own_bytes > 0

    def _read(self) -> bytes | None:
        """The next bytes, empty at the end; None when there is nothing yet."""
        ended = self._ending.is_told()
        try:
            return os.read(self._source, _CHUNK)
        except BlockingIOError:
            # A terminal of the program's own never blocks.
            return None
        except OSError as error:
            if error.errno != errno.EIO:
                raise
        # Nobody has the other side of a terminal: the end, unless the program opens it again.
        if ended:
            return b""
        self._ending.is_told(_LOOK_AGAIN)
        return None

    def _send(self, lines: list[bytes]) -> None:
        # A line and its events may be large: what was sent is let go of.
        lines.reverse()
        while lines:
            events = _line_to_events(lines.pop(), self._settings, stderr=self._target == 2)
            events.reverse()
            while events:
                event_type, data = events.pop()
                if self._send_event(event_type, data):
                    self.sent += 1
                else:
                    self.refused += 1

    def _send_event(self, event_type: str, data: str) -> bool:
        """Waits for room as long as it takes; false once the wrapper is over."""
        while True:
            try:
                self._wrapper.send(event_type, raw_data=data)
                return True
            except stayline.Full:
                continue
            except (stayline.Closed, stayline.Disconnected, stayline.Superseded):
                return False


class Relay:
    """Reads ``outputs`` (the descriptor that each is passed on to, and where it comes from) to
    their ends on threads. ``fileno`` is readable once it has."""

    def __init__(
        self,
        outputs: Mapping[int, int],
        wrapper: stayline.Wrapper,
        settings: stayline.Settings,
    ) -> None:
        self._ending = _Ending()
        # Into one pipe the two write in turns, so that none cuts a line of the other's.
        shared = threading.Lock() if _are_one(list(outputs)) else None
        self._streams = [
            _Stream(source, target, wrapper, settings, self._ending, shared or nullcontext())
            for target, source in outputs.items()
        ]
        self._left = len(self._streams)
        self._counting = threading.Lock()
        self._done, self._done_writer = os.pipe()
        self._threads = [
            threading.Thread(target=self._run, args=[one], name="stayline-output", daemon=True)
            for one in self._streams
        ]
        for thread in self._threads:
            thread.start()

    def fileno(self) -> int:
        """Readable once all output has been read and sent."""
        return self._done

    def program_ended(self) -> None:
        """From now on the pipes are only read until they are silent."""
        self._ending.tell()

    @property
    def finished(self) -> bool:
        """All output has been read and sent."""
        return not any(thread.is_alive() for thread in self._threads)

    def finishes(self, timeout: float) -> bool:
        """Waits for that, at most ``timeout`` seconds; whether it is so."""
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return self.finished

    def close(self) -> None:
        """Waits for the threads; call it once ``fileno`` is readable."""
        for thread in self._threads:
            thread.join()
        os.close(self._done)

    @property
    def sent(self) -> int:
        """Events that the wrapper took."""
        return sum(stream.sent for stream in self._streams)

    @property
    def refused(self) -> int:
        """Events that came after the wrapper was over."""
        return sum(stream.refused for stream in self._streams)

    @property
    def error(self) -> Exception | None:
        """What went wrong here, if anything did."""
        return next((one.error for one in self._streams if one.error is not None), None)

    @property
    def holders(self) -> list[int]:
        """The processes that held the output when it was not read any longer."""
        return sorted({pid for stream in self._streams for pid in stream.holders})

    @property
    def is_held(self) -> bool:
        """It was not read to its end: somebody holds it."""
        return any(stream.is_held for stream in self._streams)

    def _run(self, stream: _Stream) -> None:
        stream.run()
        with self._counting:
            self._left -= 1
            is_last = self._left == 0
        if is_last:
            os.close(self._done_writer)


def _are_one(targets: list[int]) -> bool:
    """Whether what is written to these comes to the same place."""
    places = set()
    for target in targets:
        try:
            status = os.fstat(target)
        except OSError:
            return False
        places.add((status.st_dev, status.st_ino))
    return len(targets) > 1 and len(places) == 1


def _waiting_bytes(source: int) -> int:
    try:
        count = fcntl.ioctl(source, termios.FIONREAD, b"\0" * 4)
    except OSError:
        return 0
    return int.from_bytes(count, sys.byteorder)
