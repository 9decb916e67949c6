"""Things by id, and for each reader what changed since it looked last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import ref

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")


class Dirt:
    """What one reader has not seen yet: some ids, or everything."""

    def __init__(self) -> None:
        """Begin with everything unseen."""
        self.ids: set[str] = set()
        self.all = True

    def clean(self) -> tuple[set[str], bool]:
        """Return what is unseen, as ids or as "all", and count it as seen."""
        seen = (self.ids, self.all)
        self.ids, self.all = set(), False
        return seen


class Shelf(Generic[T]):
    """Things by id."""

    def __init__(self) -> None:
        """Be empty."""
        self.things: dict[str, T] = {}
        self.revision = 0
        self._readers: list[ref[Dirt]] = []

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.things)

    def __iter__(self) -> Iterator[T]:
        """Go through them in no order of meaning."""
        return iter(self.things.values())

    def get(self, key: str) -> T | None:
        """Return the thing of that id, if it is there."""
        return self.things.get(key)

    def reader(self) -> Dirt:
        """Return a new reader's mark; it is forgotten with the reader."""
        dirt = Dirt()
        self._readers = [each for each in self._readers if each() is not None] + [ref(dirt)]
        return dirt

    def still(self) -> Shelf[T]:
        """Return what stands on it now, on a shelf that nobody changes: a pass over all of them."""
        made: Shelf[T] = Shelf()
        made.things, made.revision = dict(self.things), self.revision
        return made

    def put(self, key: str, thing: T) -> T | None:
        """Set one thing; return what was there."""
        before = self.things.get(key)
        self.things[key] = thing
        self.revision += 1
        for each in self._readers:
            reader = each()
            if reader is not None:
                reader.ids.add(key)
        return before

    def replace(self, things: Iterable[tuple[str, T]]) -> None:
        """Replace all of them."""
        self.things = dict(things)
        self.revision += 1
        for each in self._readers:
            reader = each()
            if reader is not None:
                reader.ids.clear()
                reader.all = True
