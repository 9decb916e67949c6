"""What people decide about a rollout: pause, resume, advance, cancel."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.version import Version
from fleetroll_server.catalogue.policies import require_above_floor
from fleetroll_server.domain import late as late_rules
from fleetroll_server.domain import people
from fleetroll_server.domain.approval import require_approved
from fleetroll_server.domain.limits import RolloutLimits
from fleetroll_server.domain.states import (
    BAD,
    WAVE_TRANSITIONS,
    AttemptState,
    RolloutState,
    RolloutTrigger,
    WaveState,
    WaveTrigger,
    transition,
)
from fleetroll_server.engine import late
from fleetroll_server.engine.advance import advance_by_person, go_on
from fleetroll_server.engine.book import Book, open_book
from fleetroll_server.engine.desire import ASSIGNMENT
from fleetroll_server.engine.holdings import forgive
from fleetroll_server.engine.listed import require_listed
from fleetroll_server.engine.moves import HOST
from fleetroll_server.engine.probing.resuming import begin_anew
from fleetroll_server.engine.suspended import is_suspended
from fleetroll_server.engine.wake import wake_staged
from fleetroll_server.engine.winding import wind_up
from fleetroll_server.gateway.convert_out import assignment
from fleetroll_server.recovery.state import refuse_while_recovering

if TYPE_CHECKING:
    from fleetroll_server.engine.actor import Actor
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx


async def pause(tx: Tx, services: Services, rollout_id: str, fleet_id: str, actor: Actor, reason: str) -> None:
    """Stop at once: after this commit there is no offer and no Go. Pausing twice is no error.

    A completed rollout stays that; what stops are its late hosts.

    Raises:
        RequestError: NOT_FOUND, or it is neither running nor paused, nor has late hosts (caller's fault).
    """
    book = await require_book(tx, rollout_id, fleet_id)
    if book.state is RolloutState.COMPLETED:
        if late_rules.pause(book.late):
            late.stop(tx, book, Code.PAUSED, actor, reason)
    elif book.state is not RolloutState.PAUSED:
        book.set_state(tx, people.stop(book.state, RolloutTrigger.PAUSE), actor, reason)
    await go_on(tx, services, book)


async def resume(
    tx: Tx, services: Services, rollout_id: str, fleet_id: str, actor: Actor, *, revision: int, reason: str
) -> None:
    """Continue a paused or halted rollout. After a halt what was bad until now fails its wave no more.

    Of a completed one the late hosts continue that a pause, the kill switch or a fault of the server stopped.

    Raises:
        RequestError: NOT_FOUND, SUSPENDED, STALE_DECISION, ROLLOUT_STATE, YANKED or BELOW_FLOOR; its stored limits
            can't be read
            (caller's fault).
    """
    book = await require_book(tx, rollout_id, fleet_id)
    require_seen(book, revision)
    await require_beginnable(tx, book)
    if book.state is RolloutState.COMPLETED:
        late_rules.resume(book.late)
        await refuse_while_suspended(tx, fleet_id)
        RolloutLimits.from_stored(book.row["limits"])  # else its late hosts would be cancelled for good
        late.go_again(tx, book, actor, reason)
        await on_again(tx, services, book)
        return
    state = people.resume(book.state)
    require_approved(required=book.row["require_approval"], approved=book.row["approved_at"] is not None)
    await refuse_while_suspended(tx, fleet_id)
    RolloutLimits.from_stored(book.row["limits"])  # refused without every limit, before a state has changed
    if book.state is RolloutState.HALTED or _stands_failed(book):
        await forgive_all(tx, book)
    await set_running(tx, book, state, actor, reason)
    await on_again(tx, services, book)


async def advance(
    tx: Tx, services: Services, rollout_id: str, fleet_id: str, actor: Actor, *, revision: int, reason: str
) -> None:
    """Open the wave that waits for a person, or let a wave pass whose gate can't tell.

    Raises:
        RequestError: NOT_FOUND, STALE_DECISION, ROLLOUT_STATE or WAVE_NOT_PASSED; NOT_ALLOWED: the wave must be
            approved (caller's fault).
    """
    book = await require_book(tx, rollout_id, fleet_id)
    require_seen(book, revision)
    wave = book.wave(people.require_waiting_wave(book.summary()).number)
    people.require_advance(book.summary())
    tx.emit(book.event("rollout.advanced", actor, reason, message=f"wave {wave.number}"))
    if book.state is RolloutState.PAUSED:
        await refuse_while_suspended(tx, fleet_id)
        wave.set(state=transition(WAVE_TRANSITIONS, wave.state, WaveTrigger.PASS).value)
        wave.passed(tx.now, f"passed by {actor.id}: {reason}")
        book.resume_clock(tx.now)
        await begin_anew(tx, book)
        book.set_state(tx, people.resume(book.state), actor, reason)
    await advance_by_person(tx, services, book)


async def cancel(
    tx: Tx, services: Services, rollout_id: str, fleet_id: str, actor: Actor, *, reason: str, let_finish: bool
) -> None:
    """End the rollout. Before Go hosts stop for free; after it they go back before their switch, or finish.

    From this commit on there is no offer and no Go; hosts that are too many for one transaction are told after it.
    A completed rollout stays that; its late hosts are cancelled.

    Raises:
        RequestError: NOT_FOUND, or it has ended in another way and has no late hosts (caller's fault).
    """
    book = await require_book(tx, rollout_id, fleet_id)
    if book.state is RolloutState.COMPLETED:
        if late_rules.cancel(book.late):
            book.row["let_finish"] = let_finish
            late.stop(tx, book, Code.CANCELLED_BY, actor, reason)
            await wind_up(tx, services, book)
            await go_on(tx, services, book)
        return
    if book.state is RolloutState.CANCELLED:
        return
    state = people.stop(book.state, RolloutTrigger.CANCEL)
    book.row["let_finish"] = let_finish
    book.set_state(tx, state, actor, reason, Code.CANCELLED_BY)
    await forgive(tx, book.scopes[-1], book.fleet_id)
    await wind_up(tx, services, book)
    await go_on(tx, services, book)


async def on_again(tx: Tx, services: Services, book: Book) -> None:
    """Let hosts go on that stood while the rollout did."""
    await _send_again(tx, services, book)
    await go_on(tx, services, book)
    await wake_staged(tx, services.sessions, book)


async def set_running(tx: Tx, book: Book, state: RolloutState, actor: Actor, reason: str) -> None:
    """Let a rollout that stood go on: no time counts in which it did, and its checks are read anew."""
    book.resume_clock(tx.now)
    await begin_anew(tx, book)
    book.row["begun"] = True
    if (wave := book.current()) is not None:
        wave.set(moved_at=tx.now)
    book.set_state(tx, state, actor, reason)


async def require_beginnable(tx: Tx, book: Book) -> None:
    """Return when hosts may begin with the rollout's release; each host of a way back is asked for on its own.

    Raises:
        RequestError: YANKED or BELOW_FLOOR (caller's fault).
    """
    if not book.row["goes_back"]:
        await require_listed(tx, book.row["release_id"])
        await require_above_floor(tx.connection, book.row["product"], Version.parse(book.row["version"]))


async def refuse_while_suspended(tx: Tx, fleet_id: str) -> None:
    """Let nothing run on under the kill switch.

    Raises:
        RequestError: SUSPENDED or RECOVERY (caller's fault).
    """
    await refuse_while_recovering(tx.connection, "no rollout goes on")
    if await is_suspended(tx, fleet_id):
        message = "the kill switch is pressed for this fleet"
        raise RequestError(message, code=Code.SUSPENDED, remedy="lift it first")


async def require_book(tx: Tx, rollout_id: str, fleet_id: str) -> Book:
    """Return the locked rollout.

    Raises:
        RequestError: NOT_FOUND (caller's fault).
    """
    book = await open_book(tx, rollout_id, fleet_id)
    if book is None:
        message = f"rollout_id: there is no rollout {rollout_id[:80]!r}"
        raise RequestError(message, code=Code.NOT_FOUND, remedy="list the rollouts", field="rollout_id")
    return book


async def forgive_all(tx: Tx, book: Book) -> None:
    """Reopen the failed wave; what was bad until now, in every wave, counts no more."""
    await forgive(tx, book.scopes[-1], book.fleet_id)
    for wave in book.waves:
        wave.counters = wave.counters.forgive()
        wave.set()
    bad = (HOST.c.rollout_id == book.id, HOST.c.fleet_id == book.fleet_id, HOST.c.state.in_([s.value for s in BAD]))
    await tx.execute(sa.update(HOST).where(*bad).values(forgiven=True))
    current = book.current()
    if current is not None and current.state is WaveState.FAILED:
        current.set(state=transition(WAVE_TRANSITIONS, current.state, WaveTrigger.REOPEN).value, ended_at=None)


def _stands_failed(book: Book) -> bool:
    """Tell whether a paused rollout had been halted before."""
    wave = book.current()
    return wave is not None and wave.state is WaveState.FAILED


async def _send_again(tx: Tx, services: Services, book: Book) -> None:
    """Push the offers that a host did not take while the rollout stood."""
    here = sa.and_(
        ASSIGNMENT.c.agent_id == HOST.c.agent_id,
        ASSIGNMENT.c.product == HOST.c.product,
        ASSIGNMENT.c.fleet_id == HOST.c.fleet_id,
        ASSIGNMENT.c.generation == HOST.c.generation,
    )
    query = (
        sa.select(ASSIGNMENT)
        .select_from(ASSIGNMENT.join(HOST, here))
        .where(
            HOST.c.rollout_id == book.id,
            HOST.c.fleet_id == book.fleet_id,
            HOST.c.state == AttemptState.OFFERED.value,
        )
    )
    for row in (await tx.execute(query)).mappings().all():
        message = assignment(row)
        tx.after_commit(partial(services.sessions.send, row["agent_id"], message))


def require_seen(book: Book, given: int) -> None:
    """Refuse a decision on stale data.

    Raises:
        RequestError: REVISION or STALE_DECISION (caller's fault).
    """
    changed = f"the rollout is {book.row['state']} since {book.row['state_changed_at']:%H:%M:%SZ}"
    if book.row["state_reason"]:
        changed += f" ({book.row['state_reason'][:200]})"
    people.require_revision(given, book.row["revision"], changed)
