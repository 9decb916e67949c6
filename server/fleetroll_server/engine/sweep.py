"""What time alone brings about: deadlines, bakes, the end of waiting. Runs every second; nothing is later than 5 s."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.deadlines import expiry
from fleetroll_server.domain.states import (
    ROLLOUT_TRANSITIONS,
    AttemptState,
    RolloutState,
    RolloutTrigger,
    Trigger,
    transition,
)
from fleetroll_server.engine import beginning, late, retrying, silence
from fleetroll_server.engine.actor import DEADLINE, GATE
from fleetroll_server.engine.advance import bake, go_on
from fleetroll_server.engine.book import ROLLOUT, Book, open_book
from fleetroll_server.engine.crowd import ONE_BY_ONE
from fleetroll_server.engine.desire import desire
from fleetroll_server.engine.holdings import release_broken
from fleetroll_server.engine.mirroring import mirror
from fleetroll_server.engine.moves import AGENT, CLAIM, HOST, WINDOW, move, note
from fleetroll_server.engine.winding import clear_late, has_hosts_left, is_over_for_hosts, wind_up
from fleetroll_server.store.fleets import every_fleet

if TYPE_CHECKING:
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

AT_ONCE = ONE_BY_ONE
"""Deadlines per transaction; the rest comes in the next one."""


async def due_rollouts(tx: Tx) -> list[tuple[str, str]]:
    """Return id and fleet of every rollout with a host whose deadline has passed."""
    query = (
        sa.select(HOST.c.rollout_id, HOST.c.fleet_id).where(HOST.c.deadline <= tx.now).distinct().order_by("rollout_id")
    )
    found = (await tx.execute(every_fleet(query, "time goes by for all"))).all()
    return [(row.rollout_id, row.fleet_id) for row in found]


async def due_hosts(tx: Tx, services: Services, rollout_id: str, fleet_id: str) -> int:
    """Let the passed deadlines of one rollout speak, at most :data:`AT_ONCE`; return how many there were.

    One rollout alone: each that is looked at goes on with as many of its hosts as a transaction may touch.
    """
    book = await open_book(tx, rollout_id, fleet_id)
    if book is None:
        return 0
    mine = (HOST.c.rollout_id == book.id, HOST.c.fleet_id == book.fleet_id, HOST.c.deadline <= tx.now)
    query = sa.select(HOST.c.agent_id).where(*mine).order_by(HOST.c.deadline).limit(AT_ONCE)
    due = (await tx.execute(query)).scalars().all()
    for agent_id in due:
        query = sa.select(HOST).where(*mine, HOST.c.agent_id == agent_id)
        row = (await tx.execute(query)).mappings().one_or_none()
        if row is not None:  # else the word of another one was its own too
            await _let_speak(tx, services, book, dict(row))
    await go_on(tx, services, book)
    return len(due)


async def _let_speak(tx: Tx, services: Services, book: Book, host: dict[str, Any]) -> None:
    """Do what the passed deadline of one host says."""
    state = AttemptState(host["state"])
    if state is AttemptState.PENDING:  # a late host that was held: its next answer tells whether it still is
        await note(tx, book, host, waiting="", deadline=None)
        return
    rule = expiry(state)
    if rule is None:  # no time runs in this state, but until a window opens: left alone, it would be due for ever
        opened = {"waiting": "", "retry_at": None} if host["waiting"] == WINDOW else {}
        await note(tx, book, host, deadline=None, **opened)
        return
    if state is AttemptState.SUCCEEDED and not await silence.is_bad(tx, book, host):
        await note(tx, book, host, deadline=None)
        return
    await move(tx, book, host, rule.trigger, DEADLINE, code=rule.code.value, message=rule.message)
    if rule.trigger is Trigger.LOSE and await _is_revoked(tx, host):
        await release_broken(tx, host["agent_id"], book.fleet_id, host["product"])
    if rule.trigger is Trigger.FAIL:
        await desire(tx, services.sessions, book, host["agent_id"], "", DEADLINE, code=rule.code.value)


async def _is_revoked(tx: Tx, host: dict[str, Any]) -> bool:
    """Tell whether the host can't come back: a revoked one is out of every budget but its rollout's."""
    mine = (AGENT.c.id == host["agent_id"], AGENT.c.fleet_id == host["fleet_id"])
    return bool((await tx.execute(sa.select(AGENT.c.revoked).where(*mine))).scalar_one_or_none())


async def running_rollouts(tx: Tx) -> list[tuple[str, str]]:
    """Return id and fleet of every rollout that time moves: open ones, and ended ones that hosts have to leave."""
    open_now = ROLLOUT.c.state.in_([RolloutState.RUNNING.value, RolloutState.PAUSED.value])
    moved = sa.or_(open_now, beginning.waits(ROLLOUT, tx.now), has_hosts_left(ROLLOUT, tx.now))
    query = sa.select(ROLLOUT.c.id, ROLLOUT.c.fleet_id).where(moved)
    return [(row.id, row.fleet_id) for row in (await tx.execute(every_fleet(query, "time goes by for all"))).all()]


async def look(tx: Tx, services: Services, rollout_id: str, fleet_id: str, *, up: bool) -> None:
    """Look at one rollout again: silent hosts, its bake, its end. ``up``: this server was there since the last tick."""
    book = await open_book(tx, rollout_id, fleet_id)
    if book is None or await beginning.come(tx, services, book):
        return
    if not is_over_for_hosts(book):
        await retrying.queue_next(tx, services, book)
        await silence.watch(tx, book)
        await _try_again(tx, book)
        await bake(tx, book, up=up)
    elif book.offers:
        await _try_again(tx, book)
    await _go_on(tx, services, book)


async def carry_on(tx: Tx, services: Services, rollout_id: str, fleet_id: str) -> None:
    """Go on where the transaction before had touched as many hosts as one may."""
    book = await open_book(tx, rollout_id, fleet_id)
    if book is None:
        return
    if book.state is RolloutState.COMPLETED:
        await clear_late(tx, services, book)
    await retrying.queue_next(tx, services, book)
    await _go_on(tx, services, book)


async def _go_on(tx: Tx, services: Services, book: Book) -> None:
    """Take the next steps of an open rollout, or the next hosts out of one that is over for them."""
    if is_over_for_hosts(book):
        await wind_up(tx, services, book)
    if book.state is RolloutState.ROLLING_BACK:
        await mirror(tx, book)
    await go_on(tx, services, book)


async def halt(rollout_id: str, fleet_id: str, what: str, tx: Tx) -> None:
    """Let a rollout stand that can't be looked at: what isn't watched must not spread. Late hosts may be resumed."""
    book = await open_book(tx, rollout_id, fleet_id)
    if book is None:
        return
    reason = f"looking at it failed ({what}): see the server's log"
    if RolloutTrigger.HALT in ROLLOUT_TRANSITIONS[book.state]:
        state = transition(ROLLOUT_TRANSITIONS, book.state, RolloutTrigger.HALT)
        book.set_state(tx, state, GATE, f"{reason}; cancel it", Code.INTERNAL)
    elif book.state is RolloutState.COMPLETED and book.late.stopped is None and book.late.stoppable > 0:
        late.stop(tx, book, Code.INTERNAL, GATE, f"late hosts: {reason}; resume or cancel them")
    await book.write(tx)


async def _try_again(tx: Tx, book: Book) -> None:
    """Let hosts that another rollout held, and holds no more, be offered again."""
    held_still = (
        sa.select(CLAIM.c.agent_id)
        .where(
            CLAIM.c.agent_id == HOST.c.agent_id,
            CLAIM.c.product == HOST.c.product,
            CLAIM.c.fleet_id == HOST.c.fleet_id,
            CLAIM.c.rollout_id != HOST.c.rollout_id,
        )
        .exists()
    )
    waiting = (
        HOST.c.rollout_id == book.id,
        HOST.c.fleet_id == book.fleet_id,
        HOST.c.state == AttemptState.PENDING.value,
        HOST.c.waiting == Code.UPDATE_IN_PROGRESS.value,
        sa.not_(held_still),
    )
    await tx.execute(sa.update(HOST).where(*waiting).values(waiting=""))
