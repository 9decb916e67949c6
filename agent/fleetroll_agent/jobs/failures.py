"""What the host started by itself and did not come about: when, and whether, it may try that version again. Pure.

1. What another try may mend (network, space, a lock, a list that is not to be had) waits an hour, doubling to a day.
2. What nobody proved to be the version's fault, and yet touched the host or failed one of its commands, waits likewise,
   and comes to its end with the last of ``max_attempts`` tries.
3. Everything else (signature, platform, migration, health), and what a person cancelled, is not tried again: a person
   starts it, or a newer version comes.
4. A version that is kept, whoever started it, and one that a person starts, are forgotten here.

A version names a digest: what is listed under a path never changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fleetroll_agent.fetch.values import TRANSIENT
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from fleetroll_agent.jobs.values import Outcome

FIRST_SECONDS, LONGEST_SECONDS = 3600.0, 86400.0
MAX_FAILURES = 16
"""More versions than a list offers between two that are taken. Above it the oldest go of those that pass by themselves,
then the oldest of which a try is left, then the oldest: what waits for a person is not tried again for want of room."""
_PASSING = frozenset({Code.SUPERSEDED, Code.KILLED})
"""Somebody else went first: no word about the version."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One version.

    Attributes:
        version: that was tried.
        count: how often it failed since it was kept, or a person started it, last; >= 1.
        at: the last time, in Unix seconds.
        unproven: how many of them had touched the host, or failed one of its commands, without proof; >= 0.
        permanent: only a person starts it again.
    """

    version: str
    count: int
    at: float
    unproven: int = 0
    permanent: bool = False

    @property
    def wait_seconds(self) -> float:
        """How long the version rests from :attr:`at` on."""
        return min(FIRST_SECONDS * 2.0 ** min(self.count - 1, 10), LONGEST_SECONDS)

    def bars(self, now: float) -> bool:
        """Tell whether the version is not tried at ``now``; an instant ahead of the clock is a clock that was set."""
        return self.permanent or 0 <= now - self.at < self.wait_seconds


def forget(failures: tuple[Failure, ...], version: str) -> tuple[Failure, ...]:
    """Return what is left without ``version``."""
    return tuple(known for known in failures if known.version != version)


def note(failures: tuple[Failure, ...], outcome: Outcome, max_attempts: int) -> tuple[Failure, ...]:
    """Return what is remembered after the end of an attempt that the host started by itself."""
    if outcome.said.value == "CANCELLED" and outcome.code in _PASSING:
        return failures
    known = next((each for each in failures if each.version == outcome.version), Failure(outcome.version, 0, 0.0))
    passes = _passes(outcome)
    unproven = known.unproven + (0 if passes or not outcome.unproven else 1)
    permanent = not passes and (not outcome.unproven or unproven >= max_attempts)
    fresh = replace(known, count=known.count + 1, at=outcome.ended_at, unproven=unproven, permanent=permanent)
    return _bounded((*forget(failures, outcome.version), fresh))


def _bounded(failures: tuple[Failure, ...]) -> tuple[Failure, ...]:
    """Return at most ``MAX_FAILURES`` of them, in their order."""
    by_worth = sorted(failures, key=lambda known: (known.permanent, known.unproven > 0))
    gone = {known.version for known in by_worth[: max(0, len(failures) - MAX_FAILURES)]}
    return tuple(known for known in failures if known.version not in gone)


def _passes(outcome: Outcome) -> bool:
    """Tell whether another try may succeed without anybody changing the release, and nothing was touched."""
    code, said = outcome.code, outcome.said.value
    if said == "SKIPPED":
        return True  # agent.toml may be another one by then
    if said == "CANCELLED":
        return code is Code.ALREADY_AT_TARGET
    return said == "FAILED" and code is not None and (code in TRANSIENT or code.value.startswith("METADATA_"))
