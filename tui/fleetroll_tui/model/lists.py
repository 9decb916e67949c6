"""Short lists that are looked at like long ones: events of something, waves of a rollout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from fleetroll_tui.model.events import Gap
from fleetroll_tui.model.filters import compile_filter
from fleetroll_tui.model.listing import TIMED_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fleetroll_tui.model.events import Ring
    from fleetroll_tui.model.fields import Fields
    from fleetroll_tui.model.values import Happening

T = TypeVar("T")


class ShortList(Generic[T]):
    """At most some thousand rows in a given order, rebuilt when their source changed."""

    def __init__(self, fields: Fields[T] | None = None) -> None:
        """Be empty."""
        self.fields = fields
        self.filter = compile_filter("", fields) if fields is not None else None
        self.marks: set[str] = set()
        self.cursor = ""
        self.asked = 0
        self._rows: list[T] = []
        self._places: dict[str, int] = {}
        self._seen: Any = None
        self._asked_at = 0.0

    def __len__(self) -> int:
        """Return how many rows pass the filter."""
        return len(self._rows)

    def filter_by(self, text: str) -> None:
        """Set the filter.

        Raises:
            FilterError: it can't be read; the old one stays (the writer's fault).
        """
        if self.fields is not None:
            self.filter = compile_filter(text, self.fields)
            self.asked += 1
            self._seen = None

    def mark(self, key: str) -> None:
        """Mark a row, or take its mark away; "" is no row."""
        if key:
            self.marks ^= {key}

    def id_at(self, position: int) -> str:
        """Return the id of a row; "" where there is none."""
        return self._id(self._rows[position]) if 0 <= position < len(self._rows) else ""

    def at(self, position: int) -> T | None:
        """Return a row, if there is one."""
        return self._rows[position] if 0 <= position < len(self._rows) else None

    def get(self, key: str) -> T | None:
        """Return the row of that id, if it is shown."""
        place = self._places.get(key)
        return self.at(place) if place is not None else None

    def forget_choice(self) -> None:
        """Forget cursor and marks: ids stand for others now."""
        self.cursor = ""
        self.marks.clear()

    def position(self, key: str) -> int | None:
        """Return where a row stands; None when it is not shown."""
        return self._places.get(key)

    @property
    def current(self) -> T | None:
        """Return the row under the cursor: the first while none was chosen, or the chosen one is gone."""
        return self.at(self._places.get(self.cursor, 0))

    def fill(self, seen: object, rows: Callable[[], Iterable[T]], now: float) -> bool:
        """Take the rows anew when ``seen``, which stands for their source, is another than before, or time has its say.

        A gap passes every filter: what is missing may be what was looked for.
        """
        timed = self.filter is not None and self.filter.timed
        if seen == self._seen and not (timed and abs(now - self._asked_at) >= TIMED_SECONDS):
            return False
        self._seen, self._asked_at = seen, now
        holds = self.filter.holds if self.filter is not None and not self.filter.empty else None
        self._rows = [row for row in rows() if holds is None or isinstance(row, Gap) or holds(row, now)]
        self._places = {self._id(row): place for place, row in enumerate(self._rows)}
        return True

    @staticmethod
    def _id(row: Any) -> str:
        return str(row.number) if hasattr(row, "number") else str(row.id)


def fill_events(
    events: ShortList[Happening], ring: Ring, now: float, *, rollout_id: str = "", host_id: str = ""
) -> bool:
    """Show what a ring or a log has of a rollout, of a host, or of all, newest first."""

    def rows() -> Iterable[Happening]:
        return (
            each
            for each in ring.newest_first()
            if isinstance(each, Gap) or (rollout_id in {"", each.rollout_id} and host_id in {"", each.host_id})
        )

    return events.fill((ring, ring.revision), rows, now)
