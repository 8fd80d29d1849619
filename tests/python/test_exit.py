"""Interpreter exit: quick, silent, whatever is alive."""

from __future__ import annotations

import pytest
from conftest import RunScript

ALIVE = """
    import stayline

    coordinator = stayline.Coordinator({location!r})
    session = coordinator.session("s")
    execution = session.start("e")
    link = session.attach("e", trusted=True)
    stream = session.stream()
    next(stream)
    notifications = coordinator.notifications()
    outgoing = link.outgoing()
    lease = session.lease("e", "me")
    server = coordinator.serve(authorize=lambda *asked: True)
    link.receive('{{"streamEventType":"output","data":{{}}}}')
"""


@pytest.mark.parametrize("location", ["memory:", "sqlite:exit.db"])
@pytest.mark.parametrize(
    "ending",
    [
        "",
        "import sys; sys.exit(0)",
        "import gc; cycle = [coordinator]; cycle.append(cycle); del coordinator, cycle",
        "import builtins; builtins.kept = (link, stream, server, coordinator)",
        "coordinator.close()",
        "server.close()",
    ],
)
def test_live_objects_do_not_hold_it_up(run_script: RunScript, location: str, ending: str) -> None:
    ended = run_script(ALIVE.format(location=location) + "\n    " + ending)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_threads_that_wait_do_not_hold_it_up(run_script: RunScript) -> None:
    ended = run_script(
        """
        import threading, time
        import stayline

        coordinator = stayline.Coordinator("memory:")
        session = coordinator.session("s")
        execution = session.start("e")
        link = session.attach("e", trusted=True)
        for wait in (
            lambda: list(link.outgoing()),
            lambda: list(session.stream()),
            lambda: list(coordinator.notifications()),
            execution.wait,
        ):
            threading.Thread(target=wait, daemon=True).start()
        time.sleep(0.2)
        """
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_an_exception_at_the_top_shows_only_itself(run_script: RunScript) -> None:
    ended = run_script(ALIVE.format(location="memory:") + "\n    raise SystemExit(3)")
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "", "")


def test_what_was_handed_over_is_kept(run_script: RunScript) -> None:
    ended = run_script(ALIVE.format(location="sqlite:kept.db"))
    assert ended.returncode == 0
    ended = run_script(
        """
        import stayline

        with stayline.Coordinator("sqlite:kept.db") as coordinator:
            print([event.type for event in coordinator.session("s").events()])
        """
    )
    assert (ended.stdout, ended.stderr) == ("['output']\n", "")
