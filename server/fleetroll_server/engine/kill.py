"""The kill switch: a row that every offer and every Go reads, a frame to every agent, running rollouts paused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.states import BEFORE_GO, PAST_GO, AttemptState, RolloutState
from fleetroll_server.engine import late
from fleetroll_server.engine.advance import go_on
from fleetroll_server.engine.book import ROLLOUT, Book, open_book
from fleetroll_server.engine.moves import HOST
from fleetroll_server.gateway.convert_out import suspension
from fleetroll_server.gateway.suspensions import GLOBAL_SCOPE, SUSPENSION, fleet_scope
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import BudgetRow, table_of
from fleetroll_server.store.tx import EventFact

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import RowMapping

    from fleetroll_server.engine.actor import Actor
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

BUDGET = table_of(BudgetRow)


async def press(tx: Tx, services: Services, fleet_id: str, actor: Actor, reason: str) -> str:
    """Suspend a fleet, or everything for an empty ``fleet_id``; return the scope. Pressing twice is no error.

    Locks are taken in the order of Go and hello: rollouts, then the switch. A rollout that was set running until the
    switch was locked is found by the second look.
    """
    running = offering(fleet_id, tx.now)
    await tx.execute(running.with_for_update())
    scope = await _switch(tx, services, fleet_id, actor, reason, active=True)
    for row in (await tx.execute(running)).all():
        book = await open_book(tx, row.id, row.fleet_id)
        if book is not None:
            _hold(tx, book, actor, reason or "the kill switch was pressed")
            await go_on(tx, services, book)
    return scope


async def lift(tx: Tx, services: Services, fleet_id: str, actor: Actor, reason: str, epoch: int = 0) -> str:
    """End a suspension; return the scope. Nothing starts by it.

    Raises:
        RequestError: STALE_DECISION: it is not at this epoch any more; 0 stands for any (caller's fault).
    """
    return await _switch(tx, services, fleet_id, actor, reason, active=False, seen=epoch)


def _hold(tx: Tx, book: Book, actor: Actor, reason: str) -> None:
    """Pause a rollout, or the late hosts of one that is completed."""
    if book.state is RolloutState.RUNNING:
        book.set_state(tx, RolloutState.PAUSED, actor, reason, Code.SUSPENDED)
    elif book.late.stopped is None:
        late.stop(tx, book, Code.SUSPENDED, actor, reason)


def offering(fleet_id: str, now: datetime) -> sa.Select[tuple[str, str]]:
    """Return the query for the rollouts of a scope that offer something, in the order in which they are locked.

    All fleets' for an empty ``fleet_id``. A lost host may come back and ask for Go until not_after.
    """
    here = (HOST.c.rollout_id == ROLLOUT.c.id, HOST.c.fleet_id == ROLLOUT.c.fleet_id)
    not_ended = sorted(state.value for state in (BEFORE_GO | PAST_GO) - {AttemptState.LOST})
    lost = (HOST.c.state == AttemptState.LOST.value, HOST.c.ended_at.is_(None))
    late_ones = sa.and_(
        ROLLOUT.c.state == RolloutState.COMPLETED.value,
        ROLLOUT.c.late_stop_code == "",
        sa.or_(
            sa.select(HOST.c.rollout_id).where(*here, HOST.c.state.in_(not_ended)).exists(),
            sa.and_(ROLLOUT.c.not_after > now, sa.select(HOST.c.rollout_id).where(*here, *lost).exists()),
        ),
    )
    offering = sa.or_(ROLLOUT.c.state == RolloutState.RUNNING.value, late_ones)
    query = sa.select(ROLLOUT.c.id, ROLLOUT.c.fleet_id).where(offering).order_by(ROLLOUT.c.id)
    return query.where(ROLLOUT.c.fleet_id == fleet_id) if fleet_id else every_fleet(query, "the switch of all fleets")


async def _switch(
    tx: Tx, services: Services, fleet_id: str, actor: Actor, reason: str, *, active: bool, seen: int = 0
) -> str:
    """Write the row and tell every agent of the scope after the commit.

    Raises:
        RequestError: STALE_DECISION: the row is at another epoch than was ``seen``; 0 for any (caller's fault).
    """
    scope = fleet_scope(fleet_id) if fleet_id else GLOBAL_SCOPE
    which = (SUSPENSION.c.scope == scope, SUSPENSION.c.fleet_id == fleet_id)
    known = (await tx.execute(sa.select(SUSPENSION).where(*which).with_for_update())).mappings().one_or_none()
    stands = known["epoch"] if known is not None else 0
    if seen not in {0, stands}:
        raise _stale(seen, known)
    epoch = stands + 1
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


def _stale(seen: int, known: RowMapping | None) -> RequestError:
    """Return the refusal of a decision on a switch that is no longer as it was seen."""
    current, what = 0, "it was never pressed"
    if known is not None and known["epoch"]:
        done = "pressed" if known["active"] else "lifted"
        current, what = known["epoch"], f"{done} by {known['actor_id']} at {known['decided_at']:%H:%M:%SZ}"
    message = f"epoch: {seen} is not the newest, {current}: {what}"
    remedy = "read the kill switch again and decide anew"
    return RequestError(message, code=Code.STALE_DECISION, remedy=remedy, current=str(current))


async def _in_use(tx: Tx, scope: str, fleet_id: str) -> int:
    """Return how many hosts of the scope are past Go."""
    query = sa.select(BUDGET.c.in_use).where(BUDGET.c.scope == scope, BUDGET.c.fleet_id == fleet_id)
    return (await tx.execute(query)).scalar_one_or_none() or 0
