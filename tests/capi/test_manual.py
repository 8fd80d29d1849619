"""The manual that doxygen writes of both headers: all is in it, and nothing without a word."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from conftest import BUILD_PATIENCE, ROOT
from header import items_of

pytestmark = pytest.mark.skipif(
    shutil.which("doxygen") is None, reason="doxygen is not installed (Debian: doxygen)"
)


def write(folder: Path) -> subprocess.CompletedProcess[str]:
    """Writes the manual of a copy of what it is made of, into `folder`/target/manual."""
    (folder / "target").mkdir(exist_ok=True)
    return subprocess.run(
        ["doxygen", "ffi/manual/Doxyfile"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable, "STAYLINE_VERSION": "test"},
        capture_output=True,
        text=True,
        timeout=BUILD_PATIENCE,
    )


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """What the manual is made of, to be changed."""
    for name in ("include", "docs", "ffi/manual"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


def test_the_manual_has_everything_and_its_links_lead_somewhere(sources: Path) -> None:
    written = write(sources)
    assert written.returncode == 0, written.stdout + written.stderr
    manual = sources / "target" / "manual"
    tags = ElementTree.parse(manual / "stayline.tag").getroot()
    known: dict[str, list[ElementTree.Element]] = {}
    for member in tags.iter("member"):
        known.setdefault(member.findtext("name") or "", []).append(member)
    functions = [
        item.name
        for item in items_of((ROOT / "include" / "stayline.h").read_text())
        if item.kind in ("function", "inline")
    ]
    assert len(functions) > 150
    assert [name for name in functions if name not in known] == []
    # One noun has one page with its functions and its types.
    session = manual / "html" / "group__session.html"
    assert "stayline_session_start" in session.read_text()
    # C++: what each class can do.
    classes = {one.findtext("name") for one in tags.iter("compound") if one.get("kind") == "class"}
    for noun in ("Coordinator", "Session", "Link", "Subscription", "Wrapper", "Settings", "Server"):
        assert f"stayline::{noun}" in classes
    assert not any("detail" in (name or "") for name in classes)
    # A rule that is cited is a link to its text, which is there.
    pages = {page.name: page.read_text() for page in (manual / "html").glob("*.html")}
    cited = set(re.findall(r'href="([\w.-]+)#(R\d+[a-z]?)"', "".join(pages.values())))
    assert len(cited) > 20
    for page, anchor in cited:
        assert f'id="{anchor}"' in pages[page], anchor


def test_an_item_without_a_comment_is_an_error(sources: Path) -> None:
    header = sources / "include" / "stayline.h"
    bare = "stayline_status stayline_session_bare(stayline_session *session);\n"
    text = header.read_text()
    assert "\nstayline_status stayline_session_start(" in text
    place = text.rindex("/**", 0, text.index("\nstayline_status stayline_session_start("))
    header.write_text(text[:place] + bare + "\n" + text[place:])
    written = write(sources)
    assert written.returncode != 0
    assert "stayline_session_bare" in written.stdout + written.stderr
