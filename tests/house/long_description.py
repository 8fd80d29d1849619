"""What PyPI shows: `long_description.py` writes `python/README.md` anew.

It is the README for a reader who has no checkout: its links lead to the repository, and the wheel
comes from where the reader is.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "python" / "README.md"
REPOSITORY = "https://github.com/stayline/stayline/blob/main/"
LINK = re.compile(r"\]\((?!https?:|#)([^)\s]+)\)")
HEAD = "<!-- Written by `make docs` from README.md. -->\n"
BUILT = "pip install target/wheels/stayline-*.whl   # needs no compiler; `make wheel` builds it\n"
PUBLISHED = "pip install stayline   # needs no compiler\n"


def links(text: str) -> list[str]:
    """Where the README leads to within the repository."""
    return LINK.findall(text)


def page() -> str:
    """`python/README.md`."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count(BUILT) == 1
    text = text.replace(BUILT, PUBLISHED)
    return HEAD + LINK.sub(rf"]({REPOSITORY}\1)", text)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
