"""What time alone brings about: deadlines, bakes, the end of waiting. Runs every second; nothing is later than 5 s."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.deadlines import expiry
from fleetroll_server.domain.states import FINAL, AttemptState, RolloutState, Trigger
from fleetroll_server.engine.actor import DEADLINE
from fleetroll_server.engine.advance import bake, expire, go_on
from fleetroll_server.engine.book import ROLLOUT, Book, open_book
from fleetroll_server.engine.desire import desire
from fleetroll_server.engine.holdings import release_broken
from fleetroll_server.engine.moves import AGENT, HOST, move

if TYPE_CHECKING:
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

AT_ONCE = 100
"""Deadlines per transaction; the rest comes in the next one."""


async def due_hosts(tx: Tx, services: Services) -> int:
    """Let every passed deadline speak; return how many there were."""
    query = (
        sa.select(HOST.c.rollout_id, HOST.c.agent_id, HOST.c.fleet_id)
        .where(HOST.c.deadline <= tx.now, HOST.c.fleet_id != "")
        .order_by(HOST.c.rollout_id, HOST.c.deadline)
        .limit(AT_ONCE)
    )
    due = (await tx.execute(query)).all()
    books: dict[str, Book] = {}
    for found in due:
        book = books.get(found.rollout_id) or await open_book(tx, found.rollout_id, found.fleet_id)
        if book is None:
            continue
        books[book.id] = book
        mine = (HOST.c.rollout_id == book.id, HOST.c.agent_id == found.agent_id, HOST.c.fleet_id == book.fleet_id)
        row = (await tx.execute(sa.select(HOST).where(*mine))).mappings().one()
        if row["deadline"] is not None and row["deadline"] <= tx.now:
            await _let_speak(tx, services, book, dict(row))
    for book in books.values():
        await go_on(tx, services, book)
    return len(due)


async def _let_speak(tx: Tx, services: Services, book: Book, host: dict[str, Any]) -> None:
    """Do what the passed deadline of one host says."""
    rule = expiry(AttemptState(host["state"]))
    if rule is None:
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
    """Return id and fleet of every rollout that goes on by itself, and of completed ones that hosts are late for."""
    late = (
        sa.select(HOST.c.rollout_id)
        .where(
            HOST.c.rollout_id == ROLLOUT.c.id,
            HOST.c.fleet_id == ROLLOUT.c.fleet_id,
            HOST.c.state.not_in([state.value for state in FINAL]),
        )
        .exists()
    )
    query = sa.select(ROLLOUT.c.id, ROLLOUT.c.fleet_id).where(
        ROLLOUT.c.fleet_id != "",
        sa.or_(
            ROLLOUT.c.state == RolloutState.RUNNING.value,
            sa.and_(ROLLOUT.c.state == RolloutState.COMPLETED.value, ROLLOUT.c.not_after <= tx.now, late),
        ),
    )
    return [(row.id, row.fleet_id) for row in (await tx.execute(query)).all()]


async def look(tx: Tx, services: Services, rollout_id: str, fleet_id: str, *, up: bool) -> None:
    """Look at one rollout again: its bake (``up``: this server was there since the last tick), the end of its time."""
    book = await open_book(tx, rollout_id, fleet_id)
    if book is None:
        return
    if book.state is RolloutState.COMPLETED:
        for wave in book.waves:
            await expire(tx, services, book, wave.number)
        await book.write(tx)
        return
    await _try_again(tx, book)
    await bake(tx, book, up=up)
    await go_on(tx, services, book)


async def _try_again(tx: Tx, book: Book) -> None:
    """Let hosts that another rollout held be offered again."""
    held = (
        HOST.c.rollout_id == book.id,
        HOST.c.fleet_id == book.fleet_id,
        HOST.c.state == AttemptState.PENDING.value,
        HOST.c.waiting == Code.UPDATE_IN_PROGRESS.value,
    )
    await tx.execute(sa.update(HOST).where(*held).values(waiting=""))
