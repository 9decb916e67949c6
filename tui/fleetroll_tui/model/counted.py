"""Of which time every event was counted. What lies before, or in a gap, is not known: it is not none."""

from __future__ import annotations

from copy import copy

NEVER = float("inf")
MOST_GAPS = 100
"""Gaps that are told apart; what lies between the oldest is taken for one with them."""


class Counted:
    """From when on everything was counted, and the gaps in it."""

    def __init__(self) -> None:
        """Have counted nothing."""
        self.since = NEVER
        """The oldest instant that was counted: whatever is newer was counted too, or is in a gap."""
        self._gaps: list[tuple[float, float]] = []

    def still(self) -> Counted:
        """Return one that nobody changes."""
        made = copy(self)
        made._gaps = list(self._gaps)  # noqa: SLF001 (one of its own)
        return made

    def from_now(self, at: float) -> None:
        """Note that whatever happens after this instant is told: a gap that had no end ends here."""
        if at:
            self.since = min(self.since, at)
            self._gaps = [(start, at if end == NEVER else end) for start, end in self._gaps]

    def missing_after(self, at: float) -> None:
        """Note that what happened after this instant was not told, until further notice."""
        if at < NEVER and not (self._gaps and self._gaps[-1][1] == NEVER):
            self._gaps.append((at, NEVER))
            if len(self._gaps) > MOST_GAPS:
                first, second = self._gaps[:2]
                self._gaps[:2] = [(first[0], second[1])]

    def back_to(self, at: float) -> None:
        """Note that everything from this instant until now was counted: of a gap only what lies before is left."""
        self.since = min(self.since, at)
        self._gaps = [(start, min(end, at)) for start, end in self._gaps if start < at]

    def whole(self, start: float, end: float, since: float) -> bool:
        """Tell whether everything from one instant to another was counted; ``since`` of somebody who reaches back."""
        before = min(self.since, since) <= start
        return before and not any(first < end and start < last for first, last in self._gaps)
