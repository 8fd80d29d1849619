"""Values that make everything else unreadable, on every way into and out of the command line.

One event that cannot be shown hides none of the others; nothing that was stored steers the
terminal; an argument that names nothing is one line on stderr and exit code 2.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import stayline
from command import PATIENCE, STAYLINE, call, environment, serving
from conftest import eventually
from stayline.cli import lines
from stayline.cli.views import Record

DIGITS = "7" * 5_000
#: Data as a wrapper of any language may send it: JSON text that is stored as it is.
DATA = {
    "half of a pair": r'{"text":"a\ud83d","\udcff":1}',
    "thousands of digits": f'{{"n":{DIGITS}}}',
    "hundreds of digits": f'{{"exitCode":{DIGITS[:400]},"disconnectedMs":{DIGITS[:400]}}}',
    "too far": '{"n":1e999,"disconnectedMs":1e999}',
    "a NUL": r'{"text":"a\u0000b"}',
    "an escape": r'{"text":"a\u001b[31mb\u009b1m"}',
    "an escape of one byte": '{"text":"a\x9b31m\x7f\x85b"}',
    "turned around": '{"text":"a\u202eb\u2066c"}',
    "breaks": '{"text":"a\u2028b\\r\\nc",\r\n "n" : [ 1,\n 2 ]}',
    "beyond ASCII": '{"text":"é😀"}',
    "deep": '{"text":' + "[" * 60 + "]" * 60 + "}",
    "no object": '"words"',
    "a number": DIGITS,
    "nothing": "null",
}
TYPES = [
    *("output", "error", "wrapper_resumed", "wrapper_reconnected", "rejected", "kilocode"),
    *("a\x1b[31m\x9b", "half \\ud83d", "\u202eodd"),
]
ODD_PATH = b"/tmp/r\xff"
LAST = '{"text":"the last one"}'
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which one session has it all, and an ordinary event at its end."""
    folder = tmp_path_factory.mktemp("values")
    (folder / ".stayline").mkdir()
    with stayline.Coordinator(f"sqlite:{folder / '.stayline' / 'runs.db'}") as coordinator:
        session = coordinator.session("s")
        session.start("e", mode="m")
        link = session.attach("e", trusted=True)
        sent = 0
        for kind in TYPES:
            # What is no text is no type: such a frame is refused, and that is stored.
            name = '"half \\ud83d"' if kind.startswith("half") else json.dumps(kind)
            for data in DATA.values():
                link.receive(f'{{"streamEventType":{name},"data":{data}}}')
                sent += 1
        link.receive(f'{{"streamEventType":"output","data":{LAST}}}')
        eventually(lambda: session.count_events(types=["output"]) == len(DATA) + 1)
        assert sent == len(TYPES) * len(DATA)
        session.fail("e", f"why \x1b[31m\x9b1m \u202e {os.fsdecode(ODD_PATH)}")
    return folder


def run(
    folder: Path, *arguments: str | bytes, **changes: str
) -> subprocess.CompletedProcess[bytes]:
    answer = subprocess.run(
        [*STAYLINE, *arguments],
        capture_output=True,
        cwd=folder,
        env=environment(**changes),
        timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
    )
    assert b"Traceback" not in answer.stderr, answer.stderr
    return answer


WAYS_OUT = {
    "events": ["events", "s"],
    "events --json": ["events", "s", "--json"],
    "events by type": ["events", "s", "--types", "output"],
    "watch": ["watch", "s", "--tail", "500", "--until-end"],
    "watch --json": ["watch", "s", "--tail", "500", "--until-end", "--json"],
}
ENCODINGS = {
    "UTF-8": {"PYTHONIOENCODING": "utf-8"},
    "ASCII": {"PYTHONIOENCODING": "ascii:strict"},
    "Latin-1": {"PYTHONIOENCODING": "latin-1:strict"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("way", WAYS_OUT)
def test_one_event_hides_none_of_the_others(folder: Path, way: str, encoding: str) -> None:
    answer = run(folder, *WAYS_OUT[way], **ENCODINGS[encoding])
    assert answer.stderr == b""
    assert answer.returncode == (1 if way.startswith("watch") else 0)
    out = answer.stdout.decode("latin-1" if encoding == "Latin-1" else "utf-8")
    if encoding in ("ASCII", "C"):
        assert out.isascii()
    shown = out.splitlines() if encoding == "Latin-1" else out.split("\n")
    assert any("the last one" in line for line in shown)
    assert not _UNSEEN.search(out), ascii(_UNSEEN.findall(out))
    if "--json" in way:
        check_json(folder, [line for line in shown if line])


def check_json(folder: Path, shown: list[str]) -> None:
    """Each line is the event as it was stored, whatever the encoding."""
    exact = json.JSONDecoder(parse_int=str, parse_float=str)
    records = [exact.decode(line) for line in shown]
    events = [record for record in records if record["eventId"] != "0"]
    location = f"sqlite:{folder / '.stayline' / 'runs.db'}"
    with stayline.Coordinator(location, read_only=True) as coordinator:
        stored = [event.frame for event in coordinator.session("s").events()]
    assert events == [exact.decode(frame) for frame in stored]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "arguments",
    [
        ["runs"],
        ["runs", "--json"],
        ["runs", "--names"],
        ["watch", "--until-end"],
        ["watch", "--until-end", "--json"],
        ["timeline", "s"],
        ["timeline", "s", "-o", "run.html"],
        ["timeline", "s", "-o", "run.svg"],
    ],
)
def test_every_overview_shows_the_run(folder: Path, arguments: list[str], encoding: str) -> None:
    answer = run(folder, *arguments, **ENCODINGS[encoding])
    assert (answer.returncode, answer.stderr) == (0, b"")
    out = answer.stdout.decode("latin-1" if encoding == "Latin-1" else "utf-8")
    assert not _UNSEEN.search(out)
    if "--json" in arguments:
        (line,) = out.splitlines()
        assert json.loads(line)["error"] == r"why " + "\x1b[31m\x9b1m \u202e " + r"/tmp/r\udcff"
    if "-o" in arguments:
        drawn = (folder / arguments[-1]).read_text(encoding="utf-8")
        assert "error: why" in drawn or "why" in drawn


def test_a_server_tells_it_all_as_well(folder: Path, tmp_path: Path) -> None:
    location = f"sqlite:{folder / '.stayline' / 'runs.db'}"
    with serving(tmp_path, "--store", location) as url:
        for way in WAYS_OUT.values():
            answer = run(tmp_path, *way, "--to", url)
            assert b"the last one" in answer.stdout
            assert not _UNSEEN.search(answer.stdout.decode())
        assert b"why" in run(tmp_path, "runs", "--to", url).stdout


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "no JSON",
        "[1]",
        '"x"',
        "{}",
        '{"eventId":"x"}',
        '{"eventId":1e999,"data":1}',
        "[" * 90_000,
    ],
)
def test_a_record_of_a_server_that_is_none_of_ours_is_a_line_all_the_same(frame: str) -> None:
    record = Record(frame)
    assert record.id == 0
    assert lines.line(record)


NO_UTF_8 = b"a\xffb"


@pytest.mark.parametrize(
    "arguments",
    [
        [b"events", NO_UTF_8],
        [b"events", b"s", b"--execution", NO_UTF_8],
        [b"events", b"s", b"--types", b"output," + NO_UTF_8],
        [b"events", b"s", b"--since", NO_UTF_8],
        [b"runs", b"--session", NO_UTF_8],
        [b"runs", b"--to", b"http://" + NO_UTF_8],
        [b"runs", b"--" + NO_UTF_8],
        [b"watch", NO_UTF_8],
        [b"timeline", NO_UTF_8],
        [b"timeline", b"s", b"--execution", NO_UTF_8],
        [b"fail", NO_UTF_8, b"-m", b"x"],
        [b"fail", b"s", b"-m", NO_UTF_8],
        [b"interrupt", NO_UTF_8],
        [b"run", b"--session", NO_UTF_8, b"--", b"true"],
        [b"run", b"--mode", NO_UTF_8, b"--", b"true"],
        [b"run", b"--set", NO_UTF_8, b"--", b"true"],
        [b"run", b"--set", b"volatile_types=" + NO_UTF_8, b"--", b"true"],
        [b"serve", b"--listen", NO_UTF_8],
        [b"serve", b"--allow-origin", NO_UTF_8],
        [b"serve", b"--base-path", NO_UTF_8],
        [b"serve", b"--store", b"sqlite:" + NO_UTF_8],
        [b"completion", NO_UTF_8],
        [NO_UTF_8],
    ],
)
def test_an_argument_that_is_no_utf_8_is_named(tmp_path: Path, arguments: list[bytes]) -> None:
    answer = run(tmp_path, *arguments)
    assert answer.returncode == 2
    assert answer.stderr.count(b"\n") == 1
    assert rb"a\udcffb" in answer.stderr
    assert b"\xff" not in answer.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["events", "s", "--limit", DIGITS],
        ["events", "s", "--after", "9" * 19],
        ["events", "s", "--since", DIGITS],
        ["events", "s", "--since", "0001-01-01T00:00:00+14:00"],
        ["events", ""],
        ["events", "x" * 100_000],
        ["events", "a\x1b[31m"],
        ["runs", "--limit", DIGITS],
        ["runs", "--to", "http://[::1"],
        ["runs", "--to", "http://127.0.0.1:99999"],
        ["runs", "--to", "http://127.0.0.1:x"],
        ["runs", "--to", "http://" + "x" * 100],
        ["runs", "--to", "http://a b"],
        ["runs", "--to", "ftp://a"],
        ["run", "--set", "max_nesting=" + "[" * 100_000, "--", "true"],
        ["run", "--set", f"max_nesting={DIGITS}", "--", "true"],
        ["run", "--set", "jitter=NaN", "--", "true"],
        ["run", "--set", "jitter=1e999", "--", "true"],
        ["run", "--session", "a\nb", "--", "true"],
        ["serve", "--listen", "nowhere"],
        ["serve", "--listen", "127.0.0.1:" + DIGITS],
    ],
)
def test_an_odd_argument_is_one_line(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / ".stayline").mkdir()
    stayline.Coordinator(f"sqlite:{tmp_path / '.stayline' / 'runs.db'}").close()
    answer = run(tmp_path, *arguments)
    if answer.returncode == 0:
        assert arguments[-2:] == ["--since", "0001-01-01T00:00:00+14:00"]
        return
    assert answer.returncode in (1, 2)
    assert answer.stderr.count(b"\n") == 1
    assert len(answer.stderr) < 2_500
    assert not _UNSEEN.search(answer.stderr.decode().rstrip("\n"))


SECRETS = ["se\x7fcret", "secrét", "secret ", "sec\nret", "😀secret"]


@pytest.mark.parametrize("key", SECRETS)
def test_a_key_that_no_header_can_carry_is_not_echoed(tmp_path: Path, key: str) -> None:
    for changes in ({"STAYLINE_KEY": key}, {}):
        more = () if changes else ("--key", key)
        answer = run(tmp_path, "runs", "--to", "http://127.0.0.1:1", *more, **changes)
        assert answer.returncode == 2
        # A key on the command line is warned about first.
        assert answer.stderr.count(b"\n") == (1 if changes else 2)
        assert b"STAYLINE_KEY" in answer.stderr
        assert b"ret" not in answer.stderr.replace(b"secret key", b"")


def test_a_token_and_a_key_that_are_no_text_are_not_echoed(tmp_path: Path) -> None:
    with stayline.Coordinator("memory:") as owner:
        secret = os.fsdecode(b"hunter\xff")
        session = owner.session("s")
        for call_it in (
            lambda: session.start(token=secret),
            lambda: session.attach("e", token=secret),
            lambda: owner.serve(key=secret),
            lambda: owner.verify_ticket("s", secret),
            lambda: stayline.Wrapper("http://h", session_id="s", execution_id="e", token=secret),
        ):
            with pytest.raises(stayline.InvalidArgument) as refused:
                call_it()
            assert "hunter" not in str(refused.value)
            assert "half of a surrogate pair" in str(refused.value)
    answer = run(tmp_path, b"runs", b"--to", b"http://127.0.0.1:1", b"--key", b"hunter\xff")
    assert answer.returncode == 2
    assert b"hunter" not in answer.stderr


def test_lines_of_a_program_are_kept_whatever_is_in_them(tmp_path: Path) -> None:
    """And pass through unchanged, to the byte: what a program prints is for its own terminal."""
    printed = b"".join(
        data.replace("\r\n", "").replace("\n", "").encode("utf-8", "surrogatepass") + b"\n"
        for data in DATA.values()
    )
    printed += b"\xff\xfe\x00 \x1b[31mred\x1b[0m\n" + b'{"streamEventType":"x\\ud800","data":{}}\n'
    printed += b'{"streamEventType":"odd","data":{"\\udc80":[' + DIGITS.encode() + b"]}}\n"
    (tmp_path / "printed").write_bytes(printed)
    answer = run(tmp_path, "run", "--session", "s", "--", "cat", "printed")
    assert (answer.returncode, answer.stdout) == (0, printed)
    location = f"sqlite:{tmp_path / '.stayline' / 'runs.db'}"
    with stayline.Coordinator(location, read_only=True) as coordinator:
        events = list(coordinator.session("s").events())
    assert len(events) == len(DATA) + 4
    by_type: dict[str, list[Any]] = {}
    for event in events:
        by_type.setdefault(event.type, []).append(event.data)
    assert by_type["complete"] == [{"exitCode": 0}]
    assert str(by_type["odd"][0]["\udc80"][0]) == DIGITS
    assert run(tmp_path, "events", "s").stdout.count(b"\n") == len(events)


def test_a_program_whose_arguments_are_no_utf_8_runs(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"r\xff")).write_text("found\n")
    answer = run(tmp_path, b"run", b"--", b"cat", b"r\xff")
    assert (answer.returncode, answer.stdout) == (0, b"found\n")
    missing = run(tmp_path, b"run", b"--", b"/no/r\xff")
    assert missing.returncode == 127
    assert missing.stderr.count(b"\n") == 1
    with_environment = call(
        tmp_path, "run", "--", "sh", "-c", 'printf %s "$ODD"', ODD=os.fsdecode(b"\xfe")
    )
    assert with_environment.stdout == b"\xfe"


def test_pictures_are_drawn_into_files_of_any_name(folder: Path, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/r\xff.html"
    answer = run(folder, b"timeline", b"s", b"-o", path)
    assert (answer.returncode, answer.stderr) == (0, b"")
    assert rb"r\udcff.html: 1 run" in answer.stdout
    assert os.path.exists(path)
