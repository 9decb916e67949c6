"""Carries out what the domain decides about a rollout, step by step, until there is nothing more to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

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
    Halt,
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
from fleetroll_server.domain.late import OfferLate, StopLate
from fleetroll_server.domain.states import (
    ROLLOUT_TRANSITIONS,
    WAVE_TRANSITIONS,
    RolloutKind,
    RolloutState,
    RolloutTrigger,
    WaveState,
    WaveTrigger,
    transition,
)
from fleetroll_server.engine import late
from fleetroll_server.engine.actor import GATE, Actor
from fleetroll_server.engine.crowd import Room, look_again
from fleetroll_server.engine.holdings import forgive
from fleetroll_server.engine.listed import is_listed
from fleetroll_server.engine.mirroring import tell_parent
from fleetroll_server.engine.offers import offer_next
from fleetroll_server.engine.silence import count_away
from fleetroll_server.engine.wake import wake_staged
from fleetroll_server.engine.winding import clear_late, expire, wind_up

if TYPE_CHECKING:
    from fleetroll_server.engine.book import Book, Wave
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

MAX_STEPS = 1000
"""Steps of one transaction: a plan has at most 50 waves, and every step moves one of them on."""


async def go_on(tx: Tx, services: Services, book: Book, event: Event | None = None) -> None:
    """Let the rollout take the steps that are due, then write its rows.

    Hosts are touched up to the :class:`Room` of one transaction. When that is spent the engine goes on in the next one,
    so that a person's command gets in between.
    """
    event, room = event or Moved(), Room()
    for _ in range(MAX_STEPS):
        decision = decide(book.summary(), event, tx.now)
        if not decision.actions:
            break
        progressed = False
        for action in decision.actions:
            progressed = await _carry_out(tx, services, book, action, room) or progressed
        event = Moved()
        if room.is_spent:
            look_again(tx, services, book)
            break
        if not progressed:
            break
    tell_parent(tx, services, book)
    if book.room_made:
        await wake_staged(tx, services.sessions, book)
    await book.write(tx)


async def advance_by_person(tx: Tx, services: Services, book: Book) -> None:
    """Open the wave that waits for a person."""
    await go_on(tx, services, book, Advanced())


async def _carry_out(tx: Tx, services: Services, book: Book, action: Action, room: Room) -> bool:
    """Carry out one action; False when it changed nothing, so that the same would be decided again."""
    match action:
        case AwaitPerson(wave=number):
            _step(tx, book, book.wave(number), WaveTrigger.AWAIT)
        case OpenWave(wave=number):
            _step(tx, book, book.wave(number), WaveTrigger.OPEN)
            book.wave(number).set(opened_at=tx.now, moved_at=tx.now)
        case OfferHosts(wave=number, count=count):
            return await _offer(tx, services, book, book.wave(number), count, room)
        case ExpireHosts(wave=number):
            return await expire(tx, services, book, number, room)
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
        case Halt() | PauseForPerson():
            _stand(tx, book, action)
        case Complete() | OfferLate() | StopLate():
            return await _complete(tx, services, book, action, room)
        case other:
            assert_never(other)
    return True


async def _offer(tx: Tx, services: Services, book: Book, wave: Wave, count: int, room: Room) -> bool:
    """Offer to the next hosts of a wave; a release that is not listed any more is offered to nobody."""
    if await is_listed(tx, book):
        return await offer_next(tx, services, book, wave, count, room)
    _end_state(tx, book, RolloutTrigger.HALT, GATE, "the release is not listed any more", Code.YANKED)
    await wind_up(tx, services, book)
    return True


async def _complete(
    tx: Tx, services: Services, book: Book, action: Complete | OfferLate | StopLate, room: Room
) -> bool:
    """End the rollout, or go on with its late hosts; no more of them get a release that is not listed any more."""
    if isinstance(action, Complete):
        _end_state(tx, book, RolloutTrigger.COMPLETE, GATE, "every wave passed")
        await forgive(tx, book.scopes[-1], book.fleet_id)
        await late.begin(tx, book)
        await clear_late(tx, services, book)
        return True
    if isinstance(action, OfferLate):
        if await is_listed(tx, book):
            return await offer_next(tx, services, book, None, 1, room)
        action = StopLate(Code.YANKED, late.UNLISTED)
    late.stop(tx, book, action.code, GATE, action.reason)
    await wind_up(tx, services, book)
    return True


async def bake(tx: Tx, book: Book, *, up: bool) -> None:
    """Let the baking wave, if there is one, accumulate the time since its last tick; none when the server was down."""
    wave = book.current()
    if wave is None or wave.state is not WaveState.BAKING or book.state is not RolloutState.RUNNING:
        return
    result = gate(book.summary())
    if result is None:
        return
    ticked = tick(
        wave.summary().bake,
        tx.now,
        up=up and result.verdict is Verdict.PASS,
        away_without_goodbye=await count_away(tx, book, wave),
        max_failed=book.limits.max_failed,
    )
    wave.set(baked_seconds=ticked.seconds, bake_ticked_at=ticked.ticked_at)


def _step(tx: Tx, book: Book, wave: Wave, trigger: WaveTrigger) -> None:
    """Move a wave and record it."""
    state = transition(WAVE_TRANSITIONS, wave.state, trigger)
    wave.set(state=state.value)
    tx.emit(book.event("wave.state", GATE, message=f"wave {wave.number} is {state}"))


def _stand(tx: Tx, book: Book, action: Halt | PauseForPerson) -> None:
    """Let the rollout stand until a person decides; its wave stays as it is. One of a single host ends instead."""
    if book.kind is RolloutKind.DIRECT and isinstance(action, PauseForPerson):
        _end_state(tx, book, RolloutTrigger.CANCEL, GATE, action.evidence, Code.WAVE_NOT_PASSED)
    elif isinstance(action, Halt):
        _end_state(tx, book, RolloutTrigger.HALT, GATE, action.reason, action.code)
    else:
        reason = f"wave {action.wave}: {action.evidence}"
        _end_state(tx, book, RolloutTrigger.PAUSE, GATE, reason, Code.WAVE_NOT_PASSED)


def _end_state(tx: Tx, book: Book, trigger: RolloutTrigger, actor: Actor, reason: str, code: Code | str = "") -> None:
    """Move the rollout and record it."""
    book.set_state(tx, transition(ROLLOUT_TRANSITIONS, book.state, trigger), actor, reason, code)
