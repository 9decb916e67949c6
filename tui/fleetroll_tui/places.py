"""Where one can be in the console, and how one came there."""

from __future__ import annotations

from dataclasses import dataclass

from fleetroll_tui import commands

MAX_HISTORY = 100


@dataclass(frozen=True)
class Place:
    """A screen, and the id of what it shows; "" where it shows everything."""

    kind: str
    key: str = ""


START = Place(commands.OVERVIEW)


class History:
    """The places that were visited, as in a browser."""

    def __init__(self) -> None:
        """Stand at the start."""
        self._places = [START]
        self._at = 0

    @property
    def here(self) -> Place:
        """Return where one is."""
        return self._places[self._at]

    def visit(self, place: Place) -> None:
        """Go to a place; what lay ahead is forgotten."""
        if place != self.here:
            self._places = [*self._places[: self._at + 1], place][-MAX_HISTORY:]
            self._at = len(self._places) - 1

    def step(self, by: int) -> Place | None:
        """Go back (-1) or forward (1); None at the end."""
        if not 0 <= self._at + by < len(self._places):
            return None
        self._at += by
        return self.here

    def last(self) -> Place | None:
        """Return the place that was visited before this one."""
        return self._places[self._at - 1] if self._at else None

    @property
    def has_newer(self) -> bool:
        """Tell whether one went back before."""
        return self._at + 1 < len(self._places)
