"""A new incarnation: what this database said before may have been forgotten by it, and nothing is started for now.

One transaction: the incarnation, the recovery, every agent not greeted yet, every rollout that ran paused. Locks are
taken as by the kill switch: rollouts, then the switch's rows, which every offer and every Go reads before it looks
whether there is a recovery.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.states import RolloutState
from fleetroll_server.engine import late
from fleetroll_server.engine.actor import Actor
from fleetroll_server.engine.book import ROLLOUT, open_book
from fleetroll_server.engine.kill import offering
from fleetroll_server.recovery.state import INCARNATION_KEY, RECOVERY_KEY, incarnation_of, write_meta
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, SuspensionRow, table_of
from fleetroll_server.store.tx import EventFact

if TYPE_CHECKING:
    from fleetroll_server.recovery.state import Recovery
    from fleetroll_server.store import Tx

AGENT = table_of(AgentRow)
SUSPENSION = table_of(SuspensionRow)
ACTOR = Actor("engine", "recovery")
WHOLE = "the whole database went back"


def next_incarnation(fresh_id: str, before: str) -> str:
    """Return the incarnation that follows ``before``: another id, and a count of how many there were."""
    count = before.rpartition(".")[2]
    return f"{fresh_id}.{int(count) + 1 if count.isdecimal() else 2}"


async def mint(tx: Tx, fresh_id: str, recovery: Recovery) -> str:
    """Give the database a new incarnation and let its recovery begin; return the incarnation."""
    reason = f"recovery: the database {recovery.cause}"
    running = offering("", tx.now)
    await tx.execute(running.with_for_update())
    await tx.execute(_scheduled().with_for_update())
    await tx.execute(every_fleet(sa.select(SUSPENSION.c.scope).order_by(SUSPENSION.c.scope).with_for_update(), WHOLE))
    incarnation = next_incarnation(fresh_id, await incarnation_of(tx.connection))
    await write_meta(tx, INCARNATION_KEY, incarnation)
    await write_meta(tx, RECOVERY_KEY, recovery.to_json())
    await tx.execute(every_fleet(sa.update(AGENT).values(greeted=False, stale_streak=0, repeat_streak=0), WHOLE))
    for row in (await tx.execute(running)).all():
        book = await open_book(tx, row.id, row.fleet_id)
        if book is None:
            continue
        if book.state is RolloutState.RUNNING:
            book.set_state(tx, RolloutState.PAUSED, ACTOR, reason, Code.RECOVERY)
        elif book.late.stopped is None:
            late.stop(tx, book, Code.RECOVERY, ACTOR, reason)
        await book.write(tx)
    await _pause_scheduled(tx, reason)
    tx.emit(EventFact(fleet_id="", kind="recovery.began", actor_kind=ACTOR.kind, actor_id=ACTOR.id, reason=reason))
    return incarnation


async def _pause_scheduled(tx: Tx, reason: str) -> None:
    """Pause what would begin by itself: it may have been cancelled in the time that is lost."""
    for row in (await tx.execute(_scheduled())).all():
        book = await open_book(tx, row.id, row.fleet_id)
        if book is not None:
            book.set_state(tx, RolloutState.PAUSED, ACTOR, reason, Code.RECOVERY)
            await book.write(tx)


def _scheduled() -> sa.Select[tuple[str, str]]:
    """Return the query for the rollouts that wait for their time, in the order in which they are locked."""
    query = sa.select(ROLLOUT.c.id, ROLLOUT.c.fleet_id).where(ROLLOUT.c.state == RolloutState.SCHEDULED.value)
    return every_fleet(query.order_by(ROLLOUT.c.id), WHOLE)
