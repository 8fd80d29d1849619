"""What a program prints, in pieces of any length, through the relay of ``stayline run``.

Whatever the pieces are, every line becomes the same events, in order, none is lost or made up, and
what was printed passes through unchanged. Seeded: what fails names its seed, and fails again with
``--seed``.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from typing import cast

import stayline
from stayline._internal import _line_to_events
from stayline.cli import relay

PIECES = [
    b"",
    b"plain text",
    b"\r",
    b"\xff\xfe\x80",
    "ümläut \U0001f600".encode(),
    b"\xf0\x9f\x98",
    b"\x00\x1b[31m",
    b'{"streamEventType":"output","data":{"a":1}}',
    b'{"streamEventType":"complete","data":{"exitCode":0}}',
    b'{"streamEventType":"x","data":"\\ud800"}',
    b'{"streamEventType":"\\ud800","data":1e999}',
    b'{"a":' * 80,
    b"[" * 200,
    b'{"streamEventType":"x","streamEventType":"y"}',
    b'"' * 50,
    b"\\" * 50,
    b"9" * 400,
    b"long " * 300,
    b"\n",
    b"\n\n",
]


class Taker:
    """In a wrapper's place: it keeps what it is sent, and is full now and then."""

    def __init__(self, generator: random.Random) -> None:
        self.taken: list[tuple[str, str]] = []
        self._generator = generator

    def send(self, event_type: str, *, raw_data: str) -> None:
        """Keep it, or be full."""
        if self._generator.random() < 0.05:
            raise stayline.Full("full")
        self.taken.append((event_type, raw_data))


def output(generator: random.Random) -> bytes:
    """What a program prints."""
    pieces = []
    for _ in range(generator.randrange(1, 40)):
        piece = generator.choice(PIECES)
        if piece and generator.random() < 0.3:
            at = generator.randrange(len(piece))
            piece = piece[:at] + bytes([generator.randrange(256)]) + piece[at:]
        pieces.append(piece)
        if generator.random() < 0.5:
            pieces.append(b"\n")
    return b"".join(pieces)


def expected(text: bytes, settings: stayline.Settings) -> list[tuple[str, str]]:
    """The events of all lines, the last one without its end too."""
    lines = text.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [event for line in lines for event in _line_to_events(line, settings)]


def try_once(seed: int, shown: int) -> None:
    """One program's output."""
    generator = random.Random(seed)
    settings = stayline.Settings(max_frame_bytes=generator.choice([512, 2_000, 1_048_576]))
    text = output(generator)
    source, writer = os.pipe()
    taker = Taker(generator)
    cuts = random.Random(seed + 1)

    def write() -> None:
        rest = text
        while rest:
            length = cuts.choice([1, 2, 3, 7, 64, 4_096])
            os.write(writer, rest[:length])
            rest = rest[length:]
        os.close(writer)

    before = os.lseek(shown, 0, os.SEEK_CUR)
    relayed = relay.Relay({1: source}, cast(stayline.Wrapper, taker), settings)
    printing = threading.Thread(target=write)
    printing.start()
    printing.join()
    relayed.close()
    if relayed.error is not None:
        raise relayed.error
    wanted = expected(text, settings)
    assert taker.taken == wanted, f"seed {seed}: {text!r}"
    assert (relayed.sent, relayed.refused) == (len(wanted), 0), f"seed {seed}"
    endings = {"complete", "interrupted", "error"}
    assert not endings & {event_type for event_type, _ in wanted}, f"seed {seed}: {text!r}"
    passed = os.pread(shown, len(text) + 1, before)
    assert passed == text, f"seed {seed}: what was printed did not pass through unchanged"
    os.lseek(shown, 0, os.SEEK_SET)
    os.ftruncate(shown, 0)


def main() -> None:
    """Try seeds until the time is over."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, help="only this one")
    arguments = parser.parse_args()
    tried = 0
    told = os.dup(1)
    with tempfile.TemporaryFile() as shown:
        # The relay writes what it reads to our standard output.
        os.dup2(shown.fileno(), 1)
        try:
            first = arguments.seed if arguments.seed is not None else time.time_ns() % 1_000_000_000
            ends = time.monotonic() + arguments.seconds
            while time.monotonic() < ends:
                try_once(first + 2 * tried, 1)
                tried += 1
                if arguments.seed is not None:
                    break
        finally:
            os.dup2(told, 1)
    print(f"{tried} outputs", flush=True)


if __name__ == "__main__":
    main()
    sys.exit(0)
