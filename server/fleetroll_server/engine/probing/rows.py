"""Checks in the store: their specifications with the rollout, their readings in rows of their own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_server.domain.checks import CheckState, Kind, Reading
from fleetroll_server.domain.checkspec import CheckSpec
from fleetroll_server.domain.states import RolloutState, WaveState
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import CheckRow, RolloutRow, WaveRow, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.store.tx import Tx

CHECK = table_of(CheckRow)
ROLLOUT = table_of(RolloutRow)
WAVE = table_of(WaveRow)
AT_ONCE = 20
"""Readings that one look begins; the rest comes with the next one, a second later."""
_WATCHED = (WaveState.OPEN.value, WaveState.BAKING.value)


async def write(tx: Tx, rollout_id: str, fleet_id: str, checks: Sequence[CheckSpec]) -> None:
    """Write the checks of a new rollout."""
    rows = [
        {"rollout_id": rollout_id, "name": check.name, "fleet_id": fleet_id, "spec": check.to_json(), "streak": 0}
        for check in checks
    ]
    if rows:
        await tx.execute(sa.insert(CHECK).values(rows))


async def states(connection: AsyncConnection, rollout_id: str, fleet_id: str) -> tuple[CheckState, ...]:
    """Return the checks of a rollout, by name."""
    mine = (CHECK.c.rollout_id == rollout_id, CHECK.c.fleet_id == fleet_id)
    rows = (await connection.execute(sa.select(CHECK).where(*mine).order_by(CHECK.c.name))).mappings()
    return tuple(state_of(row) for row in rows)


def state_of(row: RowMapping) -> CheckState:
    """Return the state that a row holds."""
    spec = CheckSpec.from_json(row["spec"])
    if not row["kind"]:
        return CheckState(spec)
    return CheckState(spec, Reading(Kind(row["kind"]), row["detail"], row["read_at"]), row["streak"])


async def due(connection: AsyncConnection, now: datetime) -> list[dict[str, Any]]:
    """Return checks whose time has come: of running rollouts with a wave that is open or bakes."""
    watched = sa.exists().where(
        WAVE.c.rollout_id == CHECK.c.rollout_id, WAVE.c.fleet_id == CHECK.c.fleet_id, WAVE.c.state.in_(_WATCHED)
    )
    here = sa.and_(ROLLOUT.c.id == CHECK.c.rollout_id, ROLLOUT.c.fleet_id == CHECK.c.fleet_id)
    query = (
        sa.select(CHECK, ROLLOUT.c.product, ROLLOUT.c.version)
        .select_from(CHECK.join(ROLLOUT, here))
        .where(
            ROLLOUT.c.state == RolloutState.RUNNING.value,
            sa.or_(CHECK.c.next_at.is_(None), CHECK.c.next_at <= now),
            watched,
        )
        .order_by(CHECK.c.next_at.nulls_first(), CHECK.c.rollout_id, CHECK.c.name)
        .limit(AT_ONCE)
    )
    rows = (await connection.execute(every_fleet(query, "every rollout's gate is watched"))).mappings()
    return [dict(row) for row in rows]


async def take(tx: Tx, row: dict[str, Any]) -> bool:
    """Take a reading for this server; False when another one has taken it since ``row`` was read."""
    spec = CheckSpec.from_json(row["spec"])
    unchanged = CHECK.c.next_at.is_(None) if row["next_at"] is None else CHECK.c.next_at == row["next_at"]
    mine = (CHECK.c.rollout_id == row["rollout_id"], CHECK.c.name == row["name"], CHECK.c.fleet_id == row["fleet_id"])
    taken = tx.now + timedelta(seconds=spec.interval_seconds)
    done = await tx.execute(sa.update(CHECK).where(*mine, unchanged).values(next_at=taken))
    return done.rowcount == 1


async def keep(tx: Tx, rollout_id: str, fleet_id: str, state: CheckState) -> None:
    """Write what a reading has changed, or that a person's resume has begun the count anew."""
    mine = (CHECK.c.rollout_id == rollout_id, CHECK.c.name == state.spec.name, CHECK.c.fleet_id == fleet_id)
    last = state.last
    values = {
        "kind": last.kind.value if last is not None else "",
        "detail": last.detail if last is not None else "",
        "read_at": last.at if last is not None else None,
        "streak": state.streak,
    }
    if last is None:
        values["next_at"] = None
    await tx.execute(sa.update(CHECK).where(*mine).values(**values))
