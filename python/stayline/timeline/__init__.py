"""One picture of a session's runs: ``session.timeline()``.

A run's record is a status and a log of events; what people want to know is how it went. The
picture answers at a glance: how long it was pending, when it ran, where the connection was cut and
came back, when its events came, how it ended, and what arrived too late to count (R10a)::

    session.timeline().save("run.html")      # or .svg
    session.timeline()                       # in a notebook: the picture itself

``model`` reads the runs through the session's public getters, ``scale`` maps time to pixels,
``drawing`` makes the SVG, ``page`` puts it into HTML with the same facts as text, and ``text``
draws it for a terminal. Nothing here needs a network, a script or a font: a saved file is complete,
and readable in light and dark. A log of 100 000 events costs a few bars more than one of ten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from stayline import InvalidArgument
from stayline.timeline import drawing, page, text
from stayline.timeline.model import Moment, Outage, Run, read

if TYPE_CHECKING:
    from stayline import Session

__all__ = ["Moment", "Outage", "Run", "Timeline"]


class Timeline:
    """What is to be seen of a session's newest runs. Made by ``Session.timeline``; it holds what
    was stored at that moment and does not change afterwards."""

    def __init__(
        self,
        session: Session,
        *,
        now_ms: int,
        owned: bool = True,
        executions: Sequence[str] | None = None,
        limit: int = 10,
        progress: Callable[[int], object] | None = None,
    ) -> None:
        """Reads the newest ``limit`` runs, or the ``executions`` named.

        ``now_ms`` is where runs that have not ended are drawn to, and ``owned`` whether a
        coordinator takes care of them: nobody is connected to one that is gone. ``progress`` is
        told the number of events read, now and then. ``NotFound`` for an unknown session or
        execution (R19a), ``InvalidArgument`` for a limit below 1.
        """
        if limit < 1:
            raise InvalidArgument(
                f"a timeline of {limit} runs shows nothing; the limit is 1 or more"
            )
        self._session_id = session.id
        self._runs, self._left_out = read(session, executions, limit, now_ms, progress, owned=owned)

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self._session_id

    @property
    def runs(self) -> tuple[Run, ...]:
        """What is drawn, oldest first."""
        return self._runs

    @property
    def left_out(self) -> int:
        """How many older runs at least are not drawn."""
        return self._left_out

    def svg(self) -> str:
        """The picture as a document of its own: SVG, following the reader's light or dark."""
        return drawing.svg(self._session_id, self._runs, self._left_out)

    def html(self) -> str:
        """A self-contained page: the picture, and its moments as a table."""
        return page.html(self._session_id, self._runs, self._left_out)

    def text(self, width: int = 80) -> str:
        """The picture in characters, for a terminal of ``width`` columns; no colours."""
        return text.draw(self._session_id, self._runs, self._left_out, width)

    def save(self, path: str | PathLike[str]) -> Path:
        """Writes ``run.html`` or ``run.svg``; the suffix decides. Returns the path.

        ``InvalidArgument`` for another suffix, ``OSError`` when it cannot be written.
        """
        target = Path(path)
        suffix = target.suffix.lower()
        if suffix in (".html", ".htm"):
            content = self.html()
        elif suffix == ".svg":
            content = self.svg()
        else:
            raise InvalidArgument(f"{str(target)!r} is neither .html nor .svg; name it so")
        target.write_text(content, encoding="utf-8")
        return target

    def _repr_html_(self) -> str:
        """The picture, for notebooks."""
        return self.svg()

    def __repr__(self) -> str:
        events = sum(run.events for run in self._runs)
        return f"<stayline.Timeline {self._session_id!r}: {len(self._runs)} runs, {events} events>"
