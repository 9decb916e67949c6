"""What happened, the newest so many, with the gaps in it; and how fast hosts get done and fail."""

from __future__ import annotations

from collections import deque
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fleetroll_tui.model.counted import NEVER
from fleetroll_tui.model.values import BAD, Happening

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fleetroll_tui.model.counted import Counted

RING = 5_000
"""Events that are kept of all that happens."""
MINUTES = 60
"""Minutes that rates reach back."""
MAY_MISS = "events may be missing here:"
MISSES = "events are missing here:"


@dataclass(frozen=True, slots=True)
class Gap(Happening):
    """A place in a log after which events may be missing; ``after`` is the id of the last event before it."""

    after: str = ""


class Ring:
    """Events in the order in which they happened, the newest so many, each once."""

    def __init__(self, size: int = RING) -> None:
        """Be empty."""
        self._kept: deque[Happening] = deque(maxlen=size)
        self._ids: set[str] = set()
        self.cut_at = float("-inf")
        """The newest instant of whatever was cut away: it must not come in again as new."""
        self.revision = 0
        self.listed_at = -1
        """Number of the resync after which its older events were had; -1 for never."""

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._kept)

    def __iter__(self) -> Iterator[Happening]:
        """Go from the oldest to the newest."""
        return iter(self._kept)

    def newest_first(self) -> Iterator[Happening]:
        """Go from the newest to the oldest."""
        return reversed(self._kept)

    def still(self) -> Ring:
        """Return one that nobody changes, with the same events."""
        made = copy(self)
        made._kept, made._ids = self._kept.copy(), set(self._ids)  # noqa: SLF001 (one of its own)
        return made

    def add(self, happening: Happening) -> bool:
        """Take one in; False when it is known already."""
        if happening.id in self._ids:
            return False
        if len(self._kept) == self._kept.maxlen:
            oldest = self._kept[0]
            self._ids.discard(oldest.id)
            self.cut_at = max(self.cut_at, oldest.at)
        self._kept.append(happening)
        self._ids.add(happening.id)
        self.revision += 1
        return True

    def add_older(self, newest_first: Iterable[Happening]) -> list[Happening]:
        """Take in what a list says, at its place in time; return what was new. What was cut away before is not."""
        new = [each for each in newest_first if each.id not in self._ids and each.at > self.cut_at]
        if new:
            # Sorting is stable: what was in order stays in order where instants are equal.
            self._keep(sorted([*reversed(new), *self._kept], key=lambda each: each.at))
        return new

    def mark_gap(self, why: str) -> None:
        """Note that events may be missing after the newest one; where nothing is known, nothing is missing."""
        if self._kept and not isinstance(self._kept[-1], Gap):
            last = self._kept[-1]
            self.add(Gap(f"gap:{last.id}", last.at, MAY_MISS, message=why, after=last.id))

    def close_gaps(self, listed: Sequence[Happening]) -> None:
        """Take away the gaps that a list reaches over; what the others hide is not to be had.

        It reaches over a gap when it has the event before it, or one that was known and is older: a list may leave out
        what the watch tells.
        """
        if not any(isinstance(each, Gap) for each in self._kept):
            return
        ids = {each.id for each in listed}
        reach = min((each.at for each in listed if each.id in self._ids), default=float("inf"))
        self._keep(
            [
                replace(each, kind=MISSES) if isinstance(each, Gap) else each
                for each in self._kept
                if not (isinstance(each, Gap) and (each.after in ids or reach < each.at))
            ]
        )

    def forget(self) -> None:
        """Be empty again, and not asked for."""
        self._kept.clear()
        self._ids.clear()
        self.cut_at, self.listed_at = float("-inf"), -1
        self.revision += 1

    def _keep(self, events: list[Happening]) -> None:
        size = self._kept.maxlen or 0
        cut = events[: max(0, len(events) - size)]
        self.cut_at = max([self.cut_at, *(each.at for each in cut)])
        self._kept.clear()
        self._kept.extend(events[len(cut) :])
        self._ids = {each.id for each in self._kept}
        self.revision += 1


class Rates:
    """Hosts done and failed per minute, as far as they were counted."""

    def __init__(self, counted: Counted) -> None:
        """Know of none; ``counted`` says of which time whoever counts has everything."""
        self._counted = counted
        self._done: dict[int, int] = {}
        self._bad: dict[int, int] = {}
        self.since = NEVER
        """The instant back to which a list was counted."""

    def still(self, counted: Counted) -> Rates:
        """Return ones that nobody changes."""
        made = copy(self)
        made._counted, made._done, made._bad = counted, dict(self._done), dict(self._bad)  # noqa: SLF001 (one of its own)
        return made

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
        """Return hosts done in each of the last minutes, the running one last, as far as they were counted."""
        return [self._done.get(minute, 0) for minute in _last(now, minutes)]

    def bad(self, now: float, minutes: int = MINUTES) -> list[int]:
        """Return hosts that went bad in each of the last minutes, the running one last, as far as they were counted."""
        return [self._bad.get(minute, 0) for minute in _last(now, minutes)]

    def whole(self, now: float, minutes: int = MINUTES) -> list[bool]:
        """Tell of each of the last minutes whether everything of it was counted, so that 0 means none."""
        return [
            self._counted.whole(minute * 60, min((minute + 1) * 60, now), self.since) for minute in _last(now, minutes)
        ]

    def done_per_minute(self, now: float, over: int = 10) -> float:
        """Return the mean of the last minutes that are over and were counted whole, since the first host was done."""
        both = zip(self.done(now, over + 1), self.whole(now, over + 1), strict=True)
        series = [hosts for hosts, whole in list(both)[:-1] if whole]
        first = next((at for at, hosts in enumerate(series) if hosts), None)
        return sum(series) / (len(series) - first) if first is not None else 0.0


def _last(now: float, minutes: int) -> range:
    last = int(now // 60)
    return range(last - minutes + 1, last + 1)
