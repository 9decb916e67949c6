"""Appends to ``stops.log`` what a crash has kept out of it: between a stop's COMMIT and its line."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from fleetroll_common.values.errors import RequestError
from fleetroll_server.recovery.stops import KINDS, STATES, Stop, append, read_stops
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import EventRow, table_of

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_server.services import Services

EVENT = table_of(EventRow)
PAGE = 1000
NAMES = ("kind", "fleet_id", "actor_kind", "actor_id", "reason", "code", "rollout_id", "agent_id", "message")
_log = structlog.get_logger(__name__)


async def complete_log(services: Services) -> int:
    """Append every stop of the database that is above the log's last one; return how many. A disk's refusal is logged.

    Raises:
        StoreError: the database can't be read (our fault).
    """
    path, incarnation = services.settings.stops_log or services.folder.stops, services.incarnation
    count = 0
    try:
        last = await asyncio.to_thread(_last, path, incarnation)
        while page := await _above(services, last):
            await asyncio.to_thread(append, path, page)
            last, count = page[-1].sequence, count + len(page)
    except (OSError, RequestError) as error:
        _log.error("stops_log.not_completed", path=str(path), reason=str(error))
    if count:
        _log.warning("stops_log.completed", stops=count)
    return count


def _last(path: Path, incarnation: str) -> int:
    """Return the highest sequence of this incarnation; 0 without any."""
    if not path.exists():
        return 0
    stops, _damaged = read_stops(path)
    return max((stop.sequence for stop in stops if stop.incarnation == incarnation), default=0)


async def _above(services: Services, last: int) -> list[Stop]:
    """Return the next stops of the database, oldest first."""
    states = sa.or_(EVENT.c.kind != "rollout.state", EVENT.c.message.in_([state.value for state in STATES]))
    names = ("sequence", "occurred_at", "facts", *NAMES)
    query = sa.select(*(EVENT.c[name] for name in names)).where(
        EVENT.c.sequence > last, EVENT.c.kind.in_(KINDS), states
    )
    query = query.order_by(EVENT.c.sequence).limit(PAGE)
    async with services.store.read() as connection:
        rows = (await connection.execute(every_fleet(query, "the log is of the whole database"))).mappings().all()
    return [
        Stop(
            row["sequence"],
            services.incarnation,
            row["occurred_at"],
            facts=dict(row["facts"]),
            **{name: str(row[name]) for name in NAMES},
        )
        for row in rows
    ]
