"""Keys and tokens on the command line: taken, but better from a file or the environment."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stayline.cli.console import complain

#: Longer is no key, but a file that was named by mistake.
_LONGEST = 8_192


class Secret(argparse.Action):
    """Takes the value, and says that everybody on this machine can read it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        value: str | Sequence[Any] | None,
        option: str | None = None,
    ) -> None:
        """Takes it."""
        setattr(namespace, self.dest, value)
        name = self.dest.upper()
        complain(
            f"{option}: a command line can be read by everybody on this machine; "
            f"use STAYLINE_{name} or {option}-file"
        )


def read(path: Path, what: str) -> str:
    """The first line of a file; ``ValueError`` says why there is none."""
    try:
        with path.open(encoding="utf-8") as file:
            value = file.readline(_LONGEST).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ValueError(f"cannot read the {what} from {str(path)!r}: {reason}") from None
    if not value:
        raise ValueError(f"the first line of {str(path)!r} is empty; a {what} goes there")
    return value
