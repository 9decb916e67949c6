"""One rollout as rows in memory: hosts, waves, budgets, charges, and the steps that the engine takes in a database.

It follows the engine move by move, so that the rules of the domain are driven by what really happens; what is kept here
beside the rows (``grants``, ``passes``, ``fails``) is for tests to judge. Rules are looked up in their modules at every
call: a test can plant a mistake in one of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_server.domain import bake, budget, charges, deadlines, late, states, summary
from fleetroll_server.domain import decide as deciding
from fleetroll_server.domain.charges import Holding
from fleetroll_server.domain.states import (
    ENDED_ROLLOUT,
    FINAL,
    PAST_GO,
    AttemptState,
    RolloutState,
    Trigger,
    WaveState,
)
from fleetroll_server.domain.summary import HostView, WaveCounters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fleetroll_server.domain.limits import RolloutLimits

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OUT_OF_COUNT = frozenset({Code.HOST_OFFLINE, Code.HELD_LOCALLY, Code.QUARANTINED})
SCOPES = budget.scopes_of("fleet-1", "rollout-1")
VERSION = "1.1.0"


@dataclass
class HostRow:
    """A host's place in the rollout."""

    name: str
    wave: int
    cohorts: tuple[str, ...] = ()
    state: AttemptState = AttemptState.PENDING
    generation: int | None = None
    attempted: bool = False
    waiting: Code | None = None
    deadline: datetime | None = None
    session: int = 0
    last_ask: int = 0
    code: Code | None = None
    changed_at: datetime = NOON
    granted_at: datetime | None = None
    announced: float | None = None
    """What the host said last of how long it may take, in seconds."""
    tries: int = 0
    succeeded: bool = False
    """It was kept; a lost host that was is well again at its next word."""
    forgiven: bool = False
    """What tests know and counters only count: a person resumed while it was bad, and it is bad since."""
    was_late: bool = False
    """It succeeded after the completion."""
    let_off: bool = False
    """A person resumed after a halt while it was bad: the rollout's own scope does not hold it."""

    def view(self) -> HostView:
        return HostView(self.state, self.waiting in OUT_OF_COUNT, self.attempted, self.cohorts, self.succeeded)


@dataclass
class WaveRow:
    """A wave; ``passed_by_person`` where the gate could not tell and somebody decided."""

    number: int
    counters: WaveCounters
    state: WaveState = WaveState.PENDING
    baked: bake.Bake = field(default_factory=bake.Bake)
    moved_at: datetime | None = None
    passed_by_person: bool = False


@dataclass(frozen=True)
class Desired:
    """An assignment; an empty version is none."""

    generation: int
    version: str
    stop: bool = False
    excused: bool = False


class Rows:
    """The rows and the steps on them. :class:`tests.faults.rollout_server.Server` adds who may ask for which step."""

    def __init__(
        self, waves: Sequence[Mapping[str, tuple[str, ...]]], limits: RolloutLimits, *, manual: bool = False
    ) -> None:
        """Begin with every host pending.

        Args:
            waves: cohorts by host, one mapping for each wave.
            limits: of the rollout.
            manual: every wave but the first waits for a person.
        """
        self.now = NOON
        self.limits, self.manual = limits, manual
        self.state = RolloutState.RUNNING
        self.not_after = NOON + timedelta(seconds=limits.not_after_seconds)
        self.stopped_at: datetime | None = None
        self.late_stop: Code | None = None
        self.hosts = {
            name: HostRow(name, number, cohorts)
            for number, wave in enumerate(waves, 1)
            for name, cohorts in wave.items()
        }
        self.waves = [
            WaveRow(n, summary.count(HostView(AttemptState.PENDING) for _ in wave)) for n, wave in enumerate(waves, 1)
        ]
        wide = [budget.ScopeBudget(scope, 1000, 1000) for scope in SCOPES[:2]]
        own = budget.ScopeBudget(SCOPES[2], limits.max_concurrent, limits.max_out)
        self.budgets = {found.scope: found for found in (*wide, own)}
        self.charges: dict[tuple[str, str, int], Holding] = {}
        self.desired: dict[str, Desired] = {}
        self.highest: dict[str, int] = dict.fromkeys(self.hosts, 0)
        self.used: dict[str, set[int]] = {name: set() for name in self.hosts}
        self.sessions: dict[str, int] = {}
        self.left_well: set[str] = set()
        self.killed = False
        self.owed: set[str] = set()
        self.quarantined: set[str] = set()
        self.grants: list[str] = []
        self.results: list[tuple[str, AttemptState]] = []
        self.passes: list[int] = []
        self.fails: list[tuple[int, str]] = []
        self.alerts: list[str] = []
        self.decisions = 0

    @property
    def is_open(self) -> bool:
        return self.state not in ENDED_ROLLOUT

    def current(self) -> WaveRow | None:
        return next((wave for wave in self.waves if wave.state is not WaveState.PASSED), None)

    def of_wave(self, number: int) -> list[HostRow]:
        return [host for host in self.hosts.values() if host.wave == number]

    def summary(self) -> deciding.Summary:
        wave = self.current()
        seen = None
        if wave is not None:
            seen = deciding.WaveSummary(wave.number, wave.state, wave.counters, wave.baked, wave.moved_at)
        bad = sum(wave.counters.unforgiven_bad for wave in self.waves if wave.state is WaveState.PASSED)
        late_hosts = self.late if self.state is RolloutState.COMPLETED else None
        return deciding.Summary(self.state, self.manual, self.limits, seen, self.not_after, bad, late=late_hosts)

    @property
    def late(self) -> late.LateHosts:
        moved = [wave.moved_at for wave in self.waves if wave.moved_at is not None]
        return late.LateHosts(tuple(wave.counters for wave in self.waves), max(moved, default=None), self.late_stop)

    @property
    def offers(self) -> bool:
        """Whether hosts are offered to, and let past Go; the kill switch is another matter."""
        late_ones = self.state is RolloutState.COMPLETED and self.late_stop is None
        return (self.state is RolloutState.RUNNING or late_ones) and self.now < self.not_after

    @property
    def has_late(self) -> bool:
        return self.state is RolloutState.COMPLETED

    @property
    def has_queue(self) -> bool:
        return self.is_open or (self.state is RolloutState.COMPLETED and not self.late.is_over)

    def move(
        self,
        host: HostRow,
        trigger: Trigger,
        *,
        code: Code | None = None,
        deadline: datetime | None = None,
        waiting: Code | None = None,
        generation: int | None = None,
    ) -> None:
        """Take one step: machine, budgets, counters."""
        before, before_state = host.view(), host.state
        host.state = states.transition(states.ATTEMPT_TRANSITIONS, host.state, trigger)
        if generation is not None:
            host.generation, host.session, host.last_ask = generation, 0, 0
        if trigger in {Trigger.OFFER, Trigger.STAGE, Trigger.DOWNLOAD, Trigger.REQUEUE}:
            host.attempted = False
        if trigger in {Trigger.OFFER, Trigger.STAGE, Trigger.DOWNLOAD, Trigger.GRANT}:
            host.granted_at = self.now if trigger is Trigger.GRANT else None
        if trigger is not Trigger.PROMOTE:  # the clock of a promoted host is its trial's
            host.changed_at = self.now
        if host.state in PAST_GO:
            host.attempted = True
        host.succeeded = host.state is AttemptState.SUCCEEDED or (host.succeeded and host.state is AttemptState.LOST)
        host.was_late = self.state is RolloutState.COMPLETED and host.state is AttemptState.SUCCEEDED
        host.let_off = host.let_off and charges.stays_forgiven(host.state)
        if host.state is not before_state:
            host.code, host.waiting = code, waiting
        host.deadline = deadline if host.state not in FINAL else None
        self._settle(host, before_state)
        self._recount(host, before)
        self._remember(host, before_state)

    def note(self, host: HostRow, *, waiting: Code | None, deadline: datetime | None = None) -> None:
        """Write why a host waits, and when its time is over."""
        before = host.view()
        host.waiting, host.deadline = waiting, deadline
        comes = before.is_waiting and not host.view().is_waiting
        self._recount(host, before, moved=comes and (self.is_open or host.state is not AttemptState.PENDING))

    def hold(self, host: HostRow, wanted: Holding, *, enforce: bool = False, let_off: bool = False) -> str | None:
        """Make the host hold ``wanted`` and nothing else; the scope without room where ``enforce`` finds one."""
        assert host.generation is not None
        own = {scope: self._own(host, scope) for scope in SCOPES}
        for scope in SCOPES if enforce else ():
            already = own[scope].get(host.generation) is Holding.IN_USE
            if not already and not budget.can_charge(self.budgets[scope], Holding.BROKEN in own[scope].values()):
                return scope
        for scope in SCOPES:
            kind = wanted
            if wanted is Holding.BROKEN_IN_ROLLOUT:
                kind = Holding.BROKEN if scope == SCOPES[2] else Holding.NOTHING
            if let_off and scope == SCOPES[2] and wanted is not Holding.IN_USE:
                kind = Holding.NOTHING
            self._charge(host, scope, own[scope], kind)
        return None

    def heal(self, name: str) -> None:
        """Free the wider scopes of a host that reported its health."""
        for host, scope, generation in list(self.charges):
            key = (host, scope, generation)
            if host == name and scope != SCOPES[2] and self.charges[key] is Holding.BROKEN:
                del self.charges[key]
                self.budgets[scope] = budget.heal(self.budgets[scope])

    def forgive_budget(self) -> None:
        """Take every broken host out of the rollout's own scope."""
        gone = [key for key, kind in self.charges.items() if key[1] == SCOPES[2] and kind is Holding.BROKEN]
        for key in gone:
            del self.charges[key]
        self.budgets[SCOPES[2]] = replace(self.budgets[SCOPES[2]], broken=0)

    def let_through(self, wave: WaveRow) -> None:
        """What is bad in the wave now is no reason to halt any more: a person resumed, or its gate passed."""
        wave.counters = wave.counters.forgive()
        for host in self.of_wave(wave.number):
            host.forgiven = host.state in states.BAD

    def next_deadline(self, host: HostRow, state: AttemptState, *, announced: float | None = None) -> datetime | None:
        limit = timedelta(seconds=announced) if announced is not None else None
        return deadlines.deadline(
            state, self.now, online=host.name in self.sessions, size_bytes=1_000_000, announced=limit
        )

    def _own(self, host: HostRow, scope: str) -> dict[int, Holding]:
        return {g: kind for (name, where, g), kind in self.charges.items() if (name, where) == (host.name, scope)}

    def _charge(self, host: HostRow, scope: str, own: dict[int, Holding], wanted: Holding) -> None:
        """Write the one charge that is wanted; older ones of the same host give way to it."""
        assert host.generation is not None
        held = [g for g in own if g == host.generation or wanted is not Holding.NOTHING]
        kinds = [own[g] for g in held]
        for generation in held:
            del self.charges[host.name, scope, generation]
        if wanted is not Holding.NOTHING:
            self.charges[host.name, scope, host.generation] = wanted
        now = self.budgets[scope]
        in_use = now.in_use - kinds.count(Holding.IN_USE) + (wanted is Holding.IN_USE)
        broken = now.broken - kinds.count(Holding.BROKEN) + (wanted is Holding.BROKEN)
        self.budgets[scope] = replace(now, in_use=in_use, broken=broken)

    def _settle(self, host: HostRow, before: AttemptState) -> None:
        """Hold what the new state holds."""
        if host.generation is None:
            return
        if before not in PAST_GO and host.state not in PAST_GO and not host.attempted:
            return
        wanted = charges.holding(host.state, attempted=host.attempted)
        self.hold(host, wanted, let_off=host.let_off or not self.is_open)

    def _recount(self, host: HostRow, before: HostView, *, moved: bool = True) -> None:
        wave = self.waves[host.wave - 1]
        wave.counters = wave.counters.moved(before, host.view())
        if moved:
            wave.moved_at = self.now

    def _remember(self, host: HostRow, before: AttemptState) -> None:
        """Keep what tests judge: results, and who is forgiven still."""
        if host.state not in states.BAD:
            host.forgiven = False
        if host.state in FINAL and host.state is not before:
            self.results.append((host.name, host.state))
        undone = before is AttemptState.SUCCEEDED and host.state in {AttemptState.ROLLED_BACK, AttemptState.LOST}
        assert before not in FINAL or before is host.state or undone, f"{host.name} left {before} for {host.state}"
