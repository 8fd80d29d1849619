"""A program's stdout: passed on unchanged, and turned into events line by line.

One thread reads, writes what it read to our own stdout at once, and then sends the lines. Sending
waits when too many events wait for the coordinator, and so the pipe fills and the program waits:
back-pressure instead of loss. When the wrapper is over, the output still passes through and the
lines that nobody takes any more are counted.
"""

from __future__ import annotations

import os
import select
import threading

import stayline
from stayline._internal import _line_to_events

_CHUNK = 65_536

#: A line without an end is cut here, so that a program cannot use up our memory.
LONGEST_LINE = 64 * 1_048_576

#: After the program has ended, somebody it left behind may still hold the pipe. Its own output is
#: in the pipe already, so silence of this many seconds means that there is nothing more of it.
_SILENCE = 1.0


class Relay:
    """Reads ``source`` to its end on a thread. ``fileno`` is readable once it has."""

    def __init__(self, source: int, wrapper: stayline.Wrapper, settings: stayline.Settings) -> None:
        self._source = source
        self._wrapper = wrapper
        self._settings = settings
        self._partial: list[bytes] = []
        self._partial_bytes = 0
        self._program_ended = threading.Event()
        #: Events that the wrapper took.
        self.sent = 0
        #: Events that came after the wrapper was over.
        self.refused = 0
        #: What went wrong here, if anything did.
        self.error: Exception | None = None
        self._done, self._done_writer = os.pipe()
        self._thread = threading.Thread(target=self._run, name="stayline-output", daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        """Readable once all output has been read and sent."""
        return self._done

    def program_ended(self) -> None:
        """From now on the pipe is only read until it is silent."""
        self._program_ended.set()

    @property
    def finished(self) -> bool:
        """All output has been read and sent."""
        return not self._thread.is_alive()

    def close(self) -> None:
        """Waits for the thread; call it once ``fileno`` is readable."""
        self._thread.join()
        os.close(self._done)

    def _run(self) -> None:
        try:
            self._read_all()
        except BrokenPipeError:
            # Whoever read our stdout has gone. The program is told the same way, at its next line.
            pass
        except Exception as error:
            self.error = error
        finally:
            os.close(self._source)
            os.close(self._done_writer)

    def _read_all(self) -> None:
        while self._more():
            chunk = os.read(self._source, _CHUNK)
            if not chunk:
                break
            _write_all(1, chunk)
            self._feed(chunk)
        if self._partial:
            self._send_line(b"".join(self._partial))

    def _more(self) -> bool:
        """Waits for output; false when there will be none."""
        while True:
            ended = self._program_ended.is_set()
            readable, _, _ = select.select([self._source], [], [], _SILENCE)
            if readable:
                return True
            if ended:
                return False

    def _feed(self, chunk: bytes) -> None:
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            if self._partial:
                self._partial.append(line)
                line = b"".join(self._partial)
                self._partial = []
                self._partial_bytes = 0
            self._send_line(line)
        if rest:
            self._partial.append(rest)
            self._partial_bytes += len(rest)
            if self._partial_bytes >= LONGEST_LINE:
                self._send_line(b"".join(self._partial))
                self._partial = []
                self._partial_bytes = 0

    def _send_line(self, line: bytes) -> None:
        for event_type, data in _line_to_events(line, self._settings):
            if self._send(event_type, data):
                self.sent += 1
            else:
                self.refused += 1

    def _send(self, event_type: str, data: str) -> bool:
        """Waits for room as long as it takes; false once the wrapper is over."""
        while True:
            try:
                self._wrapper.send(event_type, raw_data=data)
                return True
            except stayline.Full:
                continue
            except (stayline.Closed, stayline.Disconnected, stayline.Superseded):
                return False


def _write_all(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(target, view) :]
        except BlockingIOError:
            # A stdout shared with somebody who made it non-blocking.
            select.select([], [target], [])
