"""The limits of a rollout: how many hosts at once, how many may go wrong, how long each part may take.

Rules:

1. A limit that the request leaves out takes its default; the filled-in limits are what is stored and shown.
2. A threshold that is said but says nothing (zero, negative, empty, not a number) is refused: a gate that can't stop
   anything is worse than none, because people trust it.
3. A stored plan says every limit. One without is refused, never filled in: what was shown to people isn't known.

The defaults are those of a rollout with nothing but a release: one host at a time, halted at the first failure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum, auto

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

_DAY_SECONDS = 86_400.0
_START_AGAIN = "cancel this rollout and start it again with its limits"
_MAX_HOSTS = 1_000_000
"""No fleet is larger: a number above it is a slip of the pen."""


class OfflinePolicy(StrEnum):
    """What happens to a host that is offline before Go."""

    WAIT = auto()
    """It waits until not_after, then it is expired; no failure."""
    SKIP = auto()
    """It is skipped; no failure."""
    FAIL = auto()
    """It counts as failed at once."""


@dataclass(frozen=True, slots=True)
class _Bound:
    """What one number may be: over or from ``low``, up to ``high``; ``threshold`` where a gate or a budget reads it."""

    low: float
    high: float
    includes_low: bool
    whole: bool
    threshold: bool
    remedy: str

    def allows(self, value: float) -> bool:
        """Tell whether ``value`` lies inside."""
        return (value >= self.low if self.includes_low else value > self.low) and value <= self.high


def _hosts(high: int = _MAX_HOSTS, *, threshold: bool = True) -> _Bound:
    return _Bound(
        1, high, includes_low=True, whole=True, threshold=threshold, remedy=f"say a whole number, 1 to {high}"
    )


def _seconds(high: float, *, from_zero: bool = False) -> _Bound:
    remedy = f"say seconds, {'from' if from_zero else 'over'} 0 to {high:g}"
    return _Bound(0, high, includes_low=from_zero, whole=False, threshold=False, remedy=remedy)


_BOUNDS: dict[str, _Bound] = {
    "max_concurrent": _hosts(),
    "max_failed": _hosts(),
    "failure_limit": _Bound(
        0, 1, includes_low=False, whole=False, threshold=True, remedy="say a share over 0 to 1, such as 0.02 for 2 %"
    ),
    "min_sample": _hosts(),
    "bake_seconds": _seconds(30 * _DAY_SECONDS, from_zero=True),
    "soak_seconds": _seconds(_DAY_SECONDS),
    "lease_seconds": _seconds(_DAY_SECONDS),
    "not_after_seconds": _seconds(90 * _DAY_SECONDS),
    "max_downloading": _hosts(threshold=False),
    "max_attempts": _hosts(100, threshold=False),
    "max_out": _hosts(2 * _MAX_HOSTS),
}


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stored limits that say too little or what no limit may say, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class RolloutLimits:
    """The limits in force. Every instance is valid: building one checks it.

    Attributes:
        max_concurrent: hosts past Go at the same time, 1 to 1,000,000.
        max_failed: a wave fails at this number of bad hosts, 1 to 1,000,000.
        failure_limit: a wave fails when the lower 95 % bound of its failure rate is above this share, over 0 to 1.
        min_sample: hosts that must have been attempted before a wave passes, 1 to 1,000,000; a smaller wave needs all.
        bake_seconds: how long a wave is watched after its last host ended, 0 to 30 days.
        soak_seconds: how long a host must hold its health, over 0 to 24 h.
        lease_seconds: how long a trial may wait for contact and promotion, longer than the soak, at most 24 h.
        not_after_seconds: how long from the start hosts may wait for Go, over 0 to 90 days.
        offline_policy: what happens to a host that is offline before Go.
        max_downloading: hosts that download at the same time, 1 to 1,000,000.
        max_attempts: tries per host for transient failures before Go, 1 to 100; told to the host, which keeps count.
        max_out: hosts past Go or broken at the same time, >= max_concurrent, at most 2,000,000. Left out:
            max_concurrent + max_failed - 1, so that the gate speaks before the budget starves. The 0 of the signature
            stands for "left out" alone; :meth:`from_request` refuses a said 0.
    """

    max_concurrent: int = 1
    max_failed: int = 1
    failure_limit: float = 0.02
    min_sample: int = 1
    bake_seconds: float = 0.0
    soak_seconds: float = 60.0
    lease_seconds: float = 300.0
    not_after_seconds: float = 7 * _DAY_SECONDS
    offline_policy: OfflinePolicy = OfflinePolicy.WAIT
    max_downloading: int = 50
    max_attempts: int = 3
    max_out: int = 0

    def __post_init__(self) -> None:
        """Fill in ``max_out`` and check every limit.

        Raises:
            RequestError: a limit is outside its bounds, or two contradict each other (caller's fault).
        """
        for name, bound in _BOUNDS.items():
            if name != "max_out":
                _check_number(name, getattr(self, name), bound)
        if self.max_out == 0 and not isinstance(self.max_out, bool):
            object.__setattr__(self, "max_out", self.max_concurrent + self.max_failed - 1)
        _check_number("max_out", self.max_out, _BOUNDS["max_out"])
        object.__setattr__(self, "offline_policy", _policy(self.offline_policy))
        self._check_together()

    def _check_together(self) -> None:
        """Refuse limits that are each allowed and contradict each other."""
        if self.lease_seconds <= self.soak_seconds:
            raise _refusal(
                "lease_seconds",
                self.lease_seconds,
                f"is not longer than soak_seconds ({self.soak_seconds:g}): no host could ever be kept",
                remedy="say a longer lease or a shorter soak",
            )
        if self.max_out < self.max_concurrent:
            raise _refusal(
                "max_out",
                self.max_out,
                f"is smaller than max_concurrent ({self.max_concurrent})",
                remedy="say a larger max_out, or leave it out",
            )

    @classmethod
    def from_request(cls, said: Mapping[str, object]) -> RolloutLimits:
        """Build the limits from what a request said, and nothing but that; the rest takes its default.

        Args:
            said: value by field name. A key with ``None`` or an empty text was said, and is refused.

        Raises:
            RequestError: THRESHOLD_MISSING for a threshold that is zero, negative, empty or no number;
                INVALID_ARGUMENT for any other value outside its bounds and for an unknown name (caller's fault).
        """
        for name, value in said.items():
            if name in _BOUNDS:
                _check_number(name, value, _BOUNDS[name])
            elif name != "offline_policy":
                raise _refusal(name, value, "is no limit of a rollout", remedy=f"known are {', '.join(_NAMES)}")
        return cls(**said)  # type: ignore[arg-type]  # each value was checked above, or is checked as the policy

    @classmethod
    def from_stored(cls, stored: object) -> RolloutLimits:
        """Read what :meth:`to_json` wrote.

        Raises:
            RequestError: a limit is absent (THRESHOLD_MISSING for a threshold, INVALID_ARGUMENT for another), or
                outside its bounds as in :meth:`from_request`. The rollout must not start or go on.
        """
        if not isinstance(stored, Mapping):
            message = "limits: the stored plan has none"
            raise RequestError(message, code=Code.THRESHOLD_MISSING, remedy=_START_AGAIN, field="limits")
        for name in _NAMES:
            if name not in stored:
                threshold = name in _BOUNDS and _BOUNDS[name].threshold
                raise RequestError(
                    f"limits.{name}: the stored plan does not say it",
                    code=Code.THRESHOLD_MISSING if threshold else Code.INVALID_ARGUMENT,
                    remedy=_START_AGAIN,
                    field=name,
                )
        return cls.from_request(stored)

    def to_json(self) -> dict[str, object]:
        """Return every limit by name, as JSON values."""
        return asdict(self) | {"offline_policy": self.offline_policy.value}


def read_stored(stored: object) -> RolloutLimits | Unreadable:
    """Read stored limits where a rollout must be handled with or without them; the first fault is told."""
    try:
        return RolloutLimits.from_stored(stored)
    except RequestError as error:
        return Unreadable(error.message)


_NAMES = tuple(field.name for field in fields(RolloutLimits))


def _check_number(name: str, value: object, bound: _Bound) -> None:
    """Refuse what is no number inside its bounds."""
    kinds = (int,) if bound.whole else (int, float)
    if (
        isinstance(value, bool)
        or not isinstance(value, kinds)
        or (isinstance(value, float) and not math.isfinite(value))
    ):
        missing = bound.threshold
        why = "is no finite number" if not bound.whole else "is no whole number"
    else:
        if bound.allows(value):
            return
        missing = bound.threshold and value <= 0
        why = "is out of bounds"
    code = Code.THRESHOLD_MISSING if missing else Code.INVALID_ARGUMENT
    raise _refusal(name, value, why, remedy=bound.remedy, code=code)


def _policy(value: object) -> OfflinePolicy:
    """Return the policy that ``value`` names."""
    known = {str(policy): policy for policy in OfflinePolicy}
    if not isinstance(value, str) or value not in known:
        raise _refusal("offline_policy", value, "is no policy", remedy=f"say {', '.join(known)}")
    return known[value]


def _refusal(name: str, value: object, why: str, *, remedy: str, code: Code = Code.INVALID_ARGUMENT) -> RequestError:
    """Name the field, what was said, and what to say instead."""
    shown = repr(value)[:80]
    return RequestError(f"limits.{name[:40]}: {shown} {why}", code=code, remedy=remedy, field=name[:40], value=shown)
