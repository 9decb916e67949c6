"""Rows as they are looked at: filtered, sorted, marked, with a cursor; all by id, so that a refresh moves nothing.

What changed is taken in at a repaint, at once for all changes since the last: a change by itself only notes an id.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from fleetroll_tui.model.filters import compile_filter

if TYPE_CHECKING:
    from fleetroll_tui.model.fields import Fields
    from fleetroll_tui.model.shelf import Shelf

T = TypeVar("T")
FEW = 64
"""Up to so many changed rows are moved one by one; more are merged in one pass."""
TIMED_SECONDS = 5.0
"""How often a filter that depends on the time is asked anew."""


class Down:
    """A key that sorts the other way round."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        """Keep the key."""
        self.key = key

    def __lt__(self, other: Down) -> bool:
        """Compare the other way round."""
        return bool(other.key < self.key)

    def __eq__(self, other: object) -> bool:
        """Compare keys."""
        return isinstance(other, Down) and bool(self.key == other.key)

    __hash__ = None  # type: ignore[assignment]


class Listing(Generic[T]):
    """A view of a shelf."""

    def __init__(self, shelf: Shelf[T], fields: Fields[T]) -> None:
        """Show everything in the first order."""
        self.shelf = shelf
        self.fields = fields
        self.filter = compile_filter("", fields)
        self.order = fields.orders[0]
        self.descending = False
        self.marks: set[str] = set()
        self.cursor = ""
        self.asked = 0
        self._dirt = shelf.reader()
        self._keys: dict[str, tuple[Any, str]] = {}
        self._rows: list[tuple[Any, str]] = []
        self._asked_at = 0.0

    def __len__(self) -> int:
        """Return how many rows pass the filter."""
        return len(self._rows)

    def look_over(self, shelf: Shelf[T]) -> None:
        """Show another shelf; filter, order, marks and cursor stay."""
        self.shelf = shelf
        self._dirt = shelf.reader()

    def filter_by(self, text: str) -> None:
        """Set the filter; marks and cursor stay.

        Raises:
            FilterError: it can't be read; the old one stays (the writer's fault).
        """
        self.filter = compile_filter(text, self.fields)
        self.asked += 1
        self._dirt.all = True

    def sort_by(self, name: str, *, descending: bool = False) -> None:
        """Set the order by its name."""
        self.order = next(order for order in self.fields.orders if order.name == name)
        self.descending = descending
        self.asked += 1
        self._dirt.all = True

    def sort_next(self) -> None:
        """Go on to the next order."""
        orders = self.fields.orders
        self.sort_by(orders[(orders.index(self.order) + 1) % len(orders)].name)

    def turn(self) -> None:
        """Turn the order round."""
        self.sort_by(self.order.name, descending=not self.descending)

    def mark(self, key: str) -> None:
        """Mark a row, or take its mark away; "" is no row."""
        if key:
            self.marks ^= {key}

    def id_at(self, position: int) -> str:
        """Return the id of a row; "" where there is none."""
        return self._rows[position][1] if 0 <= position < len(self._rows) else ""

    def at(self, position: int) -> T | None:
        """Return a row, if there is one."""
        return self.shelf.get(self.id_at(position))

    def position(self, key: str) -> int | None:
        """Return where a row stands; None when it is not shown."""
        sort_key = self._keys.get(key)
        return None if sort_key is None else bisect_left(self._rows, sort_key)

    @property
    def current(self) -> T | None:
        """Return the row under the cursor: the first while none was chosen."""
        return self.shelf.get(self.cursor or self.id_at(0))

    def refresh(self, now: float) -> bool:
        """Take in what changed; True when anything that is shown may have."""
        if self.filter.timed and now - self._asked_at >= TIMED_SECONDS:
            self._dirt.all = True
        changed, everything = self._dirt.clean()
        if everything:
            self._rebuild(now)
        elif changed:
            self._move(changed, now)
        return everything or bool(changed)

    def _key_of(self, key: str, thing: T) -> tuple[Any, str]:
        by = self.order.key(thing)
        return (Down(by) if self.descending else by, key)

    def _rebuild(self, now: float) -> None:
        self._asked_at = now
        holds = self.filter.holds
        shown = self.shelf.things.items()
        if not self.filter.empty:
            shown = {key: thing for key, thing in shown if holds(thing, now)}.items()
        self._keys = {key: self._key_of(key, thing) for key, thing in shown}
        self._rows = sorted(self._keys.values())

    def _move(self, changed: set[str], now: float) -> None:
        holds, empty = self.filter.holds, self.filter.empty
        gone: list[tuple[Any, str]] = []
        come: list[tuple[Any, str]] = []
        for key in changed:
            thing = self.shelf.get(key)
            old = self._keys.get(key)
            new = self._key_of(key, thing) if thing is not None and (empty or holds(thing, now)) else None
            if old == new:
                continue
            if old is not None:
                gone.append(old)
                del self._keys[key]
            if new is not None:
                come.append(new)
                self._keys[key] = new
        if len(gone) + len(come) <= FEW:
            for row in gone:
                del self._rows[bisect_left(self._rows, row)]
            for row in come:
                insort(self._rows, row)
        else:
            left = {key for _, key in gone}
            # Two sorted runs: sorting them is a merge.
            self._rows = sorted([row for row in self._rows if row[1] not in left] + sorted(come))
