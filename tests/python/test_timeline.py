"""`session.timeline()`: what the picture says, in SVG, HTML and characters."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest
import stayline
from stayline.timeline import Timeline
from stayline.timeline.drawing import BINS
from stayline.timeline.model import duration
from stayline.timeline.scale import Scale, bins, ticks
from timelines import SESSION, Agent, everything

#: How a cut is drawn in characters.
CUT = "\N{BOX DRAWINGS LIGHT DIAGONAL CROSS}"
NAMESPACE = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def timeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Timeline]:
    with everything(tmp_path_factory.mktemp("timeline") / "runs.db") as session:
        yield session.timeline()


def parsed(timeline: Timeline) -> ElementTree.Element:
    return ElementTree.fromstring(timeline.svg())


def texts(root: ElementTree.Element) -> list[str]:
    return ["".join(one.itertext()) for one in root.iter(f"{NAMESPACE}text")]


def test_every_run_is_told_with_its_ending(timeline: Timeline) -> None:
    assert [run.status for run in timeline.runs] == [
        "completed",
        "interrupted",
        "failed",
        "running",
    ]
    found = texts(parsed(timeline))
    for run in timeline.runs:
        assert run.id in found
    assert "completed — exit code 0" in found
    assert "interrupted — User interrupted" in found
    assert "failed — Wrapper disconnected" in found
    assert "running — no wrapper is connected" in found


def test_an_outage_is_drawn_as_long_as_it_was(timeline: Timeline) -> None:
    run = timeline.runs[0]
    (outage,) = run.outages
    assert (outage.measured, outage.recovered) == (True, True)
    assert outage.end_ms - outage.begin_ms == 7_000
    assert outage.begin_ms - run.created_ms == 39_000
    shades = [
        one for one in parsed(timeline).iter(f"{NAMESPACE}rect") if one.get("class") == "shade"
    ]
    share = float(shades[0].get("width", 0)) / (946 - 78)
    assert share == pytest.approx(7_000 / run.duration_ms, rel=0.02)
    assert run.reconnects == 1
    kinds = [moment.kind for moment in run.moments]
    assert kinds == ["disconnected", "resumed", "error", "ended"]


def test_an_outage_that_ended_the_run_begins_when_it_was_last_heard(timeline: Timeline) -> None:
    run = timeline.runs[2]
    (outage,) = run.outages
    assert (outage.measured, outage.recovered) == (False, False)
    assert outage.end_ms == run.ended_ms
    assert outage.end_ms - outage.begin_ms == 11_000


def test_what_came_late_is_apart_and_changes_no_ending(timeline: Timeline) -> None:
    run = timeline.runs[2]
    assert (run.status, len(run.late)) == ("failed", 31)
    scale = Scale(run.created_ms, run.edge_ms, run.late_until_ms, 0.0, 100.0)
    assert scale.broken
    assert scale.place(run.edge_ms) == pytest.approx(84.0)
    assert scale.place(run.late_until_ms) == 100.0
    assert [moment.kind for moment in run.moments][-1] == "late"
    assert "late" in texts(parsed(timeline))


def test_an_unfinished_run_is_drawn_up_to_now(timeline: Timeline) -> None:
    run = timeline.runs[3]
    assert run.unfinished
    assert run.duration_ms == 28_000
    assert run.outages[0].end_ms == run.edge_ms


def test_every_event_is_in_exactly_one_bar(timeline: Timeline) -> None:
    for run in timeline.runs:
        scale = Scale(run.created_ms, run.edge_ms, run.late_until_ms, 78.0, 946.0)
        drawn = [bins(times, scale, BINS) for times in (run.ordinary, run.trouble, run.late)]
        assert sum(map(sum, drawn)) == run.events


def test_the_picture_can_be_heard(timeline: Timeline) -> None:
    root = parsed(timeline)
    assert root.get("role") == "img"
    title, story = (root.find(f"{NAMESPACE}{name}") for name in ("title", "desc"))
    assert title is not None
    assert story is not None
    assert root.get("aria-labelledby") == f"{title.get('id')} {story.get('id')}"
    assert title.text == f"Timeline of session {SESSION}"
    assert "was failed after" in (story.text or "")
    assert "31 events came late" in (story.text or "")


def test_a_saved_page_needs_nothing_else(timeline: Timeline, tmp_path: Path) -> None:
    page = timeline.save(tmp_path / "run.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert not re.search(r"""(?:src|href)=|@import|url\((?!#)""", page)
    assert "prefers-color-scheme:dark" in page
    assert "shop:fix &lt;tests&gt; &amp; more" in page
    assert "<tests>" not in page
    assert "the wrapper came back after 7 s" in page
    picture = timeline.save(tmp_path / "run.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(picture).tag == f"{NAMESPACE}svg"
    assert timeline._repr_html_() == picture


def test_another_suffix_is_refused(timeline: Timeline, tmp_path: Path) -> None:
    with pytest.raises(stayline.InvalidArgument, match=r"\.html nor \.svg"):
        timeline.save(tmp_path / "run.png")


def test_the_same_in_characters(timeline: Timeline) -> None:
    for width in (40, 80, 160):
        lines = timeline.text(width).splitlines()
        assert max(map(len, lines)) <= width
        links = [line for line in lines if line.startswith("link")]
        assert len(links) == 4
        assert all(CUT in links[index] for index in (0, 2, 3))
        assert CUT not in links[1]
        assert links[0].startswith("link    ·")


def test_what_would_steer_a_terminal_or_break_a_document_is_replaced() -> None:
    with stayline.Coordinator("memory:") as coordinator:
        session = coordinator.session("s")
        execution = session.start()
        session.fail(execution.id, "\x1b[31mred\x00</svg>")
        timeline = session.timeline()
        assert "\x1b" not in timeline.text()
        assert "red\ufffd</svg>" in "".join(texts(parsed(timeline)))


def test_a_hundred_thousand_events_are_a_few_bars() -> None:
    clock = stayline.ManualClock()
    with stayline.Coordinator("memory:", clock=clock) as coordinator:
        session = coordinator.session("s")
        execution = session.start()
        link = session.attach(execution.id, token=execution.token)
        for _ in range(100):
            link.receive_many(['{"streamEventType":"output","data":{"text":"x"}}'] * 1_000)
            clock.advance(1)
        told: list[int] = []
        timeline = Timeline(session, now_ms=clock.now_ms, progress=told.append)
    (run,) = timeline.runs
    assert run.events == 100_000
    assert told[-1] == 100_000
    assert told == sorted(told)
    assert len(timeline.svg()) < 40_000


def test_a_wrong_clock_does_not_stretch_the_picture(clock: stayline.ManualClock) -> None:
    with stayline.Coordinator("memory:", clock=clock) as coordinator:
        session = coordinator.session("s")
        agent = Agent(session, clock, "code")
        agent.attach()
        agent.send("output", at_ms=5)
        agent.send("output", at_ms=clock.now_ms + 10**12)
        clock.advance(10)
        agent.send("complete", {"exitCode": 0})
        (run,) = session.timeline().runs
        assert (run.duration_ms, run.outside, run.events) == (10_000, 2, 3)
        assert "2 events dated outside the run" in texts(parsed(session.timeline()))


def test_older_runs_are_left_out_and_that_is_told(clock: stayline.ManualClock) -> None:
    with stayline.Coordinator("memory:", clock=clock) as coordinator:
        session = coordinator.session("s")
        for number in range(4):
            session.fail(session.start(f"e{number}").id, "no")
            clock.advance(1)
        timeline = session.timeline(limit=2)
        assert [run.id for run in timeline.runs] == ["e2", "e3"]
        assert timeline.left_out == 1
        assert "2 runs (older ones not drawn)" in texts(parsed(timeline))
        assert [run.id for run in session.timeline(executions=["e0"]).runs] == ["e0"]
        with pytest.raises(stayline.NotFound):
            session.timeline(executions=["nope"])
        with pytest.raises(stayline.InvalidArgument):
            session.timeline(limit=0)


def test_an_unknown_session_has_no_timeline() -> None:
    with stayline.Coordinator("memory:") as coordinator, pytest.raises(stayline.NotFound):
        coordinator.session("nope").timeline()


@pytest.mark.parametrize("most", [1, 4, 8])
@pytest.mark.parametrize("span", [0, 3, 950, 61_000, 3_600_000, 90_000_000, 10**12])
def test_ticks_are_round_and_few(span: int, most: int) -> None:
    found = ticks(span, most)
    assert found[0] == 0
    assert len(found) <= most + 1
    assert all(0 <= tick <= span for tick in found)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 ms"),
        (999.4, "999 ms"),
        (4_230, "4.2 s"),
        (9_000, "9 s"),
        (59_700, "1 min"),
        (185_000, "3 min 5 s"),
        (7_620_000, "2 h 7 min"),
        (3 * 86_400_000 + 14_400_000, "3 d 4 h"),
    ],
)
def test_durations_are_told_in_two_units_at_most(ms: float, text: str) -> None:
    assert duration(ms) == text


def test_many_events_fall_into_the_same_bins_as_few() -> None:
    scale = Scale(1_000, 61_000, 300_000, 0.0, 217.0)
    times = [1_000 + (index * 7_919) % 299_001 for index in range(3_000)]
    few = [0] * 217
    for at in times:
        for index, number in enumerate(bins([at], scale, 217)):
            few[index] += number
    assert bins(times, scale, 217) == few
