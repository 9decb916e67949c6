"""The log of committed facts: where it stands, what comes after a place in it, what it says of one subject.

Sequences are taken as the last lock of a transaction and have no gaps, so whoever has seen all up to a sequence has
missed nothing that is committed with a lower one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.outcomes import EVENT_COUNTER
from fleetroll_server.store.tables import CounterRow, EventRow, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

EVENT = table_of(EventRow)
_COUNTER = table_of(CounterRow)
FOR_ITS_OWN = "each watcher is handed what concerns its own fleets"
NO_FLEET = ""
"""The fleet of events that concern no single one: for callers that are bound to none."""
FOR_EVERYBODY = "kill_switch."
"""Kinds of these that concern each fleet, and whoever sees one."""


async def position(connection: AsyncConnection) -> int:
    """Return the sequence of the newest event, 0 where nothing happened yet."""
    query = sa.select(_COUNTER.c.value).where(_COUNTER.c.name == EVENT_COUNTER)
    return int((await connection.execute(query)).scalar_one())


async def reaches_back_to(connection: AsyncConnection, sequence: int) -> bool:
    """Tell whether every event after ``sequence`` is there still."""
    query = every_fleet(sa.select(sa.func.min(EVENT.c.sequence)), FOR_ITS_OWN)
    oldest = (await connection.execute(query)).scalar_one()
    return sequence >= (await position(connection) if oldest is None else oldest - 1)


async def after(connection: AsyncConnection, sequence: int, limit: int) -> list[RowMapping]:
    """Return at most ``limit`` events after ``sequence``, oldest first, of every fleet."""
    query = sa.select(EVENT).where(EVENT.c.sequence > sequence).order_by(EVENT.c.sequence).limit(limit)
    return list((await connection.execute(every_fleet(query, FOR_ITS_OWN))).mappings().all())


async def newest(
    connection: AsyncConnection,
    fleets: Sequence[str],
    *,
    of_none: bool,
    rollout_id: str = "",
    agent_id: str = "",
    before: int | None = None,
    limit: int,
) -> list[RowMapping]:
    """Return events of these fleets, and those that concern every fleet, newest first.

    Args:
        connection: a snapshot.
        fleets: of the caller.
        of_none: whether all events that belong to no fleet are listed as well.
        rollout_id: only of this rollout; empty for all.
        agent_id: only of this agent; empty for all.
        before: the sequence of the last page's last event.
        limit: at most so many.
    """
    query = sa.select(EVENT).where(EVENT.c.fleet_id.in_([*fleets, NO_FLEET]))
    if not of_none:
        for_everybody = EVENT.c.kind.startswith(FOR_EVERYBODY, autoescape=True)
        query = query.where(sa.or_(EVENT.c.fleet_id != NO_FLEET, for_everybody))
    if rollout_id:
        query = query.where(EVENT.c.rollout_id == rollout_id)
    if agent_id:
        query = query.where(EVENT.c.agent_id == agent_id)
    if before is not None:
        query = query.where(EVENT.c.sequence < before)
    return list((await connection.execute(query.order_by(EVENT.c.sequence.desc()).limit(limit))).mappings().all())
