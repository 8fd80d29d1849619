"""Takes the captures of the command line in `docs/cli.md` and the pictures in `docs/images` anew:
`make pictures`. It needs tmux and chromium, and takes half a minute.

The runs are real, on the clock of the wall, and are watched while they happen, in terminals of 80
and of 160 columns: one is cut, resumed and completed, one is interrupted, one loses its wrapper and
fails, one goes on. In `docs/cli.md` a capture stands behind a comment with its name.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import stayline

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent / "tests" / "python"))

from test_timeline_screenshot import photographed  # noqa: E402
from timelines import everything  # noqa: E402

SESSION = "checkout-service:fix-flaky-tests"
OTHER = "nightly:crawl"
WIDTHS = (80, 160)
STAYLINE = f"{sys.executable} -m stayline"
#: Its own server, so that nobody's sessions are touched.
TMUX = ["tmux", "-L", f"stayline-pictures-{time.time_ns()}"]
SETTINGS = stayline.Settings(
    disconnect_grace_ms=3_000, reconnect_base_ms=20, reconnect_cap_ms=100, recovery_grace_ms=60_000
)


class Agent:
    """A wrapper over a link of our own, which can be cut."""

    def __init__(self, session: stayline.Session) -> None:
        self._session = session
        self._execution = session.start(mode="code")
        self._link: stayline.Link | None = None
        self._number = 0
        self._attempt = 0
        time.sleep(0.6)
        self.attach()

    def attach(self) -> None:
        """Connects, or connects again."""
        self._attempt += 1
        self._link = self._session.attach(
            self._execution.id,
            token=self._execution.token,
            acknowledged=True,
            producer=f"producer of {self._execution.id}",
            attempt=self._attempt,
        )

    def send(self, event_type: str, data: object) -> None:
        """Sends an event."""
        assert self._link is not None
        self._number += 1
        event = {"streamEventType": event_type, "data": data, "seq": self._number}
        self._link.receive(json.dumps(event))

    def work(self, *texts: str) -> None:
        """Prints so many lines, three a second."""
        for text in texts:
            self.send("output", {"text": text})
            time.sleep(0.3)

    def cut(self, seconds: float) -> None:
        """Is not connected any more, for so long."""
        assert self._link is not None
        self._link.closed(1006, "")
        time.sleep(seconds)


def scene(session: stayline.Session, agent: Agent) -> Agent:
    """What is watched; `agent` has begun with the first run. The last one goes on."""
    agent.work("reading tests/test_totals.py", "running 214 tests")
    agent.cut(2.2)
    agent.attach()
    agent.work("3 failed, 211 passed", "the totals are rounded twice")
    agent.send("error", {"error": "tool call timed out, retrying", "fatal": False})
    agent.work("rounding once, in Money.total", "214 passed")
    agent.send("complete", {"exitCode": 0, "currentBranch": "fix/rounding"})
    agent = Agent(session)
    agent.work("reading src/checkout/basket.py")
    agent.cut(1.4)
    agent.attach()
    agent.work("looking for callers of Basket.add")
    session.interrupt()
    time.sleep(1)
    agent.send("interrupted", {"reason": "User interrupted"})
    agent = Agent(session)
    agent.work("installing the dependencies", "running the tests in a sandbox")
    agent.cut(4.5)
    agent = Agent(session)
    agent.work(*(f"step {number} of 20" for number in range(1, 7)))
    return agent


def tmux(*arguments: str) -> str:
    """What it answers."""
    return subprocess.run([*TMUX, *arguments], check=True, capture_output=True, text=True).stdout


def terminal(name: str, width: int, command: str, folder: Path) -> None:
    """Runs a command in a terminal of its own, whose last picture stays."""
    shown = f"{command}; sleep 600"
    tmux(
        *("new-session", "-d", "-s", f"{name}-{width}", "-x", str(width), "-y", "34"),
        *("-c", str(folder), f"sh -c {json.dumps(shown)}"),
    )


def captured(name: str) -> str:
    """What a terminal shows and what has scrolled by."""
    text = tmux("capture-pane", "-p", "-S", "-", "-t", name)
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines())


def take(folder: Path) -> dict[str, str]:
    """All captures, by name."""
    store = f"--store sqlite:{folder / 'live.db'}"
    watched = f"{STAYLINE} watch {SESSION} --store sqlite:live.db"
    with stayline.Coordinator(f"sqlite:{folder / 'live.db'}", settings=SETTINGS) as coordinator:
        other = Agent(coordinator.session(OTHER))
        other.work("fetching 1 of 4000")
        session = coordinator.session(SESSION)
        agent = Agent(session)
        for width in WIDTHS:
            terminal("session", width, watched, folder)
            terminal("table", width, f"{STAYLINE} watch {store}", folder)
        agent = scene(session, agent)
        for width in WIDTHS:
            terminal("runs", width, f"{STAYLINE} runs {store}", folder)
            terminal("timeline", width, f"{STAYLINE} timeline {SESSION} {store}", folder)
        time.sleep(3)
        # Those that go on do so up to here: a wrapper that nobody holds is closed.
        del other, agent
        names = ("session", "table", "runs", "timeline")
        return {
            f"{name}-{width}": captured(f"{name}-{width}").replace(f"{folder}/", "")
            for name in names
            for width in WIDTHS
        }


def put(captures: dict[str, str]) -> None:
    """Into the page."""
    page = DOCS / "cli.md"
    text = page.read_text(encoding="utf-8")
    for name, capture in captures.items():
        block = f"<!-- capture: {name} -->\n```text\n{capture}\n```\n"
        pattern = rf"<!-- capture: {name} -->\n```text\n.*?```\n"
        text, found = re.subn(pattern, lambda _, block=block: block, text, flags=re.DOTALL)
        if found != 1:
            raise SystemExit(f"{page} has no place for {name}")
    page.write_text(text, encoding="utf-8")


def main() -> None:
    """Takes them, for the documentation, or into the folder that is named."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            captures = take(folder)
        finally:
            subprocess.run([*TMUX, "kill-server"], check=False)
        if sys.argv[1:]:
            for one, capture in captures.items():
                (Path(sys.argv[1]) / f"{one}.txt").write_text(f"{capture}\n", encoding="utf-8")
            return
        put(captures)
        with everything(folder / "runs.db") as session:
            page = session.timeline().save(folder / "run.html")
        for scheme in ("light", "dark"):
            picture = photographed(page, folder / f"{scheme}.png", dark=scheme == "dark")
            (DOCS / "images" / f"timeline-{scheme}.png").write_bytes(picture)


if __name__ == "__main__":
    main()
