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


def test_many_threads_at_every_object(location: str) -> None:
    # Bounded by rounds, not by time: what counts is that nothing is torn, lost or stuck.
    rounds, threads_each = 40, 2
    with stayline.Coordinator(location) as coordinator, coordinator.serve() as server:
        session = coordinator.session("s")
        execution = session.start("e")
        link = session.attach("e", trusted=True)
        wrapped = coordinator.session("w")
        token = wrapped.start("e").token
        wrapper = stayline.Wrapper(server.url, session_id="w", execution_id="e", token=token)
        events, outgoing, signals = session.events(), link.outgoing(0), wrapper.signals(0)
        stream = session.stream(timeout=0)
        notifications = coordinator.notifications(timeout=0)
        seen: list[int] = []
        taken: list[str] = []

        def take() -> None:
            for notification in notifications:
                taken.append(notification.id)
                notification.ack()

        def lease(name: str) -> None:
            try:
                with session.lease("e", name) as held:
                    held.extend()
            except (stayline.AlreadyHeld, stayline.WrongHolder, stayline.NotFound):
                pass

        def short_run(name: str) -> None:
            other = coordinator.session(name)
            try:
                started = other.start()
                other.fail(started.id, "boom")
            except stayline.ExecutionInProgress:
                pass

        work: list[Callable[[], object]] = [
            lambda: link.receive(frame("output")),
            lambda: link.receive_many([frame("output")] * 3),
            lambda: wrapper.send("output", {"text": "x"}),
            lambda: seen.extend(event.id for event in stream if not event.control),
            lambda: [event.data for event in events],
            lambda: list(outgoing),
            lambda: list(signals),
            take,
            lambda: lease(str(threading.get_ident())),
            lambda: short_run("shared"),
            lambda: (session.active, session.info().link_attached, execution.health),
            lambda: [repr(info) for info in coordinator.sessions()],
            lambda: (repr(link), repr(stream), repr(wrapper), repr(server)),
            lambda: (execution.poll(), link.try_output(), wrapper.buffered, stream.last_id),
        ]

        def repeat(call: Callable[[], object]) -> Callable[[], None]:
            def run() -> None:
                for _ in range(rounds):
                    call()

            return run

        run_all(*[repeat(call) for call in work for _ in range(threads_each)])
        # Four frames a round and thread, of which none is lost or there twice.
        expected = rounds * threads_each * 4
        assert eventually(lambda: session.count_events() == expected)
        seen.extend(event.id for event in stream if not event.control)
        assert sorted(seen) == list(range(1, expected + 1))
        assert wrapper.complete(timeout=PATIENCE).status == "completed"
        assert wrapped.count_events(types=["output"]) == rounds * threads_each
        take()
        assert (
            len(taken)
            == len(set(taken))
            == 1 + sum(one.terminal for one in coordinator.session("shared").executions(limit=1000))
        )
