"""Counters of a wave, kept up by the difference that one host's step makes: no step ever reads the other hosts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from fleetroll_server.domain.states import BAD, BEFORE_GO, FINAL, AttemptState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_DOWNLOADING = frozenset({AttemptState.OFFERED, AttemptState.DOWNLOADING})


@dataclass(frozen=True, slots=True)
class HostView:
    """One host as its wave counts it.

    Attributes:
        state: of its attempt.
        waiting: before Go, and offline or held on the host: judged by the offline policy alone.
        attempted: it got Go at some time.
        cohorts: "os=linux", "site=ams" …: groups that may fail together.
    """

    state: AttemptState
    waiting: bool = False
    attempted: bool = False
    cohorts: tuple[str, ...] = ()

    @property
    def is_bad(self) -> bool:
        """Tell whether gates count it as bad."""
        return self.state in BAD

    @property
    def is_attempted(self) -> bool:
        """Tell whether it got Go, or is bad."""
        return self.attempted or self.is_bad

    @property
    def is_ended(self) -> bool:
        """Tell whether the wave waits for it no longer. A lost host is bad, not unknown."""
        return self.state in FINAL or self.state is AttemptState.LOST

    @property
    def is_waiting(self) -> bool:
        """Tell whether it is out of the wave's denominator for now."""
        return self.waiting and self.state in BEFORE_GO


@dataclass(frozen=True, slots=True)
class WaveCounters:
    """Counts of one wave.

    ``forgiven_bad`` are the bad hosts that stood when a person resumed the wave after a halt. One that comes back well
    takes its forgiveness along, in its cohorts too: it must not hide the next bad host. Which of the bad ones came back
    isn't known here; a forgiven one is assumed, which never counts fewer bad hosts than there are.
    """

    planned: int = 0
    attempted: int = 0
    bad: int = 0
    ended: int = 0
    waiting: int = 0
    succeeded: int = 0
    pending: int = 0
    downloading: int = 0
    forgiven_bad: int = 0
    cohorts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    forgiven_cohorts: Mapping[str, int] = field(default_factory=dict)

    def moved(self, before: HostView | None, after: HostView) -> WaveCounters:
        """Return the counters after one host went from ``before`` (nothing: it is new) to ``after``."""
        counted = {name: getattr(self, name) + value for name, value in _difference(before, after).items()}
        recovered = before is not None and before.is_bad and not after.is_bad
        forgiven = self._forgiveness_left(after.cohorts) if recovered else {}
        return replace(self, **counted, **forgiven, cohorts=self._cohorts(before, after))

    def forgive(self) -> WaveCounters:
        """Return the counters as a person's resume leaves them: what was bad until now fails nothing any more.

        A pass does the same: what its gate let through is no reason to halt a later wave.
        """
        return replace(
            self, forgiven_bad=self.bad, forgiven_cohorts={name: bad for name, (_, bad) in self.cohorts.items()}
        )

    @property
    def unforgiven_bad(self) -> int:
        """Return the bad hosts that no person forgave and no gate let through."""
        return max(0, self.bad - self.forgiven_bad)

    def unforgiven_cohorts(self) -> dict[str, tuple[int, int]]:
        """Return attempted and bad hosts by cohort, without those that a person forgave."""
        forgiven = self.forgiven_cohorts
        return {name: (a - forgiven.get(name, 0), b - forgiven.get(name, 0)) for name, (a, b) in self.cohorts.items()}

    def _forgiveness_left(self, cohorts: Iterable[str]) -> dict[str, Any]:
        """Return what is forgiven after a bad host came back well."""
        left = {name: self.forgiven_cohorts[name] - 1 for name in cohorts if self.forgiven_cohorts.get(name)}
        return {"forgiven_bad": max(0, self.forgiven_bad - 1), "forgiven_cohorts": {**self.forgiven_cohorts, **left}}

    def _cohorts(self, before: HostView | None, after: HostView) -> Mapping[str, tuple[int, int]]:
        """Return attempted and bad hosts by cohort."""
        tried = after.is_attempted - (before.is_attempted if before else False)
        bad = after.is_bad - (before.is_bad if before else False)
        if not tried and not bad:
            return self.cohorts
        changed = {name: self.cohorts.get(name, (0, 0)) for name in after.cohorts}
        return {**self.cohorts, **{name: (max(0, a + tried), max(0, b + bad)) for name, (a, b) in changed.items()}}

    def to_json(self) -> dict[str, Any]:
        """Return what is stored."""
        return {**asdict(self), "cohorts": {name: list(pair) for name, pair in self.cohorts.items()}}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> WaveCounters:
        """Read what :meth:`to_json` wrote."""
        known = {name.name: stored[name.name] for name in fields(cls) if name.name in stored}
        known["cohorts"] = {name: (pair[0], pair[1]) for name, pair in stored.get("cohorts", {}).items()}
        known["forgiven_cohorts"] = dict(stored.get("forgiven_cohorts", {}))
        return cls(**known)


def count(hosts: Iterable[HostView]) -> WaveCounters:
    """Count from nothing: what the incremental counters must equal."""
    counters = WaveCounters()
    for host in hosts:
        counters = counters.moved(None, host)
    return counters


def _difference(before: HostView | None, after: HostView) -> dict[str, int]:
    """Return what one host's step changes."""
    new = _contribution(after)
    old = _contribution(before) if before is not None else dict.fromkeys(new, 0)
    return {name: value - old[name] for name, value in new.items()}


def _contribution(host: HostView) -> dict[str, int]:
    """Return what one host adds to each count."""
    return {
        "planned": 1,
        "attempted": int(host.is_attempted),
        "bad": int(host.is_bad),
        "ended": int(host.is_ended),
        "waiting": int(host.is_waiting),
        "succeeded": int(host.state is AttemptState.SUCCEEDED),
        "pending": int(host.state is AttemptState.PENDING and not host.is_waiting),
        "downloading": int(host.state in _DOWNLOADING and not host.is_waiting),
    }
