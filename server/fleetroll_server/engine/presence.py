"""Who is there, in rows: hosts with a session, and those without one that may be on their way back.

Watchers are told of a host's coming and going by events: ``agent.online`` and ``agent.offline`` when it is one or the
other, and ``agent.changed`` when a hello in between says something new. A short gap is none of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.domain.presence import online_until
from fleetroll_server.engine.actor import HOST
from fleetroll_server.gateway.session import SessionKey
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, table_of
from fleetroll_server.store.tx import EventFact

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import RowMapping

    from fleetroll_server.store.tx import Tx

AGENT = table_of(AgentRow)
FOR_ALL = "time goes by for all"


def is_online(now: datetime) -> sa.ColumnElement[bool]:
    """Return the condition that an agent's row is of a host that is online.

    A session counts until somebody ends it, whatever became of its server's lease: a server that stood still for longer
    than its lease holds its sessions all the same, and of a lease that is renewed late no event would tell.
    """
    returning = (AGENT.c.revoked.is_(False), AGENT.c.online_until.is_not(None), AGENT.c.online_until > now)
    return sa.or_(AGENT.c.server_id != "", sa.and_(*returning))


async def known(tx: Tx, key: SessionKey) -> RowMapping:
    """Return the agent's row as it stands before a hello, with ``online``."""
    query = sa.select(AGENT, is_online(tx.now).label("online")).where(*_mine(key))
    return (await tx.execute(query)).mappings().one()


def note_coming(tx: Tx, key: SessionKey, before: RowMapping) -> bool:
    """Record for watchers that a host which was offline is online; False for one that was online all along."""
    if not before["online"]:
        if before["online_until"] is not None:  # its time was over, and nobody had said so yet
            tx.emit(_event("agent.offline", key.agent_id, key.fleet_id))
        tx.emit(_event("agent.online", key.agent_id, key.fleet_id))
    return not before["online"]


def note_change(tx: Tx, key: SessionKey) -> None:
    """Record for watchers that something of a host has changed for which there is no other event."""
    tx.emit(_event("agent.changed", key.agent_id, key.fleet_id))


async def end_session(tx: Tx, key: SessionKey, server_id: str, heard_at: datetime | None, *, goodbye: bool) -> bool:
    """Write that the session which a server has with the agent is over; False when it has none any more.

    Args:
        tx: the transaction.
        key: whose session.
        server_id: the server.
        heard_at: when the host spoke last; nothing: now.
        goodbye: it left on purpose.
    """
    query = sa.select(AGENT.c.check_in_seconds).where(*_mine(key), AGENT.c.server_id == server_id).with_for_update()
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return False
    heard_at = heard_at or tx.now
    until = online_until(heard_at, row.check_in_seconds)
    well = goodbye or row.check_in_seconds > 0  # between two check-ins a host is not away
    gone = {"server_id": "", "last_seen_at": heard_at, "left_well": well, "online_until": until}
    await tx.execute(sa.update(AGENT).where(*_mine(key)).values(**gone))
    return True


async def is_expected(tx: Tx, key: SessionKey) -> bool:
    """Tell whether a host without a session may be on its way back; when that is over, watchers are told."""
    query = sa.select(AGENT.c.online_until, AGENT.c.revoked).where(*_mine(key))
    row = (await tx.execute(query)).one()
    if row.online_until is None:
        return False
    if row.online_until > tx.now and not row.revoked:
        return True
    await tx.execute(sa.update(AGENT).where(*_mine(key)).values(online_until=None))
    tx.emit(_event("agent.offline", key.agent_id, key.fleet_id))
    return False


async def checks_in(tx: Tx, key: SessionKey) -> bool:
    """Tell whether the host does not hold its stream."""
    query = sa.select(AGENT.c.check_in_seconds).where(*_mine(key))
    return bool((await tx.execute(query)).scalar_one() > 0)


async def call_offline(tx: Tx, limit: int, *, check_in: bool) -> list[SessionKey]:
    """Call the next hosts offline whose time to come back is over; return who they are, by fleet.

    Args:
        tx: the transaction.
        limit: at most so many.
        check_in: those that check in; else those that hold their stream. A check-in that was missed is a silence: the
            goodbye before it was none.
    """
    kind = AGENT.c.check_in_seconds > 0 if check_in else AGENT.c.check_in_seconds == 0
    columns = (AGENT.c.id, AGENT.c.fleet_id, AGENT.c.epoch)
    query = sa.select(*columns).where(AGENT.c.online_until <= tx.now, kind).limit(limit).with_for_update()
    gone = [
        SessionKey(row.id, row.fleet_id, row.epoch) for row in (await tx.execute(every_fleet(query, FOR_ALL))).all()
    ]
    for key in gone:
        tx.emit(_event("agent.offline", key.agent_id, key.fleet_id))
    silent = {"left_well": False} if check_in else {}
    for fleet_id in sorted({key.fleet_id for key in gone}):
        agents = [key.agent_id for key in gone if key.fleet_id == fleet_id]
        mine = (AGENT.c.fleet_id == fleet_id, AGENT.c.id.in_(agents))
        await tx.execute(sa.update(AGENT).where(*mine).values(online_until=None, **silent))
    return sorted(gone, key=lambda key: key.fleet_id)


async def begin_anew(tx: Tx, again_seconds: float) -> None:
    """Let every host that is away have its time to come back from now on: until now it had nobody to come to.

    Args:
        tx: the transaction.
        again_seconds: how long a host that checks in may take until it tries again, >= 0.
    """
    away = (AGENT.c.server_id == "", AGENT.c.online_until.is_not(None))
    for checks_in, until in (
        (AGENT.c.check_in_seconds == 0, online_until(tx.now)),
        (AGENT.c.check_in_seconds > 0, online_until(tx.now, again_seconds)),
    ):
        change = sa.update(AGENT).where(*away, checks_in, AGENT.c.online_until < until).values(online_until=until)
        await tx.execute(every_fleet(change, FOR_ALL))


def _mine(key: SessionKey) -> tuple[sa.ColumnElement[bool], ...]:
    return AGENT.c.id == key.agent_id, AGENT.c.fleet_id == key.fleet_id


def _event(kind: str, agent_id: str, fleet_id: str) -> EventFact:
    return EventFact(fleet_id=fleet_id, kind=kind, actor_kind=HOST.kind, actor_id="session", agent_id=agent_id)
