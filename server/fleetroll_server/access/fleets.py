"""Which fleets a request is about. A foreign fleet and one that does not exist are answered alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.store.tables import FleetRow, table_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.access.caller import Caller

_FLEET = table_of(FleetRow)
MOST_NAMED = 10
"""Fleets that a refusal names."""


async def visible_fleets(connection: AsyncConnection, caller: Caller, requested: str = "") -> tuple[str, ...]:
    """Return the ids of the fleets that a request may touch: the requested one, or all that the caller sees.

    Every statement on a table of hosts, rollouts or tokens carries these ids.

    Raises:
        RequestError: NOT_FOUND: there is no such fleet for this caller.
    """
    query = sa.select(_FLEET.c.id).order_by(_FLEET.c.id)
    if caller.fleet_ids:
        query = query.where(_FLEET.c.id.in_(caller.fleet_ids))
    if requested:
        query = query.where(_FLEET.c.id == requested)
    found = tuple((await connection.scalars(query)).all())
    if requested and not found:
        seen = await visible_fleets(connection, caller)
        more = f" and {len(seen) - MOST_NAMED} more" if len(seen) > MOST_NAMED else ""
        remedy = f"name one that you see: {', '.join(seen[:MOST_NAMED])}{more}" if seen else "you see no fleet"
        message = f"fleet_id: there is no fleet {requested[:80]!r}"
        raise RequestError(message, code=Code.NOT_FOUND, remedy=remedy, field="fleet_id")
    return found


def require_all_fleets(caller: Caller) -> None:
    """Return when the caller is bound to no fleet: what changes something for all fleets is for such callers.

    Raises:
        RequestError: PERMISSION_DENIED (caller's fault).
    """
    if caller.fleet_ids:
        message = "this concerns every fleet, the token is bound to some"
        raise RequestError(message, code=Code.PERMISSION_DENIED, remedy="use a token that is bound to no fleet")


def sees_all_fleets(caller: Caller) -> bool:
    """Tell whether the caller is bound to no fleet."""
    return not caller.fleet_ids
