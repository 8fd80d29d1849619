"""A TCP proxy on the loopback interface that breaks every connection it carries, again and again.

Each connection lives a few hundred milliseconds once data flows; then it is gone for both ends,
together with whatever was under way. Every other time it ends in the middle of a WebSocket frame:
the first half of the frame arrives, the second never does. All of it follows from a seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

HOST = "127.0.0.1"

#: Whether connections are cut at the moment.
Cutting = Callable[[], bool]


@dataclass
class Counts:
    """What the proxy has done so far."""

    connections: int = 0
    cuts: int = 0
    inside_a_frame: int = 0


class CuttingProxy:
    """Carries connections to a port on this machine, and cuts them while ``cutting`` is set."""

    def __init__(self, target: int, seed: int, shortest: float = 0.2, longest: float = 0.6) -> None:
        self.counts = Counts()
        self.cutting = True
        self.port = 0
        self._target = target
        self._random = random.Random(seed)
        self._lives = (shortest, longest)
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> CuttingProxy:
        self._thread.start()
        self._listening.wait(10)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def url(self) -> str:
        """What wrappers connect to."""
        return f"http://{HOST}:{self.port}"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._carry, HOST, 0))
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        self._loop.run_forever()
        server.close()
        rest = asyncio.all_tasks(self._loop)
        for task in rest:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
        self._loop.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            to_reader, to_writer = await asyncio.open_connection(HOST, self._target)
        except OSError:
            # Nobody is there at the moment; the wrapper is told by a closed connection.
            writer.transport.abort()
            return
        self.counts.connections += 1
        life = self._random.uniform(*self._lives)
        inside = self._random.random() < 0.5
        connection = _Connection(reader, writer, to_reader, to_writer)
        try:
            cut_inside = await connection.carry(life, inside, lambda: self.cutting)
        finally:
            connection.abort()
        if cut_inside is not None:
            self.counts.cuts += 1
            self.counts.inside_a_frame += cut_inside


class _Connection:
    """One connection and its two directions."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        to_reader: asyncio.StreamReader,
        to_writer: asyncio.StreamWriter,
    ) -> None:
        self._reader, self._writer = reader, writer
        self._to_reader, self._to_writer = to_reader, to_writer
        self._frames = Frames()
        #: Something was said about the frames that arrived, so that they need not come again.
        self._answered = False

    async def carry(self, life: float, inside: bool, cutting: Cutting) -> bool | None:
        """Carries data until one end closes (``None``) or the connection's time is up (whether
        that was inside a frame)."""
        down = asyncio.ensure_future(self._down())
        try:
            return await self._up(life, inside, cutting)
        finally:
            down.cancel()

    def abort(self) -> None:
        self._writer.transport.abort()
        self._to_writer.transport.abort()

    async def _down(self) -> None:
        """From the coordinator to the wrapper."""
        with contextlib.suppress(OSError):
            while chunk := await self._to_reader.read(65_536):
                self._answered |= self._frames.seen > 0
                self._writer.write(chunk)
                await self._writer.drain()
        self._writer.transport.abort()

    async def _up(self, life: float, inside: bool, cutting: Cutting) -> bool | None:
        """From the wrapper to the coordinator. Its life begins with the first frame."""
        clock = asyncio.get_running_loop().time
        deadline: float | None = None
        with contextlib.suppress(OSError):
            while chunk := await self._reader.read(65_536):
                middle = self._frames.feed(chunk)
                if deadline is None and self._frames.seen:
                    deadline = clock() + life
                over = deadline is not None and clock() >= deadline
                if over and self._answered and cutting():
                    if not inside:
                        return False
                    if middle is not None:
                        self._to_writer.write(chunk[:middle])
                        await self._to_writer.drain()
                        return True
                self._to_writer.write(chunk)
                await self._to_writer.drain()
        return None


class Frames:
    """Finds WebSocket frames in the bytes of one direction."""

    def __init__(self) -> None:
        self._head = b""
        self._upgraded = False
        #: Bytes of the current frame's payload still to come.
        self._left = 0
        #: Complete frames so far.
        self.seen = 0

    def feed(self, chunk: bytes) -> int | None:
        """Takes the next bytes; where in them the middle of some frame's payload is, if it is."""
        middle = None
        at = 0
        while at < len(chunk):
            if self._left:
                step = min(self._left, len(chunk) - at)
                if step > 1:
                    middle = at + step // 2
                self._left -= step
                at += step
                self.seen += self._left == 0
                continue
            self._head += chunk[at : at + 1]
            at += 1
            if not self._upgraded:
                if self._head.endswith(b"\r\n\r\n"):
                    self._upgraded, self._head = True, b""
            elif (length := _payload_length(self._head)) is not None:
                self._head, self._left = b"", length
                self.seen += length == 0
        return middle


def _payload_length(head: bytes) -> int | None:
    """The length that a frame's head announces; none while the head is incomplete."""
    if len(head) < 2:
        return None
    short = head[1] & 0x7F
    extended = {126: 2, 127: 8}.get(short, 0)
    mask = 4 if head[1] & 0x80 else 0
    if len(head) < 2 + extended + mask:
        return None
    return int.from_bytes(head[2 : 2 + extended], "big") if extended else short
