"""What the views have in common: the object of ``stayline`` that each is a view of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Self

S = TypeVar("S")


class View(Generic[S]):
    """A view of one object, which may be used directly at the same time."""

    def __init__(self, sync: S) -> None:
        self._sync = sync

    @classmethod
    def of(cls, sync: S) -> Self:
        """A view of it."""
        return cls(sync)

    @property
    def sync(self) -> S:
        """What it is a view of."""
        return self._sync

    def __repr__(self) -> str:
        return f"<stayline.aio view of {self._sync!r}>"
