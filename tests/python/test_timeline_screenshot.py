"""The timeline as a browser shows it: both colour schemes, looked at pixel by pixel."""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib
from collections import Counter
from pathlib import Path

import pytest
from timelines import everything

WIDTH, HEIGHT = 1000, 960
BROWSER = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    None,
)
QUIET = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--force-device-scale-factor=1", "--force-color-profile=srgb"),
]

Colour = tuple[int, int, int]


@pytest.mark.skipif(BROWSER is None, reason="chromium is not installed: apt-get install chromium")
@pytest.mark.timeout(240)
def test_light_and_dark_show_the_same_picture_in_other_colours(tmp_path: Path) -> None:
    with everything(tmp_path / "runs.db") as session:
        page = session.timeline().save(tmp_path / "run.html")
    light = Picture(photographed(page, tmp_path / "light.png", dark=False))
    dark = Picture(photographed(page, tmp_path / "dark.png", dark=True))
    for picture in (light, dark):
        assert (picture.width, picture.height) == (WIDTH, HEIGHT)
    assert light.background == (255, 255, 255)
    assert dark.background == (13, 17, 23)
    # Running, connected, and the four endings are there in their colours, in both.
    for name, in_light, in_dark in [
        ("running", (9, 105, 218), (47, 129, 247)),
        ("pending", (212, 167, 44), (210, 153, 34)),
        ("completed", (26, 127, 55), (63, 185, 80)),
        ("failed", (207, 34, 46), (248, 81, 73)),
        ("interrupted", (130, 80, 223), (171, 125, 248)),
    ]:
        assert light.colours[in_light] > 40, name
        assert dark.colours[in_dark] > 40, name
    # What is long in one is long in the other.
    assert light.colours[9, 105, 218] == pytest.approx(dark.colours[47, 129, 247], rel=0.05)


def photographed(page: Path, target: Path, *, dark: bool) -> bytes:
    assert BROWSER is not None
    scheme = 0 if dark else 1
    subprocess.run(
        [
            BROWSER,
            *QUIET,
            f"--user-data-dir={target.with_suffix('.profile')}",
            f"--blink-settings=preferredColorScheme={scheme}",
            f"--window-size={WIDTH},{HEIGHT}",
            f"--screenshot={target}",
            page.as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=100,
    )
    return target.read_bytes()


class Picture:
    """A PNG of eight bits a channel, read without a library: size, and how often each colour."""

    def __init__(self, data: bytes) -> None:
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
        at, packed = 8, b""
        while at < len(data):
            (length,) = struct.unpack_from(">I", data, at)
            kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
            if kind == b"IHDR":
                self.width, self.height, depth, colour_type = struct.unpack_from(">IIBB", body)
                assert depth == 8
                channels = {2: 3, 6: 4}[colour_type]
            elif kind == b"IDAT":
                packed += body
            at += length + 12
        self.colours: Counter[Colour] = Counter()
        rows = _unfiltered(zlib.decompress(packed), self.width * channels, channels)
        for row in rows:
            self.colours.update(
                zip(row[0::channels], row[1::channels], row[2::channels], strict=True)
            )
        self.background: Colour = self.colours.most_common(1)[0][0]


def _unfiltered(raw: bytes, stride: int, step: int) -> list[bytearray]:
    rows: list[bytearray] = []
    above = bytearray(stride)
    for start in range(0, len(raw), stride + 1):
        kind, row = raw[start], bytearray(raw[start + 1 : start + 1 + stride])
        for index in range(stride if kind else 0):
            left = row[index - step] if index >= step else 0
            corner = above[index - step] if index >= step else 0
            guess = (0, left, above[index], (left + above[index]) // 2, 0)[kind]
            if kind == 4:
                guess = _paeth(left, above[index], corner)
            row[index] = (row[index] + guess) & 255
        rows.append(row)
        above = row
    return rows


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    distances = (abs(guess - left), abs(guess - up), abs(guess - corner))
    return (left, up, corner)[distances.index(min(distances))]
