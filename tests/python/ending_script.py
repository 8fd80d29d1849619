"""Run by `test_ends`: starts everything there is, then ends at a moment that a seed chooses."""

from __future__ import annotations

import gc
import os
import random
import sys
import threading
import time
from collections.abc import Callable

import stayline

KEPT: list[object] = []


def expected(work: Callable[[], object], *, once: bool = False) -> Callable[[], None]:
    """The work again and again, until what it works on is closed."""

    def run() -> None:
        try:
            work()
            while not once:
                work()
        except stayline.Error:
            return

    return run


def activities(
    coordinator: stayline.Coordinator, link: stayline.Link, wrapper: stayline.Wrapper
) -> list[Callable[[], object]]:
    """What threads do with them, each again and again."""
    linked = coordinator.session("linked")
    sent = coordinator.session("sent")
    execution = linked.execution("e")
    frame = '{"streamEventType":"output","data":{"text":"x"}}'
    return [
        lambda: link.receive(frame),
        lambda: link.receive_many([frame] * 100),
        lambda: wrapper.send("output", {"text": "x"}),
        lambda: list(linked.stream(timeout=0.01)),
        lambda: list(sent.stream()),
        lambda: list(link.outgoing()),
        lambda: list(wrapper.signals()),
        lambda: list(coordinator.notifications()),
        lambda: list(linked.events()),
        lambda: execution.wait(),
        lambda: wrapper.outcome(),
        lambda: sent.interrupt(),
        lambda: coordinator.session(f"new-{random.random()}").start(),
        lambda: coordinator.sessions(),
    ]


def main(seed: int) -> None:
    chance = random.Random(seed)
    coordinator = stayline.Coordinator(chance.choice(["memory:", "sqlite:runs.db"]))
    server = coordinator.serve(authorize=lambda *asked: True)
    coordinator.session("linked").start("e")
    link = coordinator.session("linked").attach("e", trusted=True)
    coordinator.session("sent").start("e")
    wrapper = stayline.Wrapper(server.url, session_id="sent", execution_id="e")
    wrapper.on_kill(lambda kill: wrapper.aborted())
    work = activities(coordinator, link, wrapper)
    for activity in chance.sample(work, chance.randint(3, len(work))):
        threading.Thread(target=expected(activity), daemon=True).start()
    time.sleep(chance.random() * 0.1)
    closing: list[Callable[[], object]] = [
        coordinator.close,
        server.close,
        wrapper.close,
        link.closed,
    ]
    for close in chance.sample(closing, chance.randint(0, 2)):
        threading.Thread(target=expected(close, once=True), daemon=chance.random() < 0.5).start()
    if chance.random() < 0.3:
        # They end when the interpreter takes its modules down, in no good order.
        KEPT.extend([coordinator, server, wrapper, link, work])
        KEPT.append(KEPT)
    if chance.random() < 0.3:
        del coordinator, server, wrapper, link, work, closing
        gc.collect()
    end(seed % 3, chance.choice(["raise", "fall", "thread"]))


def end(code: int, how: str) -> None:
    if how == "thread":
        # The last thread that is no daemon is another one.
        threading.Thread(target=time.sleep, args=(0.05,)).start()
    if how == "raise":
        raise SystemExit(code)
    # Without a word where there is nothing to say: the end of the script.
    if code:
        sys.exit(code)


if __name__ == "__main__":
    # A bug that makes it hang shows where.
    if os.environ.get("STAYLINE_ENDING_TRACE"):
        import faulthandler

        faulthandler.dump_traceback_later(10, exit=True)
    main(int(sys.argv[1]))
