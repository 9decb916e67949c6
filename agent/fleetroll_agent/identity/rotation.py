"""When a key is to be replaced. Pure.

Rules:

1. Only in a session whose server agrees with this host about the time, and only while nothing else is going on.
2. A key's age counts from an instant that is kept with it. It is written down the first time that a key is seen, so
   that hosts which come from a version without it do not all rotate at once; and again when it lies ahead, as after a
   clock that was wrong.
3. A rotation that began is finished: the pending key is proposed again, never another one.
4. A clock that jumps makes no storm: within a boot, :data:`PAUSE_SECONDS` of uptime lie between two new keys, and
   between two proposals of one process.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetroll_agent.identity.ratchet import Keys

DAY_SECONDS = 86400.0
PAUSE_SECONDS = DAY_SECONDS
AHEAD_SECONDS = 600.0
"""Twice the difference of clocks that a session allows: an instant further ahead came from a clock that was wrong."""


class Step(Enum):
    """What is to be done about the key."""

    NOTHING = "nothing"
    STAMP = "stamp"
    """Write down that its age counts from now."""
    PROPOSE = "propose"
    """Write a new key, or take the pending one, and propose it."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the rule looks at.

    Attributes:
        unix_seconds: the host's wall clock.
        boot_seconds: of the clock that counts suspend.
        boot_id: of this boot.
        agreed: the open session's server shows the same time.
        idle: no attempt is going on, and this version is not on trial.
        proposed_at: boot second of this process's latest proposal; None = none yet.
        rotate_after_seconds: the age at which a key is replaced.
    """

    unix_seconds: float
    boot_seconds: float
    boot_id: str
    agreed: bool
    idle: bool
    proposed_at: float | None
    rotate_after_seconds: float


def due(keys: Keys, now: Circumstances) -> Step:
    """Return what is to be done now, by the rules of the module's docstring."""
    if not (now.agreed and now.idle):
        return Step.NOTHING
    if keys.pending is not None:
        return Step.NOTHING if _is_recent(now.proposed_at, now) else Step.PROPOSE
    if keys.since is None or keys.since > now.unix_seconds + AHEAD_SECONDS:
        return Step.STAMP
    if _is_recent(now.proposed_at, now) or now.unix_seconds - keys.since < now.rotate_after_seconds:
        return Step.NOTHING
    began = keys.began
    if began is not None and began.boot_id == now.boot_id and _is_recent(began.boot_seconds, now):
        return Step.NOTHING
    return Step.PROPOSE


def _is_recent(boot_seconds: float | None, now: Circumstances) -> bool:
    return boot_seconds is not None and now.boot_seconds - boot_seconds < PAUSE_SECONDS
