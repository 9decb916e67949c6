"""When the interpreter looks for garbage in all that is kept: never between a key and what it shows.

A fleet of 10,000 hosts is some hundred thousand objects; a look at all of them takes about 90 ms, and by itself comes
about once a second while hosts change. What is replaced is freed at once without it: only rings of objects need it, of
which closed screens leave some, and so does each line that was painted: about 2 kB, in the framework's own caches.

What is new is looked at by the interpreter, in pieces of a millisecond; what outlived that, by hand alone.
"""

from __future__ import annotations

import gc

QUIET_SECONDS = 3.0
"""So long nobody touched a key before all is looked at."""
SWEEP_SECONDS = 60.0
"""How often, where there is such a time."""
LATEST_SECONDS = 120.0
"""How often at the latest, whoever types: one key of some hundred waits for it then. With a key every 0.2 s and 5,000
changes/s 15 MB come together between two of them, by ``make bench-console MINUTES=5``."""
_YOUNG, _NEVER = 2_000, 1_000_000_000


def by_hand() -> None:
    """Leave the large collections to :class:`Sweeper`; for the whole process."""
    gc.set_threshold(_YOUNG, _NEVER, _NEVER)


class Sweeper:
    """Decides when; monotonic seconds come in from outside."""

    def __init__(self, at: float) -> None:
        """Begin to count."""
        self._swept = at
        self._touched = at

    def touched(self, at: float) -> None:
        """Note that somebody is there."""
        self._touched = at

    def due(self, at: float) -> bool:
        """Tell whether it is time, and count it as done."""
        since = at - self._swept
        if since < SWEEP_SECONDS or (at - self._touched < QUIET_SECONDS and since < LATEST_SECONDS):
            return False
        self._swept = at
        return True
