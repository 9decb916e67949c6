"""The gate between two waves: may the rollout spread?

Rules, in this order:

1. FAIL when bad hosts reach ``max_failed``; or the lower 95 % bound of the failure rate is above ``failure_limit`` in
   the wave, or in a cohort of >= 3 attempted hosts with >= 2 bad; or all of a cohort's >= 2 attempted hosts are bad; or
   the wave is over and every host that was attempted is bad.
2. OPEN while a host that isn't waiting has not ended: it may still go wrong.
3. PASS when enough were attempted, ``max(1, min(min_sample, planned))``, and one succeeded.
4. OPEN when too few were, and hosts that wait may still give evidence. Waiting ends by itself at not_after.
5. INCONCLUSIVE otherwise: nothing is left that could speak, so a person decides.

A host that waits before Go is no evidence in either direction: one sleeping laptop halts nothing, and a wave of
sleeping laptops passes nothing. Skipped hosts ended and were not attempted.

Judging never raises: it happens in the transaction that stores a host's word, which must not be lost over a count. What
a person forgave by resuming is taken off before, and late results then push a count out of step. Such counts are read
strictly: what is bad was attempted, nothing is below zero, and a wave whose parts don't add up isn't over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum, auto
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.rates import wilson_lower_bound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fleetroll_server.domain.limits import RolloutLimits

COHORT_MIN_ATTEMPTED = 3
COHORT_MIN_BAD = 2
COHORT_ALL_BAD_MIN_ATTEMPTED = 2


class Verdict(StrEnum):
    """What the gate says."""

    FAIL = auto()
    PASS = auto()
    OPEN = auto()
    """Neither yet."""
    INCONCLUSIVE = auto()
    """Neither, and nothing more will come: pauses for a person."""


@dataclass(frozen=True, slots=True)
class Counters:
    """One wave in numbers of hosts.

    Attributes:
        planned: hosts of the wave.
        attempted: got Go, or are bad.
        bad: broken after Go, or failed for good before it.
        ended: in a final state, skipped ones too.
        waiting: offline or held locally, before Go; not those that are due to check in.
        succeeded: run the target version with their health held.
        behind: bad hosts of earlier waves among those attempted: they can fail this wave, and are no evidence for it.
    """

    planned: int
    attempted: int
    bad: int
    ended: int
    waiting: int
    succeeded: int
    behind: int = 0

    @property
    def over(self) -> bool:
        """Tell whether every host that isn't waiting has ended."""
        return self.ended + self.waiting == self.planned


@dataclass(frozen=True, slots=True)
class CohortCounters:
    """The hosts of one wave that share a label's value, architecture, system or site.

    Attributes:
        label: what they share, such as ``arch=arm64``; stands in the evidence.
        attempted: got Go, or are bad.
        bad: broken after Go, or failed for good before it.
    """

    label: str
    attempted: int
    bad: int


@dataclass(frozen=True, slots=True)
class GateResult:
    """What the gate says and why.

    Attributes:
        verdict: the answer.
        code: WAVE_NOT_PASSED for FAIL and INCONCLUSIVE, else None.
        evidence: one sentence with every number that was compared.
    """

    verdict: Verdict
    code: Code | None
    evidence: str


def verdict(counters: Counters, cohorts: Sequence[CohortCounters], limits: RolloutLimits) -> GateResult:
    """Judge one wave by the rules of this module."""
    attempted, bad = _strictly(counters.attempted, counters.bad)
    counters = replace(counters, attempted=attempted, bad=bad)
    cohorts = [CohortCounters(cohort.label, *_strictly(cohort.attempted, cohort.bad)) for cohort in cohorts]
    failure = next(_failures(counters, cohorts, limits), None)
    if failure is not None:
        return GateResult(Verdict.FAIL, Code.WAVE_NOT_PASSED, failure)
    needed = max(1, min(limits.min_sample, counters.planned))
    numbers = _numbers(counters, limits)
    if not counters.over:
        return GateResult(Verdict.OPEN, None, numbers)
    if counters.attempted - counters.behind >= needed and counters.succeeded > 0:
        return GateResult(Verdict.PASS, None, numbers)
    short = f"{numbers}; needs {needed} attempted and 1 succeeded"
    if counters.waiting > 0:
        return GateResult(Verdict.OPEN, None, short)
    return GateResult(Verdict.INCONCLUSIVE, Code.WAVE_NOT_PASSED, short)


def _failures(counters: Counters, cohorts: Sequence[CohortCounters], limits: RolloutLimits) -> Iterator[str]:
    """Give the evidence of each reason to fail, the plainest first."""
    bad, attempted = counters.bad, counters.attempted
    if bad >= limits.max_failed:
        yield f"{bad} bad of {attempted} attempted, stops at {limits.max_failed}"
    if wilson_lower_bound(bad, attempted) > limits.failure_limit:
        yield _rate(bad, attempted, limits)
    for cohort in cohorts:
        if cohort.attempted >= COHORT_ALL_BAD_MIN_ATTEMPTED and cohort.bad == cohort.attempted:
            yield f"all {cohort.bad} attempted hosts with {cohort.label} are bad"
        large = cohort.attempted >= COHORT_MIN_ATTEMPTED and cohort.bad >= COHORT_MIN_BAD
        if large and wilson_lower_bound(cohort.bad, cohort.attempted) > limits.failure_limit:
            yield f"{cohort.label}: {_rate(cohort.bad, cohort.attempted, limits)}"
    if counters.over and attempted > 0 and bad == attempted:
        yield f"{bad} bad of {attempted} attempted: none succeeded"


def _rate(bad: int, attempted: int, limits: RolloutLimits) -> str:
    bound = wilson_lower_bound(bad, attempted)
    return (
        f"{bad} bad of {attempted} attempted: at least {bound:.1%} fail (95 % bound), "
        f"stops above {limits.failure_limit * 100:g} %"
    )


def _numbers(counters: Counters, limits: RolloutLimits) -> str:
    """Say where the wave stands; nothing that failed is left out."""
    waiting = f", {counters.waiting} waiting" if counters.waiting else ""
    return (
        f"{counters.bad} bad of {counters.attempted} attempted, stops at {limits.max_failed}; "
        f"{counters.succeeded} succeeded, {counters.ended} of {counters.planned} ended{waiting}"
    )


def _strictly(attempted: int, bad: int) -> tuple[int, int]:
    """Return both as they are read when they are out of step: never better than they are."""
    return max(attempted, bad, 0), max(bad, 0)
