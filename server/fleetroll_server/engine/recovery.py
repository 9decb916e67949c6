"""After a gap: sessions of servers that are gone are over, and time in which nobody could speak does not count."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.domain.availability import moved_on, stood_still
from fleetroll_server.domain.deadlines import returning_until
from fleetroll_server.domain.presence import online_until
from fleetroll_server.domain.states import ENDED_ROLLOUT, FINAL, AttemptState, RolloutState
from fleetroll_server.domain.summary import WaveCounters
from fleetroll_server.engine import availability, local_charges, presence
from fleetroll_server.engine.book import ROLLOUT, WAVE
from fleetroll_server.engine.hello import left
from fleetroll_server.engine.moves import HOST
from fleetroll_server.gateway.session import SessionKey
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, ServerRow, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from fleetroll_server.domain.availability import Span
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

AGENT = table_of(AgentRow)
SERVER = table_of(ServerRow)
FOR_ALL = "time goes by for all"
AT_ONCE = 50
"""Sessions per transaction: each costs a few statements for every rollout that its host is in."""
AGAIN_SECONDS = 300.0
"""How long a host that checks in may take to try again after an outage, by a back-off of five minutes."""
ROWS = 500
"""Rows per statement."""


async def forget_dead_servers(tx: Tx, services: Services, *, alone: bool) -> int:
    """End the sessions of servers whose lease has run out; return how many were ended in this transaction.

    Args:
        tx: the transaction.
        services: of this server.
        alone: no other server can use this database (SQLite): every other server is gone, whatever its lease says.
    """
    living = sa.select(SERVER.c.id).where(SERVER.c.lease_until > tx.now)
    others_live = sa.false() if alone else AGENT.c.server_id.in_(living)
    query = (
        sa.select(AGENT.c.id, AGENT.c.fleet_id, AGENT.c.epoch, AGENT.c.check_in_seconds)
        .where(
            AGENT.c.server_id != "",
            AGENT.c.server_id != services.server_id,
            sa.not_(others_live),
        )
        .limit(AT_ONCE)
    )
    gone = (await tx.execute(every_fleet(query, "a server that ended had sessions of all"))).all()
    for row in gone:
        mine = (AGENT.c.id == row.id, AGENT.c.fleet_id == row.fleet_id)
        until, well = online_until(tx.now, row.check_in_seconds), row.check_in_seconds > 0
        await tx.execute(sa.update(AGENT).where(*mine).values(server_id="", left_well=well, online_until=until))
        await left(tx, services, SessionKey(row.id, row.fleet_id, row.epoch))
    return len(gone)


async def keep_record(tx: Tx, services: Services, *, refused: bool, signs: Sequence[datetime] = ()) -> Span | None:
    """Tick, and give back what the tick found closed; returns and arguments as of :func:`availability.tick`."""
    closed = await availability.tick(tx, services, refused=refused, signs=signs)
    if closed is not None:
        await give_back(tx, closed)
    return closed


async def give_back(tx: Tx, closed: Span) -> None:
    """Let no clock have run in time in which no server accepted hellos.

    Deadlines move on by it, and so does the time since a wave last moved. A host that had just left has its time to
    come back from now on, before Go as after its success: the offline limit runs while a server is there to be spoken
    to.

    A statement for each ``ROWS`` rows, whatever the fleet. Rollouts are locked first, in the order of their ids as by
    everybody: no other server changes their hosts in between.
    """
    await presence.begin_anew(tx, AGAIN_SECONDS)
    rollouts = await _lock_rollouts(tx)
    away = (HOST.c.state == AttemptState.SUCCEEDED.value, HOST.c.deadline.is_not(None))
    timed_anew = sa.update(HOST).where(*away).values(deadline=None)  # by the next sweep
    await tx.execute(every_fleet(timed_anew, FOR_ALL))
    await _move_deadlines(tx, closed)
    await _move_waves(tx, closed, rollouts)
    await local_charges.move_deadlines(tx, lambda due, since: stood_still(due, since, closed))


async def _lock_rollouts(tx: Tx) -> dict[str, bool]:
    """Lock every rollout in which a clock runs; return by id whether it is open, where its waves may be stuck."""
    here = (HOST.c.rollout_id == ROLLOUT.c.id, HOST.c.fleet_id == ROLLOUT.c.fleet_id)
    resting = [AttemptState.PENDING.value, *[state.value for state in FINAL]]
    under_way = sa.select(HOST.c.agent_id).where(*here, HOST.c.state.not_in(resting)).exists()
    timed = sa.select(HOST.c.agent_id).where(*here, HOST.c.deadline.is_not(None)).exists()
    is_open = ROLLOUT.c.state.not_in([state.value for state in ENDED_ROLLOUT])
    query = sa.select(ROLLOUT.c.id, ROLLOUT.c.state).where(sa.or_(is_open, under_way, timed))
    locked = every_fleet(query.order_by(ROLLOUT.c.id).with_for_update(), FOR_ALL)
    states = {row.id: RolloutState(row.state) for row in (await tx.execute(locked)).all()}
    watched = {RolloutState.COMPLETED} | (set(RolloutState) - ENDED_ROLLOUT)
    return {rollout: state not in ENDED_ROLLOUT for rollout, state in states.items() if state in watched}


async def _move_deadlines(tx: Tx, closed: Span) -> None:
    """Move every running deadline, where it and its host's state are still what was read."""
    names = ("rollout_id", "agent_id", "fleet_id", "state", "deadline")
    query = sa.select(*(HOST.c[name] for name in names), HOST.c.changed_at).where(HOST.c.deadline.is_not(None))
    rows = []
    for row in (await tx.execute(every_fleet(query, FOR_ALL))).all():
        due = moved_on(AttemptState(row.state), row.deadline, row.changed_at, closed)
        if due != row.deadline:
            rows.append({**{f"old_{name}": getattr(row, name) for name in names}, "due": due})
    unchanged = [HOST.c[name] == sa.bindparam(f"old_{name}") for name in names]
    change = every_fleet(sa.update(HOST).where(*unchanged).values(deadline=sa.bindparam("due")), FOR_ALL)
    for first in range(0, len(rows), ROWS):
        await tx.execute(change, rows[first : first + ROWS])


async def _move_waves(tx: Tx, closed: Span, rollouts: dict[str, bool]) -> None:
    """Let no wave have stood still in closed time.

    In an open rollout, hosts before Go that may have been on their way back when it began have their limit from now on.
    """
    ids = list(rollouts)
    names = ("rollout_id", "number", "fleet_id")
    same = [WAVE.c[name] == sa.bindparam(f"of_{name}") for name in names]
    moved = sa.update(WAVE).where(*same).values(moved_at=sa.bindparam("moved"), counters=sa.bindparam("counted"))
    for first in range(0, len(ids), ROWS):
        query = sa.select(WAVE).where(WAVE.c.rollout_id.in_(ids[first : first + ROWS]))
        rows = []
        for row in (await tx.execute(every_fleet(query, FOR_ALL))).mappings():
            counters, at = WaveCounters.from_json(row["counters"]), row["moved_at"]
            if rollouts[row["rollout_id"]] and returning_until(counters.left_at, closed.began_at) is not None:
                counters = replace(counters, left_at=tx.now)
            at = stood_still(at, at, closed) if at is not None else None
            rows.append({**{f"of_{name}": row[name] for name in names}, "moved": at, "counted": counters.to_json()})
        for begin in range(0, len(rows), ROWS):
            await tx.execute(every_fleet(moved, FOR_ALL), rows[begin : begin + ROWS])
