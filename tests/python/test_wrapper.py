"""The wrapper against the built-in server, over real sockets."""

from __future__ import annotations

import random
import select
import threading
from collections.abc import Callable, Iterator

import pytest
import stayline
from conftest import PATIENCE, eventually, frame
from proxy import CuttingProxy

# Reconnecting at once, so that no test waits for a back-off.
QUICK = stayline.Settings(reconnect_base_ms=10, reconnect_cap_ms=50)

Open = Callable[..., stayline.Wrapper]


@pytest.fixture
def server(coordinator: stayline.Coordinator) -> Iterator[stayline.Server]:
    with coordinator.serve() as server:
        yield server


@pytest.fixture
def execution(session: stayline.Session) -> stayline.Execution:
    return session.start(mode="code")


@pytest.fixture
def open_wrapper(
    server: stayline.Server, session: stayline.Session, execution: stayline.Execution
) -> Open:
    def open_wrapper(url: str = server.url, **options: object) -> stayline.Wrapper:
        arguments: dict[str, object] = {
            "session_id": session.id,
            "execution_id": execution.id,
            "token": execution.token,
            "settings": QUICK,
            **options,
        }
        return stayline.Wrapper(url, **arguments)  # type: ignore[arg-type]

    return open_wrapper


def texts(session: stayline.Session) -> list[object]:
    return [event.data["text"] for event in session.events(types=["output"])]


def test_a_run_from_beginning_to_end(
    session: stayline.Session, execution: stayline.Execution, open_wrapper: Open
) -> None:
    with open_wrapper() as wrapper:
        assert wrapper.state == "connected"
        assert repr(wrapper) == f"<stayline.Wrapper of {execution.id!r}, connected>"
        assert execution.status == "running"
        wrapper.send("output", {"text": "hällo"})
        wrapper.send("status", raw_data='{"message" : "raw"}', timestamp=1_700_000_000_000)
        outcome = wrapper.complete(exit_code=0, branch="main", timeout=PATIENCE)
        assert outcome == stayline.Ended("completed", None, 0)
        assert wrapper.outcome(0) == outcome
        with pytest.raises(stayline.Closed):
            wrapper.send("output")
    assert execution.wait(PATIENCE).status == "completed"
    events = list(session.events())
    assert [event.type for event in events] == ["output", "status", "complete"]
    assert events[0].data == {"text": "hällo"}
    assert events[1].raw_data == '{"message" : "raw"}'
    assert events[1].timestamp_ms == 1_700_000_000_000
    assert session.info().branch == "main"
    signals = list(wrapper.signals(timeout=PATIENCE))
    assert signals[0] == outcome
    assert stayline.Drained() in signals
    assert wrapper.try_signal is not None


def test_leaving_the_block_waits_until_all_is_acknowledged(
    session: stayline.Session, execution: stayline.Execution, open_wrapper: Open
) -> None:
    with open_wrapper() as wrapper:
        for n in range(500):
            wrapper.send("output", {"text": n})
    assert wrapper.state == "closed"
    assert texts(session) == list(range(500))
    assert eventually(lambda: execution.grace)


def test_an_exception_closes_at_once(open_wrapper: Open) -> None:
    with pytest.raises(ValueError, match="boom"), open_wrapper() as wrapper:
        raise ValueError("boom")
    assert wrapper.state == "closed"
    assert wrapper.close() == 0


def test_the_other_endings(
    session: stayline.Session, execution: stayline.Execution, open_wrapper: Open
) -> None:
    with open_wrapper() as wrapper:
        assert wrapper.fail("no credit", timeout=PATIENCE).status == "failed"
    assert (execution.wait(PATIENCE).error, execution.exit_code) == ("no credit", None)
    other = session.start("f")
    with open_wrapper(execution_id="f", token=other.token) as wrapper:
        outcome = wrapper.interrupted("enough", timeout=PATIENCE)
    assert outcome == stayline.Ended("interrupted", "enough", 0)
    assert other.exit_code is None


def test_exit_codes_are_kept_whatever_the_ending(
    session: stayline.Session, execution: stayline.Execution, open_wrapper: Open
) -> None:
    with open_wrapper() as wrapper:
        wrapper.fail("exit code 3", exit_code=3, timeout=PATIENCE)
    assert (execution.status, execution.error) == ("failed", "exit code 3")
    assert execution.exit_code == 3
    other = session.start("f")
    with open_wrapper(execution_id="f", token=other.token) as wrapper:
        wrapper.interrupted(exit_code=130, timeout=PATIENCE)
        with pytest.raises(stayline.InvalidArgument):
            wrapper.fail("x", exit_code=1 << 63)
    assert (other.status, other.error, other.exit_code) == (
        "interrupted",
        "User interrupted",
        130,
    )
    assert [event.data for event in session.events()] == [
        {"error": "exit code 3", "exitCode": 3, "fatal": True},
        {"exitCode": 130},
    ]


def test_an_exit_code_survives_a_text_that_is_cut(
    session: stayline.Session, execution: stayline.Execution, open_wrapper: Open
) -> None:
    with open_wrapper() as wrapper:
        wrapper.fail("x" * 3_000_000, exit_code=-1, timeout=PATIENCE)
    assert (execution.status, execution.exit_code) == ("failed", -1)
    (event,) = session.events()
    assert event.data["truncated"] is True
    assert len(event.data["error"]) < 3_000_000


def test_every_event_once_and_in_order_across_cuts(
    server: stayline.Server,
    session: stayline.Session,
    execution: stayline.Execution,
    open_wrapper: Open,
) -> None:
    chance = random.Random(7)
    with CuttingProxy(server.address) as proxy, open_wrapper(proxy.url) as wrapper:
        for n in range(2_000):
            wrapper.send("output", {"text": n})
            if chance.random() < 0.005:
                proxy.cut()
        assert wrapper.complete(timeout=PATIENCE).status == "completed"
        assert proxy.accepted > 1
        assert wrapper.attempts >= proxy.accepted
    assert texts(session) == list(range(2_000))
    assert execution.wait(PATIENCE).status == "completed"


def test_the_host_is_told_about_reconnecting(server: stayline.Server, open_wrapper: Open) -> None:
    with CuttingProxy(server.address) as proxy, open_wrapper(proxy.url) as wrapper:
        signals = wrapper.signals(timeout=PATIENCE)
        proxy.refusing = True
        proxy.cut()
        assert next(signals) == stayline.Reconnecting(1)
        assert next(signals) == stayline.Reconnecting(2)
        assert wrapper.state == "reconnecting"
        wrapper.send("output", {"text": "kept meanwhile"})
        proxy.refusing = False
        for signal in signals:
            if signal == stayline.Reconnected():
                break
        assert wrapper.reconnects == 1
        assert eventually(lambda: wrapper.buffered + wrapper.unacknowledged == 0)


def test_attempts_used_up_is_told_and_raised(server: stayline.Server, open_wrapper: Open) -> None:
    settings = QUICK.replace(reconnect_attempts=2)
    with CuttingProxy(server.address) as proxy:
        wrapper = open_wrapper(proxy.url, settings=settings)
        wrapper.wait_connected(PATIENCE)
        proxy.refusing = True
        proxy.cut()
        with pytest.raises(stayline.Disconnected) as gone:
            wrapper.outcome(PATIENCE)
        told = list(wrapper.signals(timeout=PATIENCE))
        assert told[:2] == [stayline.Reconnecting(1), stayline.Reconnecting(2)]
        match told[2]:
            case stayline.Disconnected(reason):
                assert reason == gone.value.reason
            case other:
                pytest.fail(f"told {other!r}")


def test_the_first_connection_fails_fast(open_wrapper: Open, server: stayline.Server) -> None:
    with CuttingProxy(server.address) as proxy:
        url = proxy.url
    with pytest.raises(stayline.Disconnected), open_wrapper(url):
        pytest.fail("nobody is there")
    with open_wrapper(url, retry_first=True) as wrapper:
        # It does not wait, and keeps what is sent.
        wrapper.send("output")
        assert wrapper.buffered == 1
        with pytest.raises(stayline.Timeout):
            wrapper.wait_connected(0.01)
        assert wrapper.close() == 1


@pytest.mark.parametrize(
    "wrong", [{"token": "wrong"}, {"token": None}, {"execution_id": "other"}, {"session_id": "x"}]
)
def test_a_refused_wrapper_is_told_why(open_wrapper: Open, wrong: dict[str, object]) -> None:
    with pytest.raises(stayline.Disconnected) as refused, open_wrapper(**wrong):
        pytest.fail("let in")
    assert refused.value.reason


def test_a_kill_reaches_the_callback_and_the_signals(
    session: stayline.Session, execution: stayline.Execution, open_wrapper: Open
) -> None:
    kills: list[stayline.Kill] = []
    threads: list[str] = []
    called = threading.Event()

    def stop(kill: stayline.Kill) -> None:
        kills.append(kill)
        threads.append(threading.current_thread().name)
        called.set()
        raise RuntimeError("a callback that raises does no harm")

    with open_wrapper() as wrapper:
        wrapper.on_kill(stop)
        assert session.interrupt() == "sent"
        assert called.wait(PATIENCE)
        assert next(wrapper.signals(timeout=PATIENCE)) == stayline.Kill("SIGTERM")
        wrapper.aborted()
        assert wrapper.outcome(PATIENCE).status == "interrupted"
    assert kills == [stayline.Kill("SIGTERM")]
    assert threads == ["stayline-on-kill"]
    assert execution.wait(PATIENCE).status == "interrupted"
    with pytest.raises(stayline.InvalidArgument):
        wrapper.on_kill("no function")  # type: ignore[arg-type]


def test_on_kill_does_not_keep_a_wrapper_alive(
    execution: stayline.Execution, open_wrapper: Open
) -> None:
    wrapper = open_wrapper()
    wrapper.wait_connected(PATIENCE)
    wrapper.on_kill(print)
    (watcher,) = [each for each in threading.enumerate() if each.name == "stayline-on-kill"]
    del wrapper
    watcher.join(PATIENCE)
    assert not watcher.is_alive()
    assert eventually(lambda: execution.grace)


def test_tasks_run_after_the_run_is_idle(open_wrapper: Open) -> None:
    with open_wrapper(active=False) as wrapper:
        wrapper.start_job(tasks=["push"], branch="feature")
        assert wrapper.begin_turn().endswith("_1")
        wrapper.idle()
        assert next(wrapper.signals(timeout=PATIENCE)) == stayline.RunTask("push")
        wrapper.task_done("push")
        assert wrapper.outcome(PATIENCE).status == "completed"


def test_without_a_turn_a_kill_ends_the_run_at_once(
    session: stayline.Session, open_wrapper: Open
) -> None:
    with open_wrapper(active=False) as wrapper:
        assert session.interrupt() == "sent"
        assert wrapper.outcome(PATIENCE).status == "interrupted"
        assert not any(isinstance(told, stayline.Kill) for told in wrapper.signals(timeout=0))


def test_a_second_wrapper_replaces_the_first(open_wrapper: Open) -> None:
    with open_wrapper() as first:
        with open_wrapper() as second:
            with pytest.raises(stayline.Superseded):
                first.outcome(PATIENCE)
            assert stayline.Replaced() in list(first.signals(timeout=PATIENCE))
            assert second.complete(timeout=PATIENCE).status == "completed"


def test_an_end_by_the_coordinator_is_told(
    session: stayline.Session, execution: stayline.Execution, open_wrapper: Open
) -> None:
    with open_wrapper() as wrapper:
        session.fail(execution.id, "out of time")
        assert wrapper.outcome(PATIENCE) == stayline.Ended("failed", "out of time", 0)


def test_what_would_be_refused_is_refused_here(open_wrapper: Open) -> None:
    settings = QUICK.replace(max_frame_bytes=1_000)
    with open_wrapper(settings=settings) as wrapper:
        with pytest.raises(stayline.InvalidEvent):
            wrapper.send("output", raw_data="{not json")
        with pytest.raises(stayline.InvalidEvent):
            wrapper.send("output", {"nan": float("nan")})
        with pytest.raises(stayline.InvalidEvent):
            wrapper.send("", {})
        with pytest.raises(TypeError):
            wrapper.send("output", {"object": object()})
        with pytest.raises(stayline.InvalidArgument):
            wrapper.send("output", {}, raw_data="{}")
        deep: list[object] = []
        for _ in range(100_000):
            deep = [deep]
        with pytest.raises(stayline.InvalidEvent):
            wrapper.send("output", deep)
        wrapper.send("output", {"text": "fine"})


def test_a_full_buffer_waits_then_says_so(open_wrapper: Open, server: stayline.Server) -> None:
    with CuttingProxy(server.address) as proxy:
        settings = QUICK.replace(buffer_events=3, send_timeout_ms=20)
        wrapper = open_wrapper(proxy.url, settings=settings)
        wrapper.wait_connected(PATIENCE)
        proxy.refusing = True
        proxy.cut()
        assert eventually(lambda: wrapper.state == "reconnecting")
        for _ in range(3):
            wrapper.send("output")
        with pytest.raises(stayline.Full) as full:
            wrapper.send("output")
        assert full.value.events == 3
        with pytest.raises(stayline.Full):
            wrapper.try_send("output")
        assert wrapper.close() == 3


def test_waiting_for_room_ends_when_there_is_room(
    server: stayline.Server, session: stayline.Session, open_wrapper: Open
) -> None:
    settings = QUICK.replace(buffer_events=2)
    with CuttingProxy(server.address) as proxy, open_wrapper(proxy.url, settings=settings) as w:
        for n in range(300):
            w.send("output", {"text": n})
    assert texts(session) == list(range(300))


def test_basic_mode(
    session: stayline.Session, execution: stayline.Execution, open_wrapper: Open
) -> None:
    with open_wrapper(settings=QUICK.replace(acknowledged=False)) as wrapper:
        wrapper.send("output", {"text": "plain"})
        wrapper.complete(timeout=PATIENCE)
    assert execution.wait(PATIENCE).status == "completed"
    assert texts(session) == ["plain"]


def test_signals_fit_an_event_loop(session: stayline.Session, open_wrapper: Open) -> None:
    with open_wrapper() as wrapper:
        poll = select.poll()
        poll.register(wrapper, select.POLLIN)
        assert wrapper.try_signal() is None
        assert poll.poll(0) == []
        session.fail(wrapper.execution_id, "over")
        assert poll.poll(PATIENCE * 1000)
        assert wrapper.try_signal() == stayline.Ended("failed", "over", 0)


def test_connecting_and_ending_fit_an_event_loop(
    session: stayline.Session, open_wrapper: Open
) -> None:
    wrapper = open_wrapper()
    poll = select.poll()
    poll.register(wrapper.changes_fileno(), select.POLLIN)
    while not wrapper.poll_connected():
        assert poll.poll(PATIENCE * 1000)
    assert wrapper.poll_outcome() is None
    session.fail(wrapper.execution_id, "over")
    while (outcome := wrapper.poll_outcome()) is None:
        assert poll.poll(PATIENCE * 1000)
    assert outcome == stayline.Ended("failed", "over", 0)
    wrapper.close()


def test_many_threads_may_send(
    session: stayline.Session, execution: stayline.Execution, open_wrapper: Open
) -> None:
    with open_wrapper() as wrapper:

        def send(who: int) -> None:
            for n in range(100):
                wrapper.send("output", {"text": [who, n]})

        threads = [threading.Thread(target=send, args=(who,)) for who in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert wrapper.complete(timeout=PATIENCE).status == "completed"
    stored = texts(session)
    assert len(stored) == 800
    for who in range(8):
        mine = [n for (whose, n) in stored if whose == who]  # type: ignore[misc,has-type]
        assert mine == list(range(100))


def test_the_coordinator_may_restart_under_the_wrapper(tmp_path: object) -> None:
    location = f"sqlite:{tmp_path}/runs.db"
    coordinator = stayline.Coordinator(location)
    session = coordinator.session("s")
    execution = session.start("e", token="t")
    server = coordinator.serve()
    address = server.address
    wrapper = stayline.Wrapper(
        server.url, session_id="s", execution_id="e", token="t", settings=QUICK
    )
    wrapper.wait_connected(PATIENCE)
    wrapper.send("output", {"text": 1})
    coordinator.close()
    wrapper.send("output", {"text": 2})
    with stayline.Coordinator(location) as coordinator, coordinator.serve(address):
        session = coordinator.session("s")
        assert wrapper.complete(timeout=PATIENCE).status == "completed"
        assert texts(session) == [1, 2]
        execution = session.execution("e")
        assert (execution.status, execution.reconnects) == ("completed", 1)
    wrapper.close()


def test_a_wrapper_refuses_in_a_forked_child(open_wrapper: Open) -> None:
    from test_fork import in_child, refused

    with open_wrapper() as wrapper:
        signals = wrapper.signals()

        def child() -> None:
            refused(
                lambda: wrapper.send("output"),
                lambda: wrapper.state,
                lambda: wrapper.complete(),
                lambda: next(signals),
                wrapper.close,
            )
            assert repr(wrapper)
            wrapper.__exit__(None, None, None)

        in_child(child)
        assert wrapper.complete(timeout=PATIENCE).status == "completed"


def test_a_wrapper_of_a_child_reaches_the_parents_server(
    server: stayline.Server,
    session: stayline.Session,
    execution: stayline.Execution,
    open_wrapper: Open,
) -> None:
    from test_fork import in_child

    with open_wrapper() as mine:

        def child() -> None:
            with open_wrapper() as wrapper:
                wrapper.send("output", {"text": "from the child"})
                assert wrapper.complete(timeout=PATIENCE).status == "completed"

        in_child(child)
        with pytest.raises(stayline.Superseded):
            mine.outcome(PATIENCE)
    assert execution.wait(PATIENCE).status == "completed"
    assert texts(session) == ["from the child"]


def test_frames_of_a_link_and_of_a_server_are_the_same(
    session: stayline.Session, execution: stayline.Execution, open_wrapper: Open
) -> None:
    with session.attach(execution.id, trusted=True) as link:
        link.receive(frame("output", {"text": "by hand"}))
    with open_wrapper() as wrapper:
        wrapper.send("output", {"text": "by wire"})
    assert texts(session) == ["by hand", "by wire"]
