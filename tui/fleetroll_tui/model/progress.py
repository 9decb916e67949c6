"""What a rollout's numbers mean: shares, the gate against its limit, what starts now, what changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_common.values.rates import wilson_lower_bound
from fleetroll_tui.model.values import ACTIVE, AFTER_GO, BAD

if TYPE_CHECKING:
    from fleetroll_tui.model.values import Rollout, Wave

SHARES = ("done", "active", "bad", "other", "pending")
"""The parts of a bar in their order."""
BEFORE_GO = ACTIVE - AFTER_GO
"""States of an attempt that was offered and has no permit yet."""
PASSED = "passed"
CLOSE = 0.75
"""A gate that used up this share of a limit is close to it."""


def shares(counts: dict[str, int], hosts: int) -> dict[str, int]:
    """Return hosts by part of a bar; whoever is counted in no state is pending."""
    found = dict.fromkeys(SHARES, 0)
    for state, number in counts.items():
        if state == "succeeded":
            part = "done"
        elif state in BAD:
            part = "bad"
        elif state in ACTIVE:
            part = "active"
        else:
            part = "pending" if state in {"", "pending"} else "other"
        found[part] += number
    found["pending"] += max(0, hosts - sum(found.values()))
    return found


def cells(parts: dict[str, int], width: int) -> dict[str, int]:
    """Share ``width`` cells; a part with any host has a cell, at the cost of the largest."""
    total = sum(max(0, hosts) for hosts in parts.values())
    if not total or width <= 0:
        return dict.fromkeys(parts, 0)
    found = {part: max(1, hosts * width // total) if hosts > 0 else 0 for part, hosts in parts.items()}
    left = width - sum(found.values())
    for _ in range(-left):  # one for each part at most: only the cells that were rounded up are too many
        found[max(found, key=lambda part: found[part])] -= 1
    found[max(found, key=lambda part: found[part])] += max(0, left)
    return found


def ended(counts: dict[str, int]) -> int:
    """Return how many hosts have ended, however."""
    return sum(hosts for state, hosts in counts.items() if state not in ACTIVE and state not in {"", "pending"})


@dataclass(frozen=True)
class Gate:
    """A wave's gate against its limits.

    Attributes:
        bad: hosts that count: without the forgiven ones, with those of waves before.
        attempted: hosts tried, counted the same way.
        rate: bad of attempted, 0 to 1.
        used: the share of the nearest limit that is used up; 1 and more is over.
        forgiven: bad hosts of the wave that do not count: a person resumed after them.
        before: bad hosts of waves that had passed, which count.
    """

    bad: int
    attempted: int
    rate: float
    max_failed: int
    failure_limit: float
    used: float
    forgiven: int = 0
    before: int = 0

    @property
    def close(self) -> bool:
        """Tell whether little more would halt the wave."""
        next_halts = 0 < self.bad == self.max_failed - 1
        return not self.over and (next_halts or self.used >= CLOSE)

    @property
    def over(self) -> bool:
        """Tell whether the limit is reached."""
        return self.used >= 1


def gate(rollout: Rollout, wave: Wave) -> Gate:
    """Return the gate of a wave by the numbers that the server judges, and by its rule: the nearer limit speaks.

    A wave that has passed is shown as it was: nothing of it is judged any more but what goes bad late, in the open one.
    """
    limits, bad, attempted, forgiven, before, used = rollout.limits, wave.bad, wave.attempted, 0, 0, 0.0
    if wave.state != PASSED:
        forgiven = min(bad, wave.forgiven_bad)
        before = sum(max(0, each.bad - each.forgiven_bad) for each in rollout.waves if each.state == PASSED)
        bad, attempted = bad - forgiven + before, attempted - forgiven + before
        used = bad / max(1, limits.max_failed)
    attempted = max(bad, attempted)
    if used and limits.failure_limit > 0:
        used = max(used, wilson_lower_bound(bad, attempted) / limits.failure_limit)
    rate = bad / attempted if attempted else 0.0
    return Gate(bad, attempted, rate, limits.max_failed, limits.failure_limit, used, forgiven, before)


@dataclass(frozen=True)
class Starts:
    """What a decision to spread starts.

    Attributes:
        wave: number of the wave; 0 for none.
        waiting: hosts of it that have not got their Go.
        at_once: how many of these may get it at once, now.
        offered: how many of the waiting have the offer already, or the release: they are the first.
    """

    wave: int
    waiting: int
    at_once: int
    offered: int = 0


def starts_on_resume(rollout: Rollout) -> Starts:
    """Return what starts when the rollout goes on.

    These are hosts of the wave that it stands at. Where none is left there, the gate speaks, and the next wave opens by
    itself unless each waits for a person: its hosts are meant then.
    """
    wave = rollout.wave
    if wave is None:
        return Starts(0, 0, 0)
    if not rollout.manual:
        wave = next((each for each in rollout.waves if each.number >= wave.number and _waiting(each)), wave)
    return _starts(rollout, wave)


def late_on_resume(rollout: Rollout) -> int:
    """Return how many late hosts of a completed rollout may start now when they go on: they go one by one."""
    late = rollout.late
    if late is None or late.under_way > 0:
        return 0
    return min(1, max(0, late.left - late.waiting))


def starts_on_advance(rollout: Rollout) -> Starts:
    """Return what starts when the wave that waits is opened."""
    for wave in rollout.waves:
        if wave.state in {"pending", "awaiting_approval"}:
            return _starts(rollout, wave)
    return Starts(0, 0, 0)


def _waiting(wave: Wave) -> int:
    return shares(wave.counts, wave.hosts)["pending"] + _offered(wave)


def _offered(wave: Wave) -> int:
    return sum(hosts for state, hosts in wave.counts.items() if state in BEFORE_GO)


def _starts(rollout: Rollout, wave: Wave) -> Starts:
    waiting = _waiting(wave)
    room = max(0, rollout.limits.max_concurrent - rollout.hosts_in(AFTER_GO))
    return Starts(wave.number, waiting, min(room, waiting), _offered(wave))


def seconds_left(rollout: Rollout, per_minute: float) -> float | None:
    """Return how long it goes on at this rate; None when nothing tells."""
    left = rollout.hosts - ended(rollout.counts)
    return left / per_minute * 60 if per_minute > 0 and left > 0 and rollout.state == "running" else None


def what_changed(before: Rollout, after: Rollout) -> list[str]:
    """Return, in words, what makes a decision on ``before`` stale."""
    found = []
    if before.state != after.state:
        why = f": {after.why.reason or after.why.code}" if after.why.reason or after.why.code else ""
        found.append(f"state {before.state} → {after.state}{why}")
    if before.bad != after.bad:
        found.append(f"bad hosts {before.bad} → {after.bad}")
    for old, new in zip(before.waves, after.waves, strict=False):
        if old.state != new.state:
            found.append(f"wave {new.number} {old.state} → {new.state}")
        elif old.gate != new.gate:
            found.append(f"gate of wave {new.number}: {new.gate}")
    if before.limits != after.limits:
        found.append("its limits")
    return found or ([f"revision {before.revision} → {after.revision}"] if before.revision != after.revision else [])
