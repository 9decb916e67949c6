"""Counters of a wave, kept up by the difference that one host's step makes: no step ever reads the other hosts."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from fleetroll_server.domain.gates import COHORT_ALL_BAD_MIN_ATTEMPTED
from fleetroll_server.domain.states import BAD, BEFORE_GO, FINAL, AttemptState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_DOWNLOADING = frozenset({AttemptState.OFFERED, AttemptState.DOWNLOADING})


@dataclass(frozen=True, slots=True)
class HostView:
    """One host as its wave counts it.

    Attributes:
        state: of its attempt.
        waiting: before Go, and offline, held on the host, or between two check-ins: nothing can be done now.
        expected: it waits for its next check-in alone, and is online: the wave waits for it.
        attempted: it got Go at some time.
        cohorts: "os=linux", "site=ams" …: groups that may fail together.
        had_succeeded: it was kept before it was lost: its next word makes it well, and it asks for no Go.
        shut: staged, it waits for a window to open, its own or its policy's; the wave waits for it.
    """

    state: AttemptState
    waiting: bool = False
    attempted: bool = False
    cohorts: tuple[str, ...] = ()
    had_succeeded: bool = False
    expected: bool = False
    shut: bool = False

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
    def is_lost(self) -> bool:
        """Tell whether it may come back with an unused Go, and ask for another one."""
        return self.state is AttemptState.LOST and not self.had_succeeded

    @property
    def is_waiting(self) -> bool:
        """Tell whether it can't move for now; it is out of the wave's denominator unless it is expected."""
        return self.waiting and self.state in BEFORE_GO

    @property
    def is_shut(self) -> bool:
        """Tell whether nothing but a window keeps it: no clock of a wave that stands still runs for it meanwhile."""
        return self.shut and self.state is AttemptState.STAGED and not self.waiting


@dataclass(frozen=True, slots=True)
class WaveCounters:
    """Counts of one wave.

    ``forgiven_bad`` are the bad hosts that stood when a person resumed the wave after a halt. One that comes back well
    takes its forgiveness along, in its cohorts too: it must not hide the next bad host. Which of the bad ones came back
    isn't known here; a forgiven one is assumed, which never counts fewer bad hosts than there are.

    With ``planned_cohorts`` the cohorts are those that :func:`shared_cohorts` found at planning, and no step adds one:
    labels that are each one host's own would make every step as large as the wave. Without (an older row) each counts.

    ``lost`` are those among the ended ones that may come back and ask for Go; rows of older versions don't count them.

    ``expected`` are those among the waiting ones that are between two check-ins: they stay in the denominator.

    ``shut`` are staged ones that wait for a window. Rows of older versions don't count them: none is below zero.

    ``left_at`` is no count: when a host before Go left last, or since when a server is there for those that had left.
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
    lost: int = 0
    expected: int = 0
    shut: int = 0
    left_at: datetime | None = None
    planned_cohorts: bool = False
    cohorts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    forgiven_cohorts: Mapping[str, int] = field(default_factory=dict)

    def moved(self, before: HostView | None, after: HostView) -> WaveCounters:
        """Return the counters after one host went from ``before`` (nothing: it is new) to ``after``."""
        counted = {name: getattr(self, name) + value for name, value in _difference(before, after).items()}
        counted["shut"] = max(0, counted["shut"])
        recovered = before is not None and before.is_bad and not after.is_bad
        forgiven = self._forgiveness_left(after.cohorts) if recovered else {}
        return replace(self, **counted, **forgiven, cohorts=self._cohorts(before, after))

    def forgive(self) -> WaveCounters:
        """Return the counters as a person's resume leaves them: what was bad until now fails nothing any more.

        A pass does the same: what its gate let through is no reason to halt a later wave.
        """
        forgiven = {name: bad for name, (_, bad) in self.cohorts.items() if bad}
        return replace(self, forgiven_bad=self.bad, forgiven_cohorts=forgiven)

    def forgive_one(self, cohorts: Iterable[str]) -> WaveCounters:
        """Return the counters with one more bad host, of these cohorts, that fails nothing."""
        known = {name: self.forgiven_cohorts.get(name, 0) + 1 for name in cohorts if name in self.cohorts}
        return replace(self, forgiven_bad=self.forgiven_bad + 1, forgiven_cohorts={**self.forgiven_cohorts, **known})

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
        known = [name for name in after.cohorts if name in self.cohorts or not self.planned_cohorts]
        changed = {name: self.cohorts.get(name, (0, 0)) for name in known}
        return {**self.cohorts, **{name: (max(0, a + tried), max(0, b + bad)) for name, (a, b) in changed.items()}}

    def to_json(self) -> dict[str, Any]:
        """Return what is stored."""
        cohorts = {name: list(pair) for name, pair in self.cohorts.items()}
        left_at = self.left_at.isoformat() if self.left_at is not None else None
        return {**asdict(self), "cohorts": cohorts, "left_at": left_at}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> WaveCounters:
        """Read what :meth:`to_json` wrote."""
        known = {name.name: stored[name.name] for name in fields(cls) if name.name in stored}
        known["cohorts"] = {name: (pair[0], pair[1]) for name, pair in stored.get("cohorts", {}).items()}
        known["left_at"] = datetime.fromisoformat(stored["left_at"]) if stored.get("left_at") else None
        known["forgiven_cohorts"] = dict(stored.get("forgiven_cohorts", {}))
        return cls(**known)


def cohorts_of(os: str, arch: str, abi: str, labels: Mapping[str, str]) -> tuple[str, ...]:
    """Return the groups that a host belongs to, such as ``os=linux`` and ``site=ams``."""
    own = (f"os={os}", f"arch={arch}", f"abi={abi}")
    return own + tuple(f"{key}={value}" for key, value in sorted(labels.items()))


def shared_cohorts(hosts: Iterable[Iterable[str]]) -> dict[str, tuple[int, int]]:
    """Return the cohorts of a wave that the gate can judge, nothing counted: one host alone fails none by its rules."""
    sizes = Counter(name for cohorts in hosts for name in set(cohorts))
    return {name: (0, 0) for name, size in sorted(sizes.items()) if size >= COHORT_ALL_BAD_MIN_ATTEMPTED}


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
        "lost": int(host.is_lost),
        "expected": int(host.is_waiting and host.expected),
        "shut": int(host.is_shut),
    }
