"""What answers where no server of ours is, in words: who gave the address has to mend it."""

from __future__ import annotations

import re
from email.message import Message

from stayline._internal import _without_credentials

_LONGEST = 200
_LONGEST_TITLE = 100
ADVICE = "check the address and its base path"

#: What a proxy answers while the server behind it is away.
_FOR_NOW = (500, 502, 503, 504)


def asked(url: str, status: int) -> str:
    """The address that was asked, without its query, and the status that came."""
    return f"{_without_credentials(url.partition('?')[0])} answered {status}"


def told(url: str, status: int, headers: Message, body: bytes) -> str:
    """The address that was asked, what came from there, and what to look at."""
    answered = asked(url, status)
    if 300 <= status < 400:
        location = _without_credentials(headers.get("Location") or "nowhere")
        return f"{answered}, a redirect to {location[:_LONGEST]}; give the address that it leads to"
    text = body.decode("utf-8", "replace").strip()
    if "html" in (headers.get("Content-Type") or "").lower() or text.startswith("<"):
        title = re.search(r"<title>\s*(.*?)\s*</title>", text, re.IGNORECASE | re.DOTALL)
        name = f' "{title[1][:_LONGEST_TITLE]}"' if title and title[1] else ""
        said = f" with a web page{name}"
    else:
        line = text.partition("\n")[0].strip()[:_LONGEST]
        said = f" ({line})" if line else ""
    advice = "" if status in _FOR_NOW else f"; {ADVICE}"
    return f"{answered}{said}, which is no answer of Stayline{advice}"
