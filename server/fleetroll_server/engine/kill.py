"""The kill switch: a row that every offer and every Go reads, a frame to every agent, running rollouts paused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.states import RolloutState
from fleetroll_server.engine.advance import go_on
from fleetroll_server.engine.book import ROLLOUT, open_book
from fleetroll_server.gateway.convert_out import suspension
from fleetroll_server.gateway.suspensions import GLOBAL_SCOPE, SUSPENSION, fleet_scope
from fleetroll_server.store.tables import BudgetRow, table_of
from fleetroll_server.store.tx import EventFact

if TYPE_CHECKING:
    from fleetroll_server.engine.actor import Actor
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

BUDGET = table_of(BudgetRow)


async def press(tx: Tx, services: Services, fleet_id: str, actor: Actor, reason: str) -> str:
    """Suspend a fleet, or everything for an empty ``fleet_id``; return the scope. Pressing twice is no error."""
    scope = await _switch(tx, services, fleet_id, actor, reason, active=True)
    running = sa.select(ROLLOUT.c.id, ROLLOUT.c.fleet_id).where(ROLLOUT.c.state == RolloutState.RUNNING.value)
    running = running.where(ROLLOUT.c.fleet_id == fleet_id) if fleet_id else running.where(ROLLOUT.c.fleet_id != "")
    for row in (await tx.execute(running.order_by(ROLLOUT.c.id))).all():
        book = await open_book(tx, row.id, row.fleet_id)
        if book is not None:
            book.set_state(tx, RolloutState.PAUSED, actor, reason or "the kill switch was pressed", Code.SUSPENDED)
            await go_on(tx, services, book)
    return scope


async def lift(tx: Tx, services: Services, fleet_id: str, actor: Actor, reason: str) -> str:
    """End a suspension; return the scope. Nothing starts by it."""
    return await _switch(tx, services, fleet_id, actor, reason, active=False)


async def _switch(tx: Tx, services: Services, fleet_id: str, actor: Actor, reason: str, *, active: bool) -> str:
    """Write the row and tell every agent of the scope after the commit."""
    scope = fleet_scope(fleet_id) if fleet_id else GLOBAL_SCOPE
    which = (SUSPENSION.c.scope == scope, SUSPENSION.c.fleet_id == fleet_id)
    known = (await tx.execute(sa.select(SUSPENSION).where(*which).with_for_update())).mappings().one_or_none()
    epoch = (known["epoch"] if known is not None else 0) + 1
    values: dict[str, Any] = {
        "epoch": epoch,
        "active": active,
        "actor_kind": actor.kind,
        "actor_id": actor.id,
        "reason": reason,
        "decided_at": tx.now,
        "in_use": await _in_use(tx, scope, fleet_id),
    }
    if known is not None:
        await tx.execute(sa.update(SUSPENSION).where(*which).values(**values))
    else:
        await tx.execute(sa.insert(SUSPENSION).values(scope=scope, fleet_id=fleet_id, **values))
    kind = "kill_switch.pressed" if active else "kill_switch.lifted"
    tx.emit(
        EventFact(fleet_id=fleet_id, kind=kind, actor_kind=actor.kind, actor_id=actor.id, reason=reason, message=scope)
    )
    frame = suspension(scope, epoch, active=active)
    tx.after_commit(
        lambda: services.sessions.broadcast(frame, lambda session: not fleet_id or session.key.fleet_id == fleet_id)
    )
    return scope


async def _in_use(tx: Tx, scope: str, fleet_id: str) -> int:
    """Return how many hosts of the scope are past Go."""
    query = sa.select(BUDGET.c.in_use).where(BUDGET.c.scope == scope, BUDGET.c.fleet_id == fleet_id)
    return (await tx.execute(query)).scalar_one_or_none() or 0
