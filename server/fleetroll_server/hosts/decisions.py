"""People's decisions about single hosts: revoke, dismiss. What runs on the host is never touched by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.engine.actor import Actor
from fleetroll_server.engine.holdings import release_broken
from fleetroll_server.engine.revoked import skip_revoked
from fleetroll_server.hosts.inventory import host_not_found
from fleetroll_server.identity.keys import revoke
from fleetroll_server.identity.rows import identity_of, write_identity
from fleetroll_server.store import EventFact
from fleetroll_server.store.tables import AgentRow, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import RowMapping

    from fleetroll_server.access.caller import Caller
    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

_AGENT = table_of(AgentRow)


async def revoke_host(
    tx: Tx, services: Services, agent_id: str, fleets: Sequence[str], caller: Caller, reason: str
) -> None:
    """Refuse this identity for good: its epoch rises, so its tokens die; what it holds as broken is given back.

    Attempts before Go are skipped, and their rollouts go on without it. Revoking twice changes nothing more.

    Raises:
        RequestError: HOST_NOT_FOUND (caller's fault).
    """
    row = await locked_host(tx, agent_id, fleets)
    if row["revoked"]:
        return
    await write_identity(tx, agent_id, row["fleet_id"], revoke(identity_of(row)))
    await skip_revoked(tx, services, agent_id, row["fleet_id"], Actor(caller.actor_kind, caller.actor_id), reason)
    scopes = await release_broken(tx, agent_id, row["fleet_id"])
    tx.emit(_event("agent.revoked", row, caller, reason, scopes))


async def dismiss_host(tx: Tx, agent_id: str, fleets: Sequence[str], caller: Caller, reason: str) -> tuple[str, ...]:
    """Take a broken host out of the budgets by a person's word; return the scopes that it held.

    Raises:
        RequestError: HOST_NOT_FOUND; ROLLOUT_STATE: it is not broken in any scope (caller's fault).
    """
    row = await locked_host(tx, agent_id, fleets)
    scopes = await release_broken(tx, agent_id, row["fleet_id"])
    if not scopes:
        message = f"agent_id: {row['name'][:80]!r} is not broken in any budget"
        remedy = "only what has failed after Go is dismissed"
        raise RequestError(message, code=Code.ROLLOUT_STATE, remedy=remedy, field="agent_id")
    tx.emit(_event("agent.dismissed", row, caller, reason, scopes))
    return scopes


async def locked_host(tx: Tx, agent_id: str, fleets: Sequence[str]) -> RowMapping:
    """Return the agent's row, locked.

    Raises:
        RequestError: HOST_NOT_FOUND (caller's fault).
    """
    query = sa.select(_AGENT).where(_AGENT.c.id == agent_id, _AGENT.c.fleet_id.in_(fleets)).with_for_update()
    row = (await tx.execute(query)).mappings().one_or_none()
    if row is None:
        raise host_not_found(agent_id)
    return row


def _event(kind: str, row: RowMapping, caller: Caller, reason: str, scopes: Sequence[str]) -> EventFact:
    """Return the fact for watchers."""
    return EventFact(
        fleet_id=row["fleet_id"],
        kind=kind,
        actor_kind=caller.actor_kind,
        actor_id=caller.actor_id,
        reason=reason,
        agent_id=row["id"],
        facts={"scopes": " ".join(scopes)},
    )
