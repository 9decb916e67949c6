"""What is asked for beside the watch: what was had, how old it is, when it is to be asked for again.

A reading that failed keeps what was had before, and says since when that is all.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
EVERY_SECONDS = 60.0
"""How often a list is asked for again while it is looked at."""
OLD_SECONDS = 1.5 * EVERY_SECONDS
"""From this age on it is said that what is shown may be old."""
FAILED_SECONDS = 10.0
"""How soon what failed is asked for again."""
AGAIN_SECONDS = 2.0
"""How soon at most anything is asked for again, however much happens to it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why nothing was had: ``final`` when asking again by itself is no use."""

    code: str
    message: str
    remedy: str = ""
    final: bool = False


class Reading(Generic[T]):
    """One thing that is asked for."""

    def __init__(self, nothing: T, every_seconds: float = EVERY_SECONDS) -> None:
        """Have ``nothing`` yet."""
        self.value = nothing
        self.every = every_seconds
        self.had_at: float | None = None
        """Monotonic seconds; None for never."""
        self.failure: Failure | None = None
        self.revision = 0
        self._tried_at: float | None = None
        self._void = 0
        self._void_when_asked = 0

    def still(self) -> Reading[T]:
        """Return one that nobody changes."""
        return copy(self)

    @property
    def known(self) -> bool:
        """Tell whether it was ever had."""
        return self.had_at is not None

    def due(self, at: float) -> bool:
        """Tell whether it is to be asked for."""
        if self._tried_at is None:
            return True
        if self._final:
            return False
        void = self._void != self._void_when_asked
        pause = AGAIN_SECONDS if void else FAILED_SECONDS if self.failure is not None else self.every
        return at - self._tried_at >= pause

    @property
    def _final(self) -> bool:
        return self.failure is not None and self.failure.final

    def void(self) -> None:
        """Note that something has happened to it: what was had is not what stands."""
        self._void += 1

    def forgive(self) -> None:
        """Let it be asked for although it was refused: somebody looks anew."""
        if self.failure is not None:
            self._tried_at = None

    def asked(self, at: float) -> None:
        """Note that it is being asked for: what happens from now on may not be in the answer."""
        self._tried_at, self._void_when_asked = at, self._void

    def had(self, value: T, at: float) -> None:
        """Take the answer in; ``at`` is when it was asked for: it is no younger."""
        self.value, self.had_at, self.failure = value, at, None
        self.revision += 1

    def failed(self, failure: Failure, at: float) -> None:
        """Note why there was no answer; what was had stays."""
        self._tried_at, self.failure = at, failure
        self.revision += 1

    def age(self, at: float) -> float:
        """Return how old it is, in seconds; 0 where it was never had."""
        return max(0.0, at - self.had_at) if self.had_at is not None else 0.0

    def old(self, at: float) -> bool:
        """Tell whether what is shown may be wrong."""
        return self.failure is not None or self._void != self._void_when_asked or self.age(at) > OLD_SECONDS
