"""Where hosts find their servers, whose certificates they trust there, and how many know it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Authority:
    """One CA; ``listed``: the signed anchors name it. ``role`` is "old", "current" or "next"."""

    fingerprint: str
    role: str
    expires_at: float = 0.0
    listed: bool = False


@dataclass(frozen=True, slots=True)
class Anchors:
    """How things stand; ``serial`` 0: none are signed, and hosts go by what they got at enrolment."""

    serial: int = 0
    addresses: tuple[str, ...] = ()
    authorities: tuple[Authority, ...] = ()
    leaf_expires_at: float = 0.0
    leaf_fingerprint: str = ""
    reported: tuple[tuple[int, int], ...] = ()
    """Serials that hosts go by and how many do, the highest first."""
    signs_here: bool = False

    @property
    def hosts(self) -> int:
        """Return how many hosts have said what they go by."""
        return sum(hosts for _, hosts in self.reported)

    @property
    def up_to_date(self) -> int:
        """Return how many hosts go by the signed ones."""
        return sum(hosts for serial, hosts in self.reported if serial >= self.serial)
