"""A person's own decision on this host, which stands against the server's assignments until it ends.

Without it a level-triggered server would install again what somebody has just taken back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

DEFAULT_SECONDS = 7 * 86400.0
"""How long one stands unless it says otherwise (names.md, "override, hold")."""


class OverrideKind(str, Enum):
    """What was decided."""

    UPDATE = "update"
    ROLLBACK = "rollback"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Override:
    """One decision.

    Attributes:
        kind: what was decided.
        actor: who did, as the host knows them.
        since_generation: the highest generation that was taken before it.
        until: when it ends by itself, in Unix seconds.
        reason: in that person's words; may be empty.
        since: when it was decided, in Unix seconds; None = an earlier version did not write it down.
    """

    kind: OverrideKind
    actor: str
    since_generation: int
    until: float
    reason: str = ""
    since: float | None = None

    def stands(self, wall_seconds: float) -> bool:
        """Tell whether it still stands."""
        return wall_seconds < self.until
