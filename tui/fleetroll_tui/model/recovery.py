"""A restored server that takes its fleet back: where that stands."""

from __future__ import annotations

from dataclasses import dataclass

BEGAN, ENDED = "recovery.began", "recovery.ended"
"""Kinds of the events that tell whoever may not ask for more."""
ACTIVE_SECONDS = 5.0
"""How often it is asked for while it goes on: hosts come back, and somebody waits for them."""
CAUSES = {"restored": "a backup was restored", "went_back": "a host proved that the database had gone back"}


@dataclass(frozen=True, slots=True)
class Younger:
    """A host that the restored database did not know."""

    id: str
    name: str
    fleet_id: str
    came_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Recovery:
    """Where it stands.

    Attributes:
        active: nothing is offered, and no host gets Go.
        taken_at: when the database stood as it was brought back; 0 where nobody knows.
        stops_read: what was stopped in between was read from the log of stops.
        blind_from: what was stopped from here until ``since`` is not known.
        unconfirmed: attempts that were taken over from hosts that the database knew otherwise.
        suspended_tokens: join tokens that admit nobody until somebody looks.
    """

    active: bool = False
    cause: str = ""
    since: float = 0.0
    taken_at: float = 0.0
    stops_read: bool = False
    blind_from: float = 0.0
    known: int = 0
    seen: int = 0
    not_seen: int = 0
    younger: tuple[Younger, ...] = ()
    unconfirmed: int = 0
    suspended_tokens: int = 0

    @property
    def words(self) -> str:
        """Return how it came about; a cause of a newer server by its own word."""
        return CAUSES.get(self.cause, self.cause.replace("_", " ") or "nobody has said why")


def why_not_end(recovery: Recovery) -> str:
    """Return why there is nothing to end; "" when there is."""
    return "" if recovery.active else "the server is not in RECOVERY"


def why_not_admit(recovery: Recovery) -> str:
    """Return why there is no host to admit; "" when there is."""
    return "" if recovery.younger else "no host is younger than the backup"


def what_changed(before: Recovery, after: Recovery) -> list[str]:
    """Return, in words, what makes a decision on ``before`` stale."""
    found = []
    if before.active and not after.active:
        found.append("somebody ended the RECOVERY")
    if before.not_seen != after.not_seen:
        found.append(f"hosts not seen {before.not_seen} → {after.not_seen}")
    if {each.id for each in before.younger} != {each.id for each in after.younger}:
        found.append(f"hosts younger than the backup {len(before.younger)} → {len(after.younger)}")
    return found
