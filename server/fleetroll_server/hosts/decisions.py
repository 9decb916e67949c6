"""People's decisions about single hosts: revoke, dismiss. What runs on the host is never touched by them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.budget import GLOBAL_SCOPE, ChargeKind
from fleetroll_server.hosts.inventory import host_not_found
from fleetroll_server.identity.keys import revoke
from fleetroll_server.identity.rows import identity_of, write_identity
from fleetroll_server.store import EventFact
from fleetroll_server.store.tables import AgentRow, BudgetRow, ChargeRow, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import RowMapping

    from fleetroll_server.access.caller import Caller
    from fleetroll_server.store import Tx

_AGENT = table_of(AgentRow)
_BUDGET = table_of(BudgetRow)
_CHARGE = table_of(ChargeRow)


async def revoke_host(tx: Tx, agent_id: str, fleets: Sequence[str], caller: Caller, reason: str) -> None:
    """Refuse this identity for good: its epoch rises, so its tokens die; what it holds as broken is given back.

    Revoking twice changes nothing more.

    Raises:
        RequestError: HOST_NOT_FOUND (caller's fault).
    """
    row = await locked_host(tx, agent_id, fleets)
    if row["revoked"]:
        return
    await write_identity(tx, agent_id, row["fleet_id"], revoke(identity_of(row)))
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


async def release_broken(tx: Tx, agent_id: str, fleet_id: str) -> tuple[str, ...]:
    """Give back every broken charge of a host, scope by scope in the order in which all transactions lock them."""
    mine = (_CHARGE.c.agent_id == agent_id, _CHARGE.c.fleet_id == fleet_id, _CHARGE.c.kind == ChargeKind.BROKEN.value)
    charges = (await tx.execute(sa.select(_CHARGE.c.scope).where(*mine))).scalars().all()
    held = Counter(charges)
    for scope in sorted(held, key=_width):
        budget = (_BUDGET.c.scope == scope, _BUDGET.c.fleet_id.in_((fleet_id, "")))
        await tx.execute(sa.update(_BUDGET).where(*budget).values(broken=_BUDGET.c.broken - held[scope]))
    await tx.execute(sa.delete(_CHARGE).where(*mine))
    return tuple(sorted(held, key=_width))


def _width(scope: str) -> tuple[int, str]:
    """Sort the widest scope first: global, fleet, rollout."""
    if scope == GLOBAL_SCOPE:
        return (0, scope)
    return (1 if scope.startswith("fleet/") else 2, scope)


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
