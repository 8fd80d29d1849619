"""Many threads at the same objects."""

from __future__ import annotations

import threading
from collections.abc import Callable

import stayline
from conftest import PATIENCE, eventually, frame


def run_all(*work: Callable[[], None]) -> None:
    """Runs each on a thread of its own and raises what any of them raised."""
    errors: list[BaseException] = []

    def guarded(call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(call,)) for call in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


def test_only_one_of_many_starts_wins(session: stayline.Session) -> None:
    outcomes: list[str] = []

    def start() -> None:
        try:
            outcomes.append(session.start().id)
        except stayline.ExecutionInProgress as busy:
            outcomes.append(busy.active)

    run_all(*[start] * 16)
    assert len(outcomes) == 16
    assert len(set(outcomes)) == 1


def test_only_one_of_many_failures_does_it(
    coordinator: stayline.Coordinator, session: stayline.Session
) -> None:
    session.start("e")
    outcomes: list[bool] = []
    run_all(*[lambda: outcomes.append(session.fail("e", "boom"))] * 16)
    assert sorted(outcomes) == [False] * 15 + [True]
    assert session.count_events() == 1
    assert len(coordinator.pending_notifications()) == 1


def test_many_sessions_many_readers(coordinator: stayline.Coordinator) -> None:
    def life(name: str) -> Callable[[], None]:
        def live() -> None:
            session = coordinator.session(name)
            execution = session.start()
            seen: list[int] = []

            def read() -> None:
                stream = session.stream(until=execution.id, timeout=PATIENCE)
                seen.extend(event.id for event in stream if event.id)

            reader = threading.Thread(target=read)
            reader.start()
            with session.attach(execution.id, trusted=True) as link:
                for n in range(200):
                    link.receive(frame("output", {"n": n}))
                link.receive(frame("complete", {"exitCode": 0}))
                execution.wait(PATIENCE)
            reader.join(PATIENCE)
            assert seen == list(range(1, 202))

        return live

    run_all(*[life(f"s{n}") for n in range(8)])
    assert len(coordinator.sessions()) == 8


def test_one_iterator_shared_by_threads_gives_each_event_once(session: stayline.Session) -> None:
    session.start("e")
    link = session.attach("e", trusted=True)
    link.receive_many([frame("output", {"n": n}) for n in range(2_000)])
    assert eventually(lambda: session.count_events() == 2_000)
    events = session.events()
    seen: list[int] = []
    run_all(*[lambda: seen.extend(event.data["n"] for event in events)] * 8)
    assert sorted(seen) == list(range(2_000))


def test_a_waiter_does_not_stop_other_threads(session: stayline.Session) -> None:
    execution = session.start("e")
    waiter = threading.Thread(target=execution.wait)
    waiter.start()
    assert waiter.is_alive()
    assert session.active == "e"
    session.fail("e", "over")
    waiter.join(PATIENCE)
    assert not waiter.is_alive()
