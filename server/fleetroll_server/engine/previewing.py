"""A preview: the plan of a start, made by the start's own functions, in a snapshot that can't write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.domain.preview import Announced, Preview, preview
from fleetroll_server.domain.states import AttemptState
from fleetroll_server.engine import reads
from fleetroll_server.engine.book import ROLLOUT
from fleetroll_server.engine.moves import AGENT, HOST
from fleetroll_server.engine.presence import is_online
from fleetroll_server.engine.starting import draft, left_out_of, release_facts
from fleetroll_server.recovery.state import is_recovering
from fleetroll_server.store.tx import Tx

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.catalogue.values import Release
    from fleetroll_server.domain.limits import RolloutLimits
    from fleetroll_server.engine.repeated import LeftOut
    from fleetroll_server.engine.starting import Order

RECENT_ROLLOUTS = 5
"""The newest rollouts of a product whose hosts tell how long one takes."""
RECENT_HOSTS = 100
"""Of each of them: a median needs no more."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is answered.

    Attributes:
        release: what would be rolled out.
        limits: in force.
        preview: the plan in numbers.
        left_out: who is left out, as a start would answer it.
        online: ids of the hosts that are online.
    """

    release: Release
    limits: RolloutLimits
    preview: Preview
    left_out: tuple[LeftOut, ...]
    online: frozenset[str]


async def look(connection: AsyncConnection, now: datetime, order: Order) -> Shown:
    """Return what a start of ``order`` would do now.

    Raises:
        RequestError: as a start, except for what :class:`Preview` warns of instead (caller's fault).
    """
    tx = Tx(connection, now)
    drafted = await draft(tx, order, lock=False)
    chosen, planned = drafted.release, drafted.plan
    online = await _online(connection, order.fleet_id, now)
    announced = Announced(
        facts=release_facts(chosen),
        sizes={artifact.sha256: artifact.length for artifact in chosen.artifacts},
        breaking_changes=chosen.breaking_changes,
        acknowledged=order.acknowledge_breaking_changes,
        migrations_required=chosen.migrations_required,
    )
    found = preview(
        planned,
        announced,
        drafted.limits,
        online=online,
        durations_seconds=await _durations(connection, order),
        refused=await _refused(connection, order.fleet_id),
    )
    return Shown(chosen, drafted.limits, found, left_out_of(planned), online)


async def _online(connection: AsyncConnection, fleet_id: str, now: datetime) -> frozenset[str]:
    """Return who is online."""
    query = sa.select(AGENT.c.id).where(AGENT.c.fleet_id == fleet_id, is_online(now))
    return frozenset((await connection.execute(query)).scalars())


async def _durations(connection: AsyncConnection, order: Order) -> list[float]:
    """Return how long hosts took from Go to their success, of the newest rollouts of the product."""
    newest = (
        sa.select(ROLLOUT.c.id)
        .where(ROLLOUT.c.fleet_id == order.fleet_id, ROLLOUT.c.product == order.product, ROLLOUT.c.begun)
        .order_by(ROLLOUT.c.created_at.desc(), ROLLOUT.c.id.desc())
        .limit(RECENT_ROLLOUTS)
    )
    found: list[float] = []
    for rollout_id in (await connection.execute(newest)).scalars().all():
        query = (
            sa.select(HOST.c.granted_at, HOST.c.ended_at)
            .where(
                HOST.c.rollout_id == rollout_id,
                HOST.c.fleet_id == order.fleet_id,
                HOST.c.state == AttemptState.SUCCEEDED.value,
                HOST.c.granted_at.is_not(None),
                HOST.c.ended_at.is_not(None),
            )
            .limit(RECENT_HOSTS)
        )
        rows = (await connection.execute(query)).all()
        found.extend(max(0.0, (row.ended_at - row.granted_at).total_seconds()) for row in rows)
    return found


async def _refused(connection: AsyncConnection, fleet_id: str) -> str:
    """Return why no start is possible at all now."""
    if await is_recovering(connection):
        return "the server was restored and is in recovery"
    pressed = any(row["active"] for row in await reads.switches(connection, [fleet_id]))
    return "the kill switch is pressed for this fleet" if pressed else ""
