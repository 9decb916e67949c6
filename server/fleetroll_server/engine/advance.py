"""Carries out what the domain decides about a rollout, step by step, until there is nothing more to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.bake import tick
from fleetroll_server.domain.decide import (
    Action,
    Advanced,
    AwaitPerson,
    Complete,
    Event,
    ExpireHosts,
    FailWave,
    Moved,
    OfferHosts,
    OpenWave,
    PassWave,
    PauseForPerson,
    StartBake,
    decide,
    gate,
)
from fleetroll_server.domain.gates import Verdict
from fleetroll_server.domain.states import (
    BEFORE_GO,
    ROLLOUT_TRANSITIONS,
    WAVE_TRANSITIONS,
    AttemptState,
    RolloutTrigger,
    Trigger,
    WaveState,
    WaveTrigger,
    transition,
)
from fleetroll_server.engine.actor import DEADLINE, GATE, Actor
from fleetroll_server.engine.desire import desire
from fleetroll_server.engine.holdings import forgive
from fleetroll_server.engine.moves import move
from fleetroll_server.engine.offers import offer_next
from fleetroll_server.engine.wake import wake_staged
from fleetroll_server.store.tables import AgentRow, RolloutHostRow, table_of

if TYPE_CHECKING:
    from fleetroll_server.engine.book import Book, Wave
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

HOST = table_of(RolloutHostRow)
AGENT = table_of(AgentRow)
MAX_STEPS = 1000
"""Steps of one transaction: a plan has at most 50 waves, and every step moves one of them on."""


async def go_on(tx: Tx, services: Services, book: Book, event: Event | None = None) -> None:
    """Let the rollout take every step that is due, then write its rows."""
    event = event or Moved()
    for _ in range(MAX_STEPS):
        decision = decide(book.summary(), event, tx.now)
        if not decision.actions:
            break
        progressed = False
        for action in decision.actions:
            progressed = await _carry_out(tx, services, book, action) or progressed
        event = Moved()
        if not progressed:
            break
    if book.room_made:
        await wake_staged(tx, services.sessions, book)
    await book.write(tx)


async def advance_by_person(tx: Tx, services: Services, book: Book) -> None:
    """Open the wave that waits for a person."""
    await go_on(tx, services, book, Advanced())


async def _carry_out(tx: Tx, services: Services, book: Book, action: Action) -> bool:
    """Carry out one action; False when it changed nothing, so that the same would be decided again."""
    match action:
        case AwaitPerson(wave=number):
            _step(tx, book, book.wave(number), WaveTrigger.AWAIT)
        case OpenWave(wave=number):
            _step(tx, book, book.wave(number), WaveTrigger.OPEN)
            book.wave(number).set(opened_at=tx.now, moved_at=tx.now)
        case OfferHosts(wave=number, count=count):
            return await offer_next(tx, services, book, book.wave(number), count)
        case ExpireHosts(wave=number):
            return await expire(tx, services, book, number)
        case StartBake(wave=number):
            _step(tx, book, book.wave(number), WaveTrigger.BAKE)
            book.wave(number).set(bake_ticked_at=tx.now)
        case PassWave(wave=number, evidence=evidence):
            _step(tx, book, book.wave(number), WaveTrigger.PASS)
            book.wave(number).passed(tx.now, evidence)
        case FailWave(wave=number, code=code, evidence=evidence):
            _step(tx, book, book.wave(number), WaveTrigger.FAIL)
            book.wave(number).set(gate=evidence, ended_at=tx.now)
            _end_state(tx, book, RolloutTrigger.HALT, GATE, f"wave {number}: {evidence}", code)
        case PauseForPerson(wave=number, evidence=evidence):
            _end_state(tx, book, RolloutTrigger.PAUSE, GATE, f"wave {number}: {evidence}", Code.WAVE_NOT_PASSED)
        case Complete():
            _end_state(tx, book, RolloutTrigger.COMPLETE, GATE, "every wave passed")
            await forgive(tx, book.scopes[-1], book.fleet_id)
            await _let_go_of_late(tx, services, book)
        case other:
            assert_never(other)
    return True


async def bake(tx: Tx, book: Book, *, up: bool) -> None:
    """Let the baking wave, if there is one, accumulate the time since its last tick; none when the server was down."""
    wave = book.current()
    if wave is None or wave.state is not WaveState.BAKING:
        return
    result = gate(book.summary())
    ticked = tick(
        wave.summary().bake,
        tx.now,
        up=up and result is not None and result.verdict is Verdict.PASS,
        away_without_goodbye=await _away(tx, book, wave),
        max_failed=book.limits.max_failed,
    )
    wave.set(baked_seconds=ticked.seconds, bake_ticked_at=ticked.ticked_at)


async def _let_go_of_late(tx: Tx, services: Services, book: Book) -> None:
    """Hosts that are late hold no claim and keep nothing open: they are back in the queue, and nothing is desired."""
    offered = [state.value for state in BEFORE_GO if state is not AttemptState.PENDING]
    query = sa.select(HOST).where(
        HOST.c.rollout_id == book.id, HOST.c.fleet_id == book.fleet_id, HOST.c.state.in_(offered)
    )
    for row in (await tx.execute(query)).mappings().all():
        host = dict(row)
        await move(tx, book, host, Trigger.REQUEUE, GATE, waiting=host["waiting"])
        await desire(tx, services.sessions, book, host["agent_id"], "", GATE, code=Code.SUPERSEDED.value)


async def expire(tx: Tx, services: Services, book: Book, number: int) -> bool:
    """End every host of the wave that never got Go; each is told that nothing is desired any more."""
    query = sa.select(HOST).where(
        HOST.c.rollout_id == book.id,
        HOST.c.fleet_id == book.fleet_id,
        HOST.c.wave == number,
        HOST.c.state.in_([state.value for state in BEFORE_GO]),
    )
    rows = (await tx.execute(query)).mappings().all()
    for row in rows:
        host = dict(row)
        code = host["waiting"] or Code.EXPIRED.value
        await move(tx, book, host, Trigger.EXPIRE, DEADLINE, code=code, message="out of time before Go")
        if host["generation"] is not None:
            await desire(tx, services.sessions, book, host["agent_id"], "", DEADLINE, code=Code.EXPIRED.value)
    return bool(rows)


def _step(tx: Tx, book: Book, wave: Wave, trigger: WaveTrigger) -> None:
    """Move a wave and record it."""
    state = transition(WAVE_TRANSITIONS, wave.state, trigger)
    wave.set(state=state.value)
    tx.emit(book.event("wave.state", GATE, message=f"wave {wave.number} is {state}"))


def _end_state(tx: Tx, book: Book, trigger: RolloutTrigger, actor: Actor, reason: str, code: Code | str = "") -> None:
    """Move the rollout and record it."""
    book.set_state(tx, transition(ROLLOUT_TRANSITIONS, book.state, trigger), actor, reason, code)


async def _away(tx: Tx, book: Book, wave: Wave) -> int:
    """Count the wave's succeeded hosts that are away without a goodbye."""
    query = (
        sa.select(sa.func.count())
        .select_from(HOST.join(AGENT, sa.and_(AGENT.c.id == HOST.c.agent_id, AGENT.c.fleet_id == HOST.c.fleet_id)))
        .where(
            HOST.c.rollout_id == book.id,
            HOST.c.fleet_id == book.fleet_id,
            HOST.c.wave == wave.number,
            HOST.c.state == AttemptState.SUCCEEDED.value,
            AGENT.c.server_id == "",
            AGENT.c.left_well.is_(False),
        )
    )
    away: int = (await tx.execute(query)).scalar_one()
    return away
