"""The demo's proxy cuts where it says it does."""

from __future__ import annotations

import random
import socket
import threading
from contextlib import suppress

from stayline.demo import proxy

PATIENCE = 20.0


def frame(length: int) -> bytes:
    """A client's text frame: masked, with a payload of zeros."""
    if length < 126:
        size = bytes([0x80 | length])
    elif length < 65_536:
        size = bytes([0x80 | 126]) + length.to_bytes(2, "big")
    else:
        size = bytes([0x80 | 127]) + length.to_bytes(8, "big")
    return b"\x81" + size + b"mask" + bytes(length)


def test_frames_are_found_however_they_arrive() -> None:
    lengths = [0, 1, 2, 125, 126, 65_535, 65_536, 3]
    head = b"GET /ingest HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"
    stream = head
    inside: set[int] = set()
    for length in lengths:
        stream += frame(length)
        inside |= set(range(len(stream) - length + 1, len(stream)))
    chance = random.Random(1)
    for longest in (1, 7, 4_000, len(stream)):
        frames = proxy.Frames()
        at = 0
        while at < len(stream):
            chunk = stream[at : at + chance.randint(1, longest)]
            middle = frames.feed(chunk)
            assert middle is None or at + middle in inside
            at += len(chunk)
        assert frames.seen == len(lengths)


def test_a_connection_is_cut_inside_a_frame_for_both_ends() -> None:
    """An echoing server behind it sees the first half of a frame, and then the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    arrived = bytearray()

    def serve() -> None:
        connection, _ = listener.accept()
        # An end in the middle of something may come as a reset.
        with connection, suppress(ConnectionResetError, BrokenPipeError):
            while chunk := connection.recv(65_536):
                arrived.extend(chunk)
                connection.sendall(b"answer")

    server = threading.Thread(target=serve)
    server.start()
    head = b"GET / HTTP/1.1\r\n\r\n"
    # With a life of no time at all, a frame that follows an answered one is the last.
    port = listener.getsockname()[1]
    seed = next(seed for seed in range(100) if _cuts_inside(seed))
    with proxy.CuttingProxy(port, seed, shortest=0.0, longest=0.0) as cutting:
        with socket.create_connection(("127.0.0.1", cutting.port), PATIENCE) as client:
            client.settimeout(PATIENCE)
            client.sendall(head)
            with suppress(ConnectionResetError, BrokenPipeError):
                while client.recv(100):
                    client.sendall(frame(1_000))
        server.join(PATIENCE)
    listener.close()
    assert (cutting.counts.cuts, cutting.counts.inside_a_frame) == (1, 1)
    assert (len(arrived) - len(head)) % len(frame(1_000)) > 0


def _cuts_inside(seed: int) -> bool:
    chance = random.Random(seed)
    chance.uniform(0.0, 0.0)
    return chance.random() < 0.5
