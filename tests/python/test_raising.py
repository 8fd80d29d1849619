"""A block that an exception leaves ends its run at once, and the exception goes on (R51a)."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import stayline
from aio_loops import LOOPS, run_on
from conftest import PATIENCE, eventually
from proxy import CuttingProxy
from stayline import aio
from stayline._endings import raised
from stayline.testing import WrapperPair

#: Reconnecting at once, so that no test waits for a back-off; nobody is waited for in vain.
QUICK = stayline.Settings(reconnect_base_ms=10, reconnect_cap_ms=50, ack_timeout_ms=500)


class Mine(RuntimeError):
    """An exception of this module."""


class Unshowable(RuntimeError):
    """One that cannot say what it is."""

    def __str__(self) -> str:
        raise ValueError("no words")


@pytest.fixture
def server(coordinator: stayline.Coordinator) -> Iterator[stayline.Server]:
    with coordinator.serve() as server:
        yield server


@pytest.fixture
def execution(session: stayline.Session) -> stayline.Execution:
    return session.start("e")


@pytest.fixture
def options(execution: stayline.Execution) -> dict[str, object]:
    return {"session_id": "s", "execution_id": "e", "token": execution.token, "settings": QUICK}


Open = Callable[..., stayline.Wrapper]


@pytest.fixture
def open_wrapper(server: stayline.Server, options: dict[str, object]) -> Open:
    def open_wrapper(url: str = server.url, **more: object) -> stayline.Wrapper:
        return stayline.Wrapper(url, **{**options, **more})  # type: ignore[arg-type]

    return open_wrapper


@pytest.fixture
def session(coordinator: stayline.Coordinator) -> stayline.Session:
    return coordinator.session("s")


def from_ctrl_c(code: object) -> SystemExit:
    """As a program raises it that handles Ctrl-C itself."""
    try:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise SystemExit(code)  # noqa: B904
    except SystemExit as error:
        return error


ENDINGS = [
    (ValueError("boom"), "failed", "ValueError: boom", None),
    (ValueError(), "failed", "ValueError", None),
    (KeyError("k"), "failed", "KeyError: 'k'", None),
    (Mine("its own"), "failed", "test_raising.Mine: its own", None),
    (ValueError("two\nlines"), "failed", "ValueError: two\nlines", None),
    (ValueError("half \ud800"), "failed", "ValueError: half \\ud800", None),
    (stayline.Timeout("late"), "failed", "stayline.Timeout: late", None),
    (BaseException("of the base"), "failed", "BaseException: of the base", None),
    (KeyboardInterrupt(), "interrupted", "KeyboardInterrupt", None),
    (asyncio.CancelledError("enough"), "interrupted", "CancelledError: enough", None),
    (GeneratorExit(), "interrupted", "GeneratorExit", None),
    (SystemExit(3), "failed", "SystemExit: 3", 3),
    (SystemExit("no such file"), "failed", "SystemExit: no such file", 1),
    (SystemExit(True), "failed", "SystemExit: True", 1),
    (SystemExit(130), "interrupted", "SystemExit: 130", 130),
    (SystemExit(143), "interrupted", "SystemExit: 143", 143),
    (from_ctrl_c(1), "interrupted", "SystemExit: 1", 1),
    (SystemExit(1 << 70), "failed", f"SystemExit: {1 << 70}", None),
]


@pytest.mark.parametrize("basic", [False, True], ids=["acknowledged", "basic"])
@pytest.mark.parametrize(
    ("error", "status", "text", "code"), ENDINGS, ids=[repr(one[0])[:40] for one in ENDINGS]
)
def test_an_exception_ends_the_run_at_once(
    error: BaseException,
    status: str,
    text: str,
    code: int | None,
    basic: bool,
    session: stayline.Session,
    execution: stayline.Execution,
    open_wrapper: Open,
) -> None:
    settings = QUICK.replace(acknowledged=not basic)
    with pytest.raises(type(error)) as caught, open_wrapper(settings=settings) as wrapper:
        wrapper.send("output", {"text": "before"})
        raise error
    assert caught.value is error
    assert wrapper.state == "closed"
    if not basic:
        # It is known by then, and so is everything before.
        assert execution.status == status
        assert wrapper.outcome(0).status == status
    ended = execution.wait(PATIENCE)
    # In a module of its own, as Python shows it.
    assert ended.error is not None
    assert ended.error.removeprefix("asyncio.exceptions.") == text
    assert (ended.status, ended.exit_code) == (status, code)
    output, ending = session.events()
    assert output.data == {"text": "before"}
    if status == "failed":
        assert (ending.type, ending.data["fatal"]) == ("error", True)
    else:
        assert (ending.type, ending.data["reason"]) == ("interrupted", ended.error)
    assert not hasattr(error, "__notes__")


def test_an_exit_without_a_failure_is_none(
    session: stayline.Session, execution: stayline.Execution, open_wrapper: Open
) -> None:
    for code in (None, 0, False):
        with contextlib.suppress(SystemExit), open_wrapper() as wrapper:
            for n in range(100):
                wrapper.send("output", {"n": n})
            raise SystemExit(code)
    # As when it is left in peace: all is stored, and nothing ends the run yet.
    assert session.count_events(types=["output"]) == 300
    assert execution.status == "running"


def test_what_cannot_be_shown_fails_the_run_all_the_same(
    execution: stayline.Execution, open_wrapper: Open
) -> None:
    with pytest.raises(Unshowable), open_wrapper():
        raise Unshowable
    assert execution.status == "failed"
    assert "Unshowable" in str(execution.error)


def test_a_long_text_is_cut(
    session: stayline.Session, execution: stayline.Execution, open_wrapper: Open
) -> None:
    with pytest.raises(ValueError, match="long"), open_wrapper():
        raise ValueError("long " * 1_000_000)
    assert execution.error is not None
    assert execution.error.startswith("ValueError: long long")
    assert execution.error.endswith(" bytes)")
    assert len(execution.error.encode()) <= stayline.Settings().max_text_bytes
    (event,) = session.events()
    assert event.data == {"error": execution.error, "fatal": True}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="groups came with 3.11")
def test_a_group_is_stopped_where_all_of_it_was() -> None:
    group = BaseExceptionGroup  # noqa: F821
    stopped = group("two", [KeyboardInterrupt(), group("one", [asyncio.CancelledError()])])
    assert raised(stopped) == ("BaseExceptionGroup: two (2 sub-exceptions)", True, None)
    mixed = group("two", [KeyboardInterrupt(), ValueError("x")])
    assert raised(mixed) == ("BaseExceptionGroup: two (2 sub-exceptions)", False, None)


def test_a_run_that_has_had_its_ending_is_left_alone(
    session: stayline.Session, execution: stayline.Execution, open_wrapper: Open
) -> None:
    with pytest.raises(ValueError, match="after it"), open_wrapper() as wrapper:
        wrapper.complete(timeout=PATIENCE)
        raise ValueError("after it")
    assert (execution.status, execution.error) == ("completed", None)
    other = session.start("f")
    with (
        pytest.raises(ValueError, match="after it"),
        open_wrapper(execution_id="f", token=other.token) as wrapper,
    ):
        session.fail("f", "from outside")
        raise ValueError("after it")
    assert other.error == "from outside"
    third = session.start("g")
    with (
        pytest.raises(ValueError, match="after it"),
        open_wrapper(execution_id="g", token=third.token) as wrapper,
    ):
        wrapper.close()
        raise ValueError("after it")
    assert third.status == "running"


def test_an_ending_under_way_is_waited_for(
    server: stayline.Server, execution: stayline.Execution, open_wrapper: Open
) -> None:
    with CuttingProxy(server.address) as proxy:
        with pytest.raises(stayline.Timeout), open_wrapper(proxy.url) as wrapper:
            proxy.refusing = True
            proxy.cut()
            assert eventually(lambda: wrapper.state == "reconnecting")
            proxy.refusing = False
            wrapper.complete(exit_code=0, timeout=0)
    assert execution.status == "completed"


def test_a_coordinator_that_is_away_holds_up_nobody(
    server: stayline.Server, execution: stayline.Execution, open_wrapper: Open
) -> None:
    for error in (ValueError("boom"), KeyboardInterrupt()):
        with CuttingProxy(server.address) as proxy:
            with pytest.raises(type(error)) as caught, open_wrapper(proxy.url) as wrapper:
                proxy.refusing = True
                proxy.cut()
                begun = time.monotonic()
                raise error
            # At most `ack_timeout_ms`, as leaving in peace waits.
            assert 0.4 < time.monotonic() - begun < 0.5 + PATIENCE
            assert caught.value is error
            assert wrapper.state == "closed"
            if sys.version_info >= (3, 11):
                (note,) = caught.value.__notes__
                assert "Wrapper disconnected" in note
    assert execution.status == "running"


def test_whoever_stops_waits_no_longer_than_five_seconds(
    server: stayline.Server, open_wrapper: Open
) -> None:
    settings = QUICK.replace(ack_timeout_ms=15_000)
    with CuttingProxy(server.address) as proxy, open_wrapper(proxy.url, settings=settings) as one:
        proxy.refusing = True
        proxy.cut()
        assert one._raised(KeyboardInterrupt()) == 5.0
        # Its ending is under way; this one has waited enough.
        assert one._raised(KeyboardInterrupt()) == 0.0
        assert one._raised(ValueError()) == 15.0
        one.close()


def test_after_a_kill_whatever_raises_has_been_interrupted(
    session: stayline.Session, execution: stayline.Execution, open_wrapper: Open
) -> None:
    with pytest.raises(OSError, match="agent died"), open_wrapper() as wrapper:
        session.interrupt()
        assert isinstance(next(wrapper.signals(timeout=PATIENCE)), stayline.Kill)
        raise OSError("the agent died")
    assert (execution.status, execution.error) == ("interrupted", "OSError: the agent died")


def test_a_generator_that_nobody_asks_any_more_is_interrupted(
    execution: stayline.Execution, open_wrapper: Open
) -> None:
    def steps() -> Iterator[int]:
        with open_wrapper() as wrapper:
            for n in range(100):
                wrapper.send("output", {"n": n})
                yield n

    for n in (running := steps()):
        if n == 3:
            break
    running.close()  # type: ignore[attr-defined]
    assert (execution.status, execution.error) == ("interrupted", "GeneratorExit")


def test_a_launch_around_it_adds_nothing(
    session: stayline.Session, server: stayline.Server
) -> None:
    with (
        pytest.raises(ValueError, match="boom"),
        session.launch() as execution,
        stayline.Wrapper(
            server.url, session_id="s", execution_id=execution.id, token=execution.token
        ),
    ):
        raise ValueError("boom")
    assert execution.error == "ValueError: boom"
    assert session.count_events() == 1


def test_a_wrapper_of_another_process_is_left_alone(open_wrapper: Open) -> None:
    with open_wrapper() as wrapper:
        assert wrapper.state == "connected"
    assert wrapper.__exit__(ValueError, ValueError("x"), None) is None  # type: ignore[func-returns-value]
    assert wrapper.__exit__(ValueError, None, None) is None  # type: ignore[func-returns-value]


SCRIPT = """
import sys
import time
import stayline

_, url, token, stop = sys.argv
settings = stayline.Settings(reconnect_base_ms=10, reconnect_cap_ms=50, ack_timeout_ms=60_000)
with stayline.Wrapper(
    url, session_id="s", execution_id="e", token=token, settings=settings
) as wrapper:
    print("inside", flush=True)
    sys.stdin.readline()
    if stop == "fails":
        print("leaving", flush=True)
        raise ValueError("boom")
    time.sleep(600)
"""


def began(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(SCRIPT))
    return subprocess.Popen(
        [sys.executable, str(path), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_interrupts_the_run(
    tmp_path: Path, server: stayline.Server, execution: stayline.Execution
) -> None:
    process = began(tmp_path, server.url, str(execution.token), "waits")
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "inside\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert err.rstrip().endswith("KeyboardInterrupt")
    ended = execution.wait(0)
    assert (ended.status, ended.error) == ("interrupted", "KeyboardInterrupt")


def test_ctrl_c_ends_the_wait_for_an_ending(
    tmp_path: Path, server: stayline.Server, execution: stayline.Execution
) -> None:
    with CuttingProxy(server.address) as proxy:
        process = began(tmp_path, proxy.url, str(execution.token), "fails")
        try:
            assert process.stdout is not None
            assert process.stdin is not None
            assert process.stdout.readline() == "inside\n"
            proxy.refusing = True
            proxy.cut()
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "leaving\n"
            # Until it waits; sooner it would be in the block itself, which is right as well.
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    # The exception is still told.
    assert "ValueError: boom" in err
    assert err.rstrip().endswith("KeyboardInterrupt")


# --- on an event loop -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LOOPS)
@pytest.mark.parametrize(
    ("error", "status", "text", "code"),
    [one for one in ENDINGS if not isinstance(one[0], (KeyboardInterrupt, SystemExit))],
    ids=lambda value: repr(value)[:30],
)
def test_the_same_on_an_event_loop(
    kind: str,
    error: BaseException,
    status: str,
    text: str,
    code: int | None,
    server: stayline.Server,
    options: dict[str, object],
    execution: stayline.Execution,
) -> None:
    async def main() -> None:
        with pytest.raises(type(error)) as caught:
            async with aio.Wrapper(server.url, **options) as wrapper:  # type: ignore[arg-type]
                await wrapper.send("output", {"text": "before"})
                raise error
        assert caught.value is error
        assert wrapper.state == "closed"
        assert execution.status == status

    run_on(kind, main())
    assert execution.error is not None
    assert execution.error.removeprefix("asyncio.exceptions.") == text
    assert execution.exit_code == code


@pytest.mark.parametrize("kind", LOOPS)
def test_a_task_that_is_cancelled_is_interrupted(
    kind: str,
    server: stayline.Server,
    options: dict[str, object],
    execution: stayline.Execution,
) -> None:
    async def work(inside: asyncio.Event) -> None:
        async with aio.Wrapper(server.url, **options):  # type: ignore[arg-type]
            inside.set()
            await asyncio.sleep(600)

    async def main() -> None:
        inside = asyncio.Event()
        task = asyncio.create_task(work(inside))
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_on(kind, main())
    assert execution.status == "interrupted"
    assert str(execution.error).endswith("CancelledError")


@pytest.mark.parametrize("kind", LOOPS)
def test_being_cancelled_again_ends_the_wait(
    kind: str, server: stayline.Server, options: dict[str, object]
) -> None:
    settings = QUICK.replace(ack_timeout_ms=60_000)

    async def work(proxy: CuttingProxy, leaving: asyncio.Event) -> None:
        async with aio.Wrapper(proxy.url, **{**options, "settings": settings}):  # type: ignore[arg-type]
            proxy.refusing = True
            proxy.cut()
            asyncio.get_running_loop().call_later(0.2, leaving.set)
            raise ValueError("boom")

    async def main() -> None:
        with CuttingProxy(server.address) as proxy:
            leaving = asyncio.Event()
            task = asyncio.create_task(work(proxy, leaving))
            await leaving.wait()
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, PATIENCE)

    run_on(kind, main())


@pytest.mark.parametrize("kind", LOOPS)
def test_a_coordinator_that_is_away_holds_up_no_loop(
    kind: str, server: stayline.Server, options: dict[str, object]
) -> None:
    async def main() -> None:
        with CuttingProxy(server.address) as proxy:
            with pytest.raises(ValueError, match="boom") as caught:
                async with aio.Wrapper(proxy.url, **options):  # type: ignore[arg-type]
                    proxy.refusing = True
                    proxy.cut()
                    raise ValueError("boom")
            if sys.version_info >= (3, 11):
                (note,) = caught.value.__notes__
                assert "Wrapper disconnected" in note

    run_on(kind, main())


# --- in tests -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (ValueError("boom"), "failed", "ValueError: boom"),
        (KeyboardInterrupt(), "interrupted", "KeyboardInterrupt"),
    ],
    ids=["failed", "interrupted"],
)
def test_a_pair_ends_as_a_wrapper_does(
    error: BaseException, status: str, text: str, clock: stayline.ManualClock
) -> None:
    with stayline.Coordinator("memory:", clock=clock) as coordinator:
        pair = WrapperPair(coordinator, clock)
        with pytest.raises(type(error)), pair as inside:
            assert inside is pair
            pair.send("output", {"n": 1})
            raise error
        assert (pair.execution.status, pair.execution.error) == (status, text)
        assert pair.events[0].type == "output"
        completed = WrapperPair(coordinator, clock, session_id="t", execution_id="f")
        with pytest.raises(type(error)), completed:
            completed.complete()
            raise error
        assert completed.execution.status == "completed"
        crashed = WrapperPair(coordinator, clock, session_id="u", execution_id="g")
        with pytest.raises(type(error)), crashed:
            crashed.crash()
            raise error
        assert crashed.execution.status == "running"
        left = WrapperPair(coordinator, clock, session_id="v", execution_id="h")
        with left:
            left.send("output", {"n": 1})
        assert left.session.count_events() == 1
        assert left.wrapper.state == "closed"


def test_an_address_where_nobody_is_raises_as_ever(options: dict[str, object]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    with (
        pytest.raises(stayline.Disconnected),
        stayline.Wrapper(url, **options),  # type: ignore[arg-type]
    ):
        pytest.fail("entered")
