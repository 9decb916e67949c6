"""What a host shows to a database that calls itself by another incarnation, as values; none of it is believed yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_server.domain.heard import Said


@dataclass(frozen=True, slots=True)
class Rotation:
    """One replacement of an agent's key, signed by both."""

    old_key: bytes
    new_key: bytes
    old_signature: bytes
    new_signature: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """How an attempt ended, and when by the host's clock; nothing where it does not say."""

    said: Said
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What an enrolment receipt says: this server's own words, where its MAC holds."""

    agent_id: str
    public_key: bytes
    fleet_id: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was shown.

    Attributes:
        enrolled: by a receipt whose MAC holds; nothing without one.
        rotations: of its key, oldest first.
        outcomes: how its attempts ended.
        files: the signed metadata that it trusts, by name without version.
        journal_first: sequence of the oldest entry that its journal still has; 0 for none.
    """

    enrolled: Enrolled | None = None
    rotations: tuple[Rotation, ...] = ()
    outcomes: tuple[Kept, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    journal_first: int = 0

    def proves(self, agent_id: str) -> bool:
        """Tell whether this server's own receipt says that there is such an agent."""
        return self.enrolled is not None and self.enrolled.agent_id == agent_id


@dataclass(frozen=True, slots=True)
class Shown:
    """The evidence of an accepted hello, the agent's first one in an incarnation.

    Attributes:
        evidence: as shown.
        unconfirmed: its ratchet was not known here.
        counts: a recovery lasts, and attempts are taken in. Afterwards no more than the beginning of its journal is.
    """

    evidence: Evidence
    unconfirmed: bool
    counts: bool = True
