"""Rollouts as they are shown: rows with counts by state, always within the fleets that the caller sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.domain.decide import Moved, decide
from fleetroll_server.domain.late import at_rest, next_late
from fleetroll_server.domain.states import ENDED_ROLLOUT
from fleetroll_server.engine.book import ROLLOUT, WAVE, Book
from fleetroll_server.engine.moves import AGENT, HOST
from fleetroll_server.engine.presence import is_online
from fleetroll_server.engine.probing.rows import states
from fleetroll_server.engine.targets import shown_version
from fleetroll_server.gateway.suspensions import SUSPENSION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.domain.checks import CheckState
    from fleetroll_server.domain.decide import Summary
    from fleetroll_server.domain.late import LateHosts


@dataclass(frozen=True, slots=True)
class Shown:
    """One rollout to be shown.

    Attributes:
        row: of the rollout.
        waves: in order.
        counts: hosts by state, by number of the wave.
        waits_for: what it waits for, in words.
        late: its late hosts, in numbers; nothing while it is not completed.
        checks: of its gate, with their readings.
        revert_id: the newest rollout that takes it back; empty for none.
    """

    row: RowMapping
    waves: Sequence[RowMapping]
    counts: Mapping[int, Mapping[str, int]]
    waits_for: str
    late: LateHosts | None
    checks: Sequence[CheckState] = ()
    revert_id: str = ""


@dataclass(frozen=True, slots=True)
class After:
    """Where the last page of rollouts ended."""

    created_at: datetime
    id: str


async def one(connection: AsyncConnection, rollout_id: str, fleets: Sequence[str], now: datetime) -> Shown | None:
    """Return one rollout; nothing when these fleets have no such rollout."""
    query = sa.select(ROLLOUT).where(ROLLOUT.c.id == rollout_id, ROLLOUT.c.fleet_id.in_(fleets))
    row = (await connection.execute(query)).mappings().one_or_none()
    return await _shown(connection, row, now) if row is not None else None


async def newest(
    connection: AsyncConnection,
    fleets: Sequence[str],
    now: datetime,
    *,
    active_only: bool,
    after: After | None,
    limit: int,
) -> list[Shown]:
    """Return rollouts, newest first."""
    query = sa.select(ROLLOUT).where(ROLLOUT.c.fleet_id.in_(fleets))
    if active_only:
        query = query.where(ROLLOUT.c.state.not_in([state.value for state in ENDED_ROLLOUT]))
    if after is not None:
        older = ROLLOUT.c.created_at < after.created_at
        same = sa.and_(ROLLOUT.c.created_at == after.created_at, ROLLOUT.c.id < after.id)
        query = query.where(sa.or_(older, same))
    query = query.order_by(ROLLOUT.c.created_at.desc(), ROLLOUT.c.id.desc()).limit(limit)
    rows = (await connection.execute(query)).mappings().all()
    return [await _shown(connection, row, now) for row in rows]


async def hosts(
    connection: AsyncConnection,
    rollout_id: str,
    fleets: Sequence[str],
    now: datetime,
    *,
    wave: int,
    after: tuple[int, int] | None,
    limit: int,
) -> list[RowMapping]:
    """Return hosts of a rollout in their stored order, each with whether it is ``online``.

    Args:
        connection: a snapshot.
        rollout_id: the rollout.
        fleets: of the caller.
        now: the time.
        wave: number of a wave; 0 for all.
        after: wave and position of the last page's last host.
        limit: at most so many.
    """
    here = sa.and_(AGENT.c.id == HOST.c.agent_id, AGENT.c.fleet_id == HOST.c.fleet_id)
    query = (
        sa.select(HOST, is_online(now).label("online"))
        .select_from(HOST.join(AGENT, here))
        .where(HOST.c.rollout_id == rollout_id, HOST.c.fleet_id.in_(fleets))
        .order_by(HOST.c.wave, HOST.c.position)
        .limit(limit)
    )
    if wave:
        query = query.where(HOST.c.wave == wave)
    if after is not None:
        later = sa.and_(HOST.c.wave == after[0], HOST.c.position > after[1])
        query = query.where(sa.or_(HOST.c.wave > after[0], later))
    return list((await connection.execute(query)).mappings().all())


async def members(
    connection: AsyncConnection,
    rollouts: Sequence[str],
    fleets: Sequence[str],
    now: datetime,
    *,
    agents: Sequence[str] | None = None,
    after: str = "",
    limit: int | None = None,
) -> list[tuple[str, RowMapping]]:
    """Return hosts of rollouts, each behind the version that it is to reach, in the order of their ids.

    Args:
        connection: a snapshot.
        rollouts: ids.
        fleets: of the caller.
        now: the time.
        agents: only these; all where it is left out.
        after: the id of the last page's last host.
        limit: at most so many.
    """
    here = sa.and_(AGENT.c.id == HOST.c.agent_id, AGENT.c.fleet_id == HOST.c.fleet_id)
    its = sa.and_(ROLLOUT.c.id == HOST.c.rollout_id, ROLLOUT.c.fleet_id == HOST.c.fleet_id)
    query = (
        sa.select(HOST, is_online(now).label("online"), shown_version().label("to_version"))
        .select_from(HOST.join(AGENT, here).join(ROLLOUT, its))
        .where(HOST.c.rollout_id.in_(rollouts), HOST.c.fleet_id.in_(fleets), HOST.c.agent_id > after)
        .order_by(HOST.c.agent_id)
        .limit(limit)
    )
    if agents is not None:
        query = query.where(HOST.c.agent_id.in_(agents))
    rows = (await connection.execute(query)).mappings().all()
    return [(row["to_version"], row) for row in rows]


async def switches(connection: AsyncConnection, fleets: Sequence[str]) -> list[RowMapping]:
    """Return every suspension that concerns these fleets."""
    pressed = (SUSPENSION.c.fleet_id.in_(("", *fleets)), SUSPENSION.c.epoch > 0)
    query = sa.select(SUSPENSION).where(*pressed).order_by(SUSPENSION.c.scope)
    return list((await connection.execute(query)).mappings().all())


async def _shown(connection: AsyncConnection, row: RowMapping, now: datetime) -> Shown:
    """Add waves, counts and what the rollout waits for."""
    fleet = row["fleet_id"]
    waves_query = sa.select(WAVE).where(WAVE.c.rollout_id == row["id"], WAVE.c.fleet_id == fleet)
    waves = (await connection.execute(waves_query.order_by(WAVE.c.number))).mappings().all()
    count_query = (
        sa.select(HOST.c.wave, HOST.c.state, sa.func.count().label("hosts"))
        .where(HOST.c.rollout_id == row["id"], HOST.c.fleet_id == fleet)
        .group_by(HOST.c.wave, HOST.c.state)
    )
    counts: dict[int, dict[str, int]] = {}
    for found in (await connection.execute(count_query)).mappings():
        counts.setdefault(found["wave"], {})[found["state"]] = found["hosts"]
    checks = await states(connection, row["id"], fleet) if row["has_checks"] else ()
    summary = Book(dict(row), [dict(wave) for wave in waves], now, checks).summary()
    revert = await _revert_of(connection, row)
    return Shown(row, waves, counts, _waits_for(summary, now), summary.late, checks, revert)


async def _revert_of(connection: AsyncConnection, row: RowMapping) -> str:
    """Return the newest rollout that takes this one back."""
    which = (ROLLOUT.c.parent_id == row["id"], ROLLOUT.c.fleet_id == row["fleet_id"])
    query = sa.select(ROLLOUT.c.id).where(*which).order_by(ROLLOUT.c.created_at.desc(), ROLLOUT.c.id.desc()).limit(1)
    return (await connection.execute(query)).scalar_one_or_none() or ""


def _waits_for(summary: Summary, now: datetime) -> str:
    """Return what a rollout waits for whose due steps have been taken."""
    if summary.late is None:
        return decide(summary, Moved(), now).waits_for
    return at_rest(summary.late, next_late(summary.late, summary.limits, summary.not_after, now))
