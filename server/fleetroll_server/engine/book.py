"""One rollout as it is open in a transaction: its locked rows, changed in memory, written once at the end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.bake import Bake
from fleetroll_server.domain.budget import scopes_of
from fleetroll_server.domain.deadlines import returning_until
from fleetroll_server.domain.decide import Summary, WaveSummary, gate
from fleetroll_server.domain.late import LateHosts
from fleetroll_server.domain.limits import OfflinePolicy, RolloutLimits, read_stored
from fleetroll_server.domain.states import ENDED_ROLLOUT, RolloutKind, RolloutState, WaveState
from fleetroll_server.domain.summary import WaveCounters
from fleetroll_server.engine.probing.rows import states
from fleetroll_server.store.tables import RolloutRow, WaveRow, table_of
from fleetroll_server.store.tx import EventFact

if TYPE_CHECKING:
    from datetime import datetime

    from fleetroll_server.domain.checks import CheckState
    from fleetroll_server.domain.gates import GateResult
    from fleetroll_server.engine.actor import Actor
    from fleetroll_server.store.tx import Tx

ROLLOUT = table_of(RolloutRow)
WAVE = table_of(WaveRow)


class Wave:
    """One wave of an open book."""

    def __init__(self, row: dict[str, Any]) -> None:
        """Take the row."""
        self.row = row
        self.counters = WaveCounters.from_json(row["counters"])
        self.changed = False

    @property
    def number(self) -> int:
        """Return its number, from 1."""
        number: int = self.row["number"]
        return number

    @property
    def state(self) -> WaveState:
        """Return its state."""
        return WaveState(self.row["state"])

    def set(self, **values: Any) -> None:  # noqa: ANN401 (columns of the row)
        """Change columns."""
        self.row.update(values)
        self.changed = True

    def passed(self, now: datetime, evidence: str) -> None:
        """Note that it passed: what was bad until now was allowed for; what goes bad later is not."""
        self.counters = self.counters.forgive()
        self.set(gate=evidence, ended_at=now)

    def summary(self) -> WaveSummary:
        """Return what decisions see."""
        bake = Bake(self.row["baked_seconds"], self.row["bake_ticked_at"])
        return WaveSummary(self.number, self.state, self.counters, bake, self.row["moved_at"])

    def left(self, at: datetime) -> None:
        """Note when a host before Go left: for a while after it, it may be on its way back."""
        if self.counters.left_at is None or self.counters.left_at < at:
            self.counters = replace(self.counters, left_at=at)
            self.set()


class Book:
    """The open rollout. Made by :func:`open_book`; :meth:`write` ends its work in the same transaction."""

    def __init__(
        self,
        rollout: dict[str, Any],
        waves: list[dict[str, Any]],
        now: datetime,
        checks: tuple[CheckState, ...] = (),
    ) -> None:
        """Take the locked rows, and the time of the transaction."""
        self._now = now
        self.row = rollout
        self.checks = checks
        self.waves = [Wave(row) for row in waves]
        self.stored_limits = read_stored(rollout["limits"])
        self.scopes = scopes_of(rollout["fleet_id"], rollout["id"])
        self.room_made = False
        self._read = dict(rollout)
        self._seen = self._fingerprint(gate(self.summary()))

    @property
    def id(self) -> str:
        """Return the rollout's id."""
        rollout_id: str = self.row["id"]
        return rollout_id

    @property
    def fleet_id(self) -> str:
        """Return its fleet."""
        fleet_id: str = self.row["fleet_id"]
        return fleet_id

    @property
    def state(self) -> RolloutState:
        """Return its state."""
        return RolloutState(self.row["state"])

    @property
    def limits(self) -> RolloutLimits:
        """Return the limits in force. What only stops or shows a rollout must do without.

        Raises:
            RequestError: as :meth:`RolloutLimits.from_stored`, when they can't be read.
        """
        if isinstance(self.stored_limits, RolloutLimits):
            return self.stored_limits
        return RolloutLimits.from_stored(self.row["limits"])

    @property
    def kind(self) -> RolloutKind:
        """Return what it is for."""
        return RolloutKind(self.row["kind"])

    @property
    def is_open(self) -> bool:
        """Tell whether the rollout has not ended."""
        return self.state not in ENDED_ROLLOUT

    @property
    def offers(self) -> bool:
        """Tell whether this rollout offers and lets hosts past Go now, by its rows alone: no switch is read here."""
        late = self.state is RolloutState.COMPLETED and self.late.stopped is None
        return (self.state is RolloutState.RUNNING or late) and self._now < self.row["not_after"]

    @property
    def judges_absent(self) -> bool:
        """Tell whether a host that is offline when its turn comes is skipped or fails, instead of waiting."""
        limits = self.stored_limits
        return self.is_open and isinstance(limits, RolloutLimits) and limits.offline_policy is not OfflinePolicy.WAIT

    @property
    def has_queue(self) -> bool:
        """Tell whether a host whose attempt was stopped may get another one: it is open, or has late hosts to offer."""
        return self.is_open or (self.state is RolloutState.COMPLETED and not self.late.is_over)

    @property
    def late(self) -> LateHosts:
        """Return its late hosts, in numbers; only a completed rollout has any."""
        moved = [wave.row["moved_at"] for wave in self.waves if wave.row["moved_at"] is not None]
        stopped = Code(self.row["late_stop_code"]) if self.row["late_stop_code"] else None
        counters = tuple(wave.counters for wave in self.waves)
        return LateHosts(counters, max(moved, default=None), stopped, self.row["late_stop_reason"])

    def wave(self, number: int) -> Wave:
        """Return a wave by its number, from 1."""
        return self.waves[number - 1]

    def current(self) -> Wave | None:
        """Return the first wave that has not passed."""
        return next((wave for wave in self.waves if wave.state is not WaveState.PASSED), None)

    def summary(self) -> Summary:
        """Return what decisions see."""
        wave = self.current()
        left = [wave.counters.left_at for wave in self.waves if wave.counters.left_at is not None]
        return Summary(
            state=self.state,
            manual_advance=self.row["manual_advance"],
            limits=self.stored_limits,
            wave=wave.summary() if wave else None,
            not_after=self.row["not_after"],
            returning_until=returning_until(max(left, default=None), self._now),
            late_bad=sum(w.counters.unforgiven_bad for w in self.waves if w.state is WaveState.PASSED),
            late=self.late if self.state is RolloutState.COMPLETED else None,
            checks=self.checks,
            wave_approval=self.row["wave_approval"],
            goes_back=self.row["goes_back"],
        )

    def set_state(self, tx: Tx, state: RolloutState, actor: Actor, reason: str, code: Code | str = "") -> None:
        """Change the state and record who did it, why and when."""
        self.row.update(
            state=state.value,
            state_actor_kind=actor.kind,
            state_actor_id=actor.id,
            state_reason=reason,
            state_code=str(code),
            state_changed_at=tx.now,
        )
        if state in {RolloutState.PAUSED, RolloutState.HALTED} and self.row["stopped_at"] is None:
            self.row["stopped_at"] = tx.now
        self.row["ended_at"] = tx.now if state in ENDED_ROLLOUT else None
        tx.emit(self.event("rollout.state", actor, reason, str(code), message=state.value))

    def resume_clock(self, now: datetime) -> None:
        """Move the end of waiting on by the time that the rollout stood."""
        if self.row["stopped_at"] is not None:
            self.row["not_after"] += now - self.row["stopped_at"]
            self.row["stopped_at"] = None

    def event(self, kind: str, actor: Actor, reason: str = "", code: str = "", **facts: str) -> EventFact:
        """Return a fact about this rollout."""
        return EventFact(
            fleet_id=self.fleet_id,
            kind=kind,
            actor_kind=actor.kind,
            actor_id=actor.id,
            reason=reason,
            code=code,
            rollout_id=self.id,
            agent_id=facts.get("agent_id", ""),
            attempt_id=facts.get("attempt_id", ""),
            attempt_state=facts.get("attempt_state", ""),
            message=facts.get("message", ""),
        )

    async def write(self, tx: Tx) -> None:
        """Write the changed rows; the revision moves on when something changed that a decision may be drawn from."""
        current, result = self.current(), gate(self.summary())
        if current is not None and result is not None and current.row["gate"] != result.evidence:
            current.set(gate=result.evidence)
        if self._fingerprint(result) != self._seen:
            self.row["revision"] += 1
        if self.row != self._read:
            mine = (ROLLOUT.c.id == self.id, ROLLOUT.c.fleet_id == self.fleet_id)
            await tx.execute(sa.update(ROLLOUT).where(*mine).values(**_without(self.row, "id", "fleet_id")))
        for wave in self.waves:
            if wave.changed:
                wave.row["counters"] = wave.counters.to_json()
                which = (WAVE.c.rollout_id == self.id, WAVE.c.number == wave.number, WAVE.c.fleet_id == self.fleet_id)
                values = _without(wave.row, "rollout_id", "number", "fleet_id")
                await tx.execute(sa.update(WAVE).where(*which).values(**values))

    def _fingerprint(self, result: GateResult | None) -> tuple[object, ...]:
        """Return what decisions are drawn from: states, bad hosts, verdict."""
        waves = tuple((wave.row["state"], wave.counters.bad) for wave in self.waves)
        return (self.row["state"], self.row["late_stop_code"], waves, result.verdict if result else None)


async def open_book(tx: Tx, rollout_id: str, fleet_id: str) -> Book | None:
    """Lock a rollout and read it; nothing when this fleet has no such rollout."""
    mine = (ROLLOUT.c.id == rollout_id, ROLLOUT.c.fleet_id == fleet_id)
    found = (await tx.execute(sa.select(ROLLOUT).where(*mine).with_for_update())).mappings().one_or_none()
    if found is None:
        return None
    query = sa.select(WAVE).where(WAVE.c.rollout_id == rollout_id, WAVE.c.fleet_id == fleet_id).order_by(WAVE.c.number)
    waves = (await tx.execute(query)).mappings().all()
    checks = await states(tx.connection, rollout_id, fleet_id) if found["has_checks"] else ()
    return Book(dict(found), [dict(row) for row in waves], tx.now, checks)


def _without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return the row's other columns."""
    return {name: value for name, value in row.items() if name not in names}
