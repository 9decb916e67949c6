"""API tokens: made, listed, revoked. Nobody can give more than he has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.access.caller import SCOPES
from fleetroll_server.access.secretwords import hashed
from fleetroll_server.store import EventFact
from fleetroll_server.store.tables import ApiTokenRow, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.access.caller import Caller, Role
    from fleetroll_server.store import Tx

_TOKEN = table_of(ApiTokenRow)


@dataclass(frozen=True, slots=True)
class NewApiToken:
    """A token to make."""

    id: str
    name: str
    secret: str = field(repr=False)
    role: Role
    scopes: tuple[str, ...]
    fleet_ids: tuple[str, ...]
    expires_at: datetime
    reason: str


def bounded(caller: Caller, scopes: Sequence[str], fleet_ids: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return scopes and fleets for a new token: as asked, within what the caller has; empty takes all that he has.

    Raises:
        RequestError: INVALID_ARGUMENT: no such scope; PERMISSION_DENIED: the caller does not have it himself;
            NOT_FOUND: a fleet that he does not see (caller's fault).
    """
    unknown = sorted(set(scopes) - SCOPES)
    if unknown:
        message = f"scopes: there is no scope {unknown[0][:40]!r}"
        raise RequestError(
            message, code=Code.INVALID_ARGUMENT, remedy=f"use {', '.join(sorted(SCOPES))}", field="scopes"
        )
    beyond = sorted(set(scopes) - caller.scopes) if caller.scopes else []
    if beyond:
        message = f"scopes: your own token does not have {beyond[0]}"
        raise RequestError(message, code=Code.PERMISSION_DENIED, remedy="leave it out", field="scopes")
    foreign = sorted(set(fleet_ids) - set(caller.fleet_ids)) if caller.fleet_ids else []
    if foreign:
        message = f"fleet_ids: there is no fleet {foreign[0][:80]!r}"
        raise RequestError(message, code=Code.NOT_FOUND, remedy="name fleets that you see", field="fleet_ids")
    return tuple(sorted(set(scopes or caller.scopes))), tuple(sorted(set(fleet_ids or caller.fleet_ids)))


async def make_api_token(tx: Tx, new: NewApiToken, caller: Caller) -> RowMapping:
    """Store ``new`` by its secret's hash; return the row."""
    values = {
        "id": new.id,
        "name": new.name,
        "secret_hash": hashed(new.secret),
        "role": new.role.value,
        "scopes": list(new.scopes),
        "fleet_ids": list(new.fleet_ids),
        "expires_at": new.expires_at,
        "revoked": False,
        "actor_kind": caller.actor_kind,
        "actor_id": caller.actor_id,
        "reason": new.reason,
        "created_at": tx.now,
    }
    tx.emit(_event("api_token.created", caller, new.id, new.reason))
    return (await tx.execute(sa.insert(_TOKEN).values(values).returning(_TOKEN))).mappings().one()


async def api_tokens(connection: AsyncConnection, caller: Caller) -> list[RowMapping]:
    """Return the tokens that the caller may see, newest first: who is bound to fleets sees those within them."""
    query = sa.select(_TOKEN).order_by(_TOKEN.c.created_at.desc(), _TOKEN.c.id.desc())
    return [row for row in (await connection.execute(query)).mappings() if _sees(caller, row)]


async def own_api_token(connection: AsyncConnection, caller: Caller) -> RowMapping | None:
    """Return the caller's own token; None when it was removed in the meantime."""
    query = sa.select(_TOKEN).where(_TOKEN.c.id == caller.actor_id)
    return (await connection.execute(query)).mappings().one_or_none()


async def revoke_api_token(tx: Tx, token_id: str, caller: Caller, reason: str) -> RowMapping:
    """End a token at once; return its row.

    Raises:
        RequestError: NOT_FOUND: no such token for this caller (caller's fault).
    """
    row = (await tx.execute(sa.select(_TOKEN).where(_TOKEN.c.id == token_id))).mappings().one_or_none()
    if row is None or not _sees(caller, row):
        message = f"token_id: there is no API token {token_id[:80]!r}"
        raise RequestError(message, code=Code.NOT_FOUND, remedy="list the tokens", field="token_id")
    tx.emit(_event("api_token.revoked", caller, token_id, reason))
    end = sa.update(_TOKEN).where(_TOKEN.c.id == token_id).values(revoked=True).returning(_TOKEN)
    return (await tx.execute(end)).mappings().one()


def _sees(caller: Caller, row: RowMapping) -> bool:
    """Tell whether the token is bound to fleets of the caller's; a token for all fleets is above one for some."""
    return not caller.fleet_ids or (bool(row["fleet_ids"]) and set(row["fleet_ids"]) <= set(caller.fleet_ids))


def _event(kind: str, caller: Caller, token_id: str, reason: str) -> EventFact:
    """Return the fact for watchers; it belongs to no fleet."""
    return EventFact(
        fleet_id="",
        kind=kind,
        actor_kind=caller.actor_kind,
        actor_id=caller.actor_id,
        reason=reason,
        facts={"token": token_id},
    )
