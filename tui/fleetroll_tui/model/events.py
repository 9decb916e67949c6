"""What happened, the newest so many; and how fast hosts get done and fail."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from fleetroll_tui.model.values import BAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fleetroll_tui.model.values import Happening

RING = 5_000
"""Events that are kept."""
MINUTES = 60
"""Minutes that rates reach back."""


class Ring:
    """Events in the order in which they happened, the newest :data:`RING`, each once."""

    def __init__(self, size: int = RING) -> None:
        """Be empty."""
        self._kept: deque[Happening] = deque(maxlen=size)
        self._ids: set[str] = set()
        self.revision = 0

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._kept)

    def __iter__(self) -> Iterator[Happening]:
        """Go from the oldest to the newest."""
        return iter(self._kept)

    def newest_first(self) -> Iterator[Happening]:
        """Go from the newest to the oldest."""
        return reversed(self._kept)

    def add(self, happening: Happening) -> bool:
        """Take one in; False when it is known already."""
        if happening.id in self._ids:
            return False
        if len(self._kept) == self._kept.maxlen:
            self._ids.discard(self._kept[0].id)
        self._kept.append(happening)
        self._ids.add(happening.id)
        self.revision += 1
        return True

    def add_older(self, newest_first: Iterable[Happening]) -> list[Happening]:
        """Take in what happened before, at its place in time; return what was new."""
        new = [each for each in newest_first if each.id not in self._ids]
        if new:
            # Sorting is stable: what was in order stays in order where instants are equal.
            merged = sorted([*reversed(new), *self._kept], key=lambda each: each.at)[-(self._kept.maxlen or 0) :]
            self._kept.clear()
            self._kept.extend(merged)
            self._ids = {each.id for each in merged}
            self.revision += 1
        return new


class Rates:
    """Hosts done and failed per minute."""

    def __init__(self) -> None:
        """Know of none."""
        self._done: dict[int, int] = {}
        self._bad: dict[int, int] = {}

    def add(self, happening: Happening) -> None:
        """Count an event that ends an attempt."""
        side = self._done if happening.state == "succeeded" else self._bad if happening.state in BAD else None
        if side is None:
            return
        minute = int(happening.at // 60)
        side[minute] = side.get(minute, 0) + 1
        if len(side) > 2 * MINUTES:
            for old in sorted(side)[:-MINUTES]:
                del side[old]

    def done(self, now: float, minutes: int = MINUTES) -> list[int]:
        """Return hosts done in each of the last minutes, the running one last."""
        return self._series(self._done, now, minutes)

    def bad(self, now: float, minutes: int = MINUTES) -> list[int]:
        """Return hosts that went bad in each of the last minutes, the running one last."""
        return self._series(self._bad, now, minutes)

    def done_per_minute(self, now: float, over: int = 10) -> float:
        """Return the mean of the last minutes that are over, since the first host was done."""
        series = self.done(now, over + 1)[:-1]
        first = next((at for at, hosts in enumerate(series) if hosts), None)
        return sum(series) / (len(series) - first) if first is not None else 0.0

    @staticmethod
    def _series(side: dict[int, int], now: float, minutes: int) -> list[int]:
        last = int(now // 60)
        return [side.get(minute, 0) for minute in range(last - minutes + 1, last + 1)]
