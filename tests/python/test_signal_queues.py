"""A wrapper's signals for two who want them: whoever takes all, and the thread of ``on_kill``."""

from __future__ import annotations

import json
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import stayline
from conftest import PATIENCE, eventually
from websockets.sync.server import ServerConnection, serve

KILL = json.dumps({"type": "kill", "signal": "SIGTERM"})


@contextmanager
def coordinator_that(talk: Callable[[ServerConnection], None]) -> Iterator[str]:
    """The address of one that speaks the basic mode."""

    def handler(connection: ServerConnection) -> None:
        talk(connection)
        for _ in connection:
            pass

    with serve(handler, "127.0.0.1", 0, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join(PATIENCE)


def is_readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


def open_wrapper(url: str) -> stayline.Wrapper:
    return stayline.Wrapper(url, session_id="s", execution_id="e")


def test_a_host_that_only_wants_kills_keeps_no_more_than_the_core_does() -> None:
    filling = "x" * (1024 * 1024)

    def talk(connection: ServerConnection) -> None:
        for n in range(20):
            connection.send(json.dumps({"type": "note", "n": n, "filling": filling}))
        connection.send(KILL)

    killed = threading.Event()
    with coordinator_that(talk) as url, open_wrapper(url) as wrapper:
        wrapper.on_kill(lambda kill: killed.set())
        assert killed.wait(PATIENCE)
        kept = []
        while (signal := wrapper.try_signal()) is not None:
            if isinstance(signal, stayline.Command):
                kept.append(signal.data["n"])
        assert kept == [17, 18, 19]


def test_the_thread_of_on_kill_leaves_the_descriptor_as_it_is() -> None:
    killed = threading.Event()
    with (
        coordinator_that(lambda connection: connection.send(KILL)) as url,
        open_wrapper(url) as wrapper,
    ):
        descriptor = wrapper.fileno()
        wrapper.on_kill(lambda kill: killed.set())
        assert killed.wait(PATIENCE)
        # The thread looks for another one now, and finds none. The signal has not been taken.
        for _ in range(50):
            assert is_readable(descriptor)
            threading.Event().wait(0.002)
        taken = []
        while (signal := wrapper.try_signal()) is not None:
            taken.append(signal)
        assert stayline.Kill("SIGTERM") in taken
        assert not is_readable(descriptor)


def test_a_waiting_call_leaves_the_descriptor_of_changes_as_it_is() -> None:
    with coordinator_that(lambda connection: None) as url, open_wrapper(url) as wrapper:
        descriptor = wrapper.changes_fileno()
        wrapper.wait_connected(PATIENCE)
        with suppress(stayline.Timeout):
            wrapper.outcome(timeout=0.05)
        assert is_readable(descriptor)
        assert wrapper.poll_connected()


def test_a_kill_that_came_before_is_told_and_no_order_changes() -> None:
    count = 3_000

    def talk(connection: ServerConnection) -> None:
        connection.send(KILL)
        for n in range(count):
            connection.send(json.dumps({"type": "note", "n": n}))

    kills: list[stayline.Kill] = []
    with coordinator_that(talk) as url, open_wrapper(url) as wrapper:
        wrapper.wait_connected(PATIENCE)
        wrapper.on_kill(kills.append)
        taken: list[int] = []
        for signal in wrapper.signals(PATIENCE):
            if isinstance(signal, stayline.Command):
                taken.append(signal.data["n"])
                if taken[-1] == count - 1:
                    break
        assert taken == sorted(taken)
        eventually(lambda: kills == [stayline.Kill("SIGTERM")])
