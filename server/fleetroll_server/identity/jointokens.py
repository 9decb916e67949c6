"""Join tokens: made, listed, revoked. One token enrols hosts into one fleet, or readmits one agent."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.access.secretwords import hashed
from fleetroll_server.store import EventFact
from fleetroll_server.store.tables import EnrolmentRow, JoinTokenRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.access.caller import Caller
    from fleetroll_server.store import Tx

_TOKEN = table_of(JoinTokenRow)
_ENROLMENT = table_of(EnrolmentRow)
SHOWN_AGENTS = 100
"""Agents named beside a token in a listing."""


class TokenKind(StrEnum):
    """What a token is for."""

    JOIN = "join"
    READMIT = "readmit"


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to make. The secret itself is kept nowhere."""

    id: str
    kind: TokenKind
    secret: str = field(repr=False)
    fleet_id: str
    expires_at: datetime
    max_uses: int = 1
    agent_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class JoinToken:
    """A token as it is shown: without its secret."""

    row: RowMapping
    agent_ids: tuple[str, ...] = ()


async def make_token(tx: Tx, new: NewToken, caller: Caller) -> None:
    """Store ``new`` by its secret's hash, and say who made it."""
    values = {
        "id": new.id,
        "fleet_id": new.fleet_id,
        "kind": new.kind.value,
        "secret_hash": hashed(new.secret),
        "agent_id": new.agent_id,
        "labels": dict(new.labels),
        "max_uses": new.max_uses,
        "uses": 0,
        "expires_at": new.expires_at,
        "revoked": False,
        "actor_kind": caller.actor_kind,
        "actor_id": caller.actor_id,
        "reason": new.reason,
        "created_at": tx.now,
    }
    await tx.execute(sa.insert(_TOKEN).values(values))
    tx.emit(_event("token.created", caller, new.fleet_id, new.id, new.reason, new.agent_id))


async def join_tokens(
    connection: AsyncConnection, fleets: Sequence[str], after: tuple[datetime, str] | None, limit: int
) -> list[JoinToken]:
    """Return tokens of ``fleets``, newest first, after the (creation, id) of the last one that was seen."""
    query = sa.select(_TOKEN).where(_TOKEN.c.fleet_id.in_(fleets), _TOKEN.c.kind == TokenKind.JOIN.value)
    if after is not None:
        created, last_id = after
        older = sa.or_(_TOKEN.c.created_at < created, sa.and_(_TOKEN.c.created_at == created, _TOKEN.c.id < last_id))
        query = query.where(older)
    query = query.order_by(_TOKEN.c.created_at.desc(), _TOKEN.c.id.desc()).limit(limit)
    rows = (await connection.execute(query)).mappings().all()
    return [JoinToken(row, await _users(connection, row["id"], fleets)) for row in rows]


async def join_token(connection: AsyncConnection, token_id: str, fleets: Sequence[str]) -> JoinToken:
    """Return one token that is known to be there."""
    query = sa.select(_TOKEN).where(_TOKEN.c.id == token_id, _TOKEN.c.fleet_id.in_(fleets))
    row = (await connection.execute(query)).mappings().one()
    return JoinToken(row, await _users(connection, token_id, fleets))


async def revoke_token(tx: Tx, token_id: str, fleets: Sequence[str], caller: Caller, reason: str) -> JoinToken:
    """End a token; hosts that used it stay.

    Raises:
        RequestError: NOT_FOUND: no such token in ``fleets`` (caller's fault).
    """
    mine = (_TOKEN.c.id == token_id, _TOKEN.c.fleet_id.in_(fleets))
    row = (await tx.execute(sa.update(_TOKEN).where(*mine).values(revoked=True).returning(_TOKEN))).mappings().first()
    if row is None:
        message = f"token_id: there is no join token {token_id[:80]!r}"
        raise RequestError(message, code=Code.NOT_FOUND, remedy="list the tokens", field="token_id")
    tx.emit(_event("token.revoked", caller, row["fleet_id"], token_id, reason))
    return JoinToken(row, await _users(tx.connection, token_id, fleets))


async def _users(connection: AsyncConnection, token_id: str, fleets: Sequence[str]) -> tuple[str, ...]:
    """Return the agents that used a token, the first ones first."""
    query = (
        sa.select(_ENROLMENT.c.agent_id)
        .where(_ENROLMENT.c.token_id == token_id, _ENROLMENT.c.fleet_id.in_(fleets))
        .order_by(_ENROLMENT.c.enrolled_at, _ENROLMENT.c.agent_id)
        .limit(SHOWN_AGENTS)
    )
    return tuple((await connection.scalars(query)).all())


def _event(kind: str, caller: Caller, fleet_id: str, token_id: str, reason: str, agent_id: str = "") -> EventFact:
    """Return the fact for watchers."""
    return EventFact(
        fleet_id=fleet_id,
        kind=kind,
        actor_kind=caller.actor_kind,
        actor_id=caller.actor_id,
        reason=reason,
        agent_id=agent_id,
        facts={"token": token_id},
    )
