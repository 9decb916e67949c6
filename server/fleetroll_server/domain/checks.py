"""Checks of a gate: what the world outside says about a rollout while a wave is open or bakes.

Rules:

1. A check is read again and again, every ``interval_seconds``. A reading is *good*, *bad*, or *missing* (no answer, an
   answer that says nothing, an error): silence is never success.
2. ``in_a_row`` bad readings, one after the other, fail the wave: the rollout halts. As many missing ones pause it for a
   person. A reading of another kind begins the count anew.
3. A wave passes only on a good reading that is younger than the last step of any of its hosts, and not older than two
   intervals and the time that a reading may take.

What a check asks is the rollout's; how it is asked is :mod:`fleetroll_server.engine.probing`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum, auto
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.gates import GateResult, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fleetroll_server.domain.checkspec import CheckSpec

SLACK = timedelta(seconds=5)
"""The sweep may be so late."""


class Kind(StrEnum):
    """What one reading says."""

    GOOD = auto()
    BAD = auto()
    MISSING = auto()


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading.

    Attributes:
        kind: what it says.
        detail: in words, with the numbers that were compared, at most 500 characters.
        at: when it was begun, aware UTC.
    """

    kind: Kind
    detail: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CheckState:
    """A check and what its readings said.

    Attributes:
        spec: what is asked.
        last: the newest reading; None before the first.
        streak: readings of the newest one's kind in a row, >= 0.
    """

    spec: CheckSpec
    last: Reading | None = None
    streak: int = 0

    def read(self, reading: Reading) -> CheckState:
        """Return the state after one more reading."""
        again = self.last is not None and reading.kind is self.last.kind
        return replace(self, last=reading, streak=self.streak + 1 if again else 1)

    def begun_anew(self) -> CheckState:
        """Return the state as a person's resume leaves it: what was read before counts no more."""
        return CheckState(self.spec)

    def says(self, kind: Kind) -> bool:
        """Tell whether so many readings in a row were of ``kind`` that the gate acts on it."""
        return self.last is not None and self.last.kind is kind and self.streak >= self.spec.in_a_row

    @property
    def words(self) -> str:
        """Return what the newest readings said."""
        if self.last is None:
            return f"check {self.spec.name}: not read yet"
        times = f", {self.streak} in a row" if self.streak > 1 else ""
        return f"check {self.spec.name}: {self.last.kind}{times}: {self.last.detail}"


def with_checks(result: GateResult, checks: Sequence[CheckState], moved_at: datetime | None) -> GateResult:
    """Return the gate's answer with what the checks say; the hosts' own failure comes first.

    Args:
        result: what the hosts say.
        checks: of the rollout; none changes nothing.
        moved_at: when a host of the wave took its last step: rule 3.
    """
    if result.verdict is Verdict.FAIL or not checks:
        return result
    if bad := _words(check for check in checks if check.says(Kind.BAD)):
        return GateResult(Verdict.FAIL, Code.WAVE_NOT_PASSED, bad)
    if missing := _words(check for check in checks if check.says(Kind.MISSING)):
        return GateResult(Verdict.INCONCLUSIVE, Code.WAVE_NOT_PASSED, missing)
    if result.verdict is not Verdict.PASS:
        return result
    waits = unsaid(checks, moved_at)
    return GateResult(Verdict.OPEN, None, f"{result.evidence}; waits for {waits}") if waits else result


def unsaid(checks: Iterable[CheckState], moved_at: datetime | None) -> str:
    """Return which checks have not been good since the wave's last step, in words; empty when all have."""
    return _words(check for check in checks if not _speaks_for(check, moved_at))


def stale(checks: Iterable[CheckState], now: datetime) -> str:
    """Return which checks have no reading that is fresh enough to pass a wave, in words; empty when all have."""
    return _words(check for check in checks if check.last is None or abs(now - check.last.at) > _fresh(check.spec))


def _fresh(spec: CheckSpec) -> timedelta:
    return timedelta(seconds=2 * spec.interval_seconds + spec.timeout_seconds) + SLACK


def _speaks_for(check: CheckState, moved_at: datetime | None) -> bool:
    """Tell whether the newest reading is good, and of the time after the wave's last step."""
    last = check.last
    return last is not None and last.kind is Kind.GOOD and (moved_at is None or last.at >= moved_at)


def _words(checks: Iterable[CheckState]) -> str:
    return "; ".join(check.words for check in checks)
