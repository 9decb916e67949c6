"""Budgets in the database: what an attempt holds of each scope is brought to what its state says it holds."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_server.domain.budget import GLOBAL_SCOPE, ScopeBudget, can_charge
from fleetroll_server.domain.charges import Holding
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import BudgetRow, ChargeRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fleetroll_server.store.tx import Tx

BUDGET = table_of(BudgetRow)
CHARGE = table_of(ChargeRow)
ONE_SCOPE = "a scope is one row, and the widest is of all"
IN_USE, BROKEN = "in_use", "broken"


async def hold(
    tx: Tx,
    host: Mapping[str, Any],
    scopes: Sequence[str],
    holding: Holding,
    *,
    enforce: bool = False,
    let_off: bool = False,
) -> str | None:
    """Make the host's current attempt hold ``holding`` and nothing else.

    Args:
        tx: the transaction of the step.
        host: the row of the host in its rollout.
        scopes: global, fleet, rollout: in the order in which they are locked.
        holding: what is to be held.
        enforce: True for a Go: refuse where a scope has no room.
        let_off: the rollout's own scope holds it as broken no more: it is over, or a person resumed it after a halt.

    Returns:
        The scope without room; nothing was changed then. Nothing when it is held now.
    """
    budgets = await _lock_budgets(tx, scopes)
    own = await own_charges(tx, host, scopes)
    if enforce:
        for scope in scopes:
            mine = own.get(scope, {})
            already = IN_USE in (kind for generation, kind in mine.items() if generation == host["generation"])
            if not already and not can_charge(budgets[scope], BROKEN in mine.values()):
                return scope
    for scope in scopes:
        await _settle(tx, host, budgets[scope], own.get(scope, {}), _kind(scope, holding, let_off=let_off))
    return None


async def forgive(tx: Tx, scope: str, fleet_id: str) -> None:
    """Take every broken host out of a rollout's own scope: it has ended, or a person resumed it after a halt."""
    broken = (CHARGE.c.scope == scope, CHARGE.c.fleet_id == fleet_id, CHARGE.c.kind == BROKEN)
    await tx.execute(sa.delete(CHARGE).where(*broken))
    mine = (BUDGET.c.scope == scope, BUDGET.c.fleet_id == fleet_id)
    await tx.execute(sa.update(BUDGET).where(*mine).values(broken=0))


async def release_broken(tx: Tx, agent_id: str, fleet_id: str, product: str | None = None) -> tuple[str, ...]:
    """Free what a host holds as broken.

    Args:
        tx: the transaction of what frees it.
        agent_id: the host.
        fleet_id: its fleet.
        product: the one that reported health, or whose host is gone for good; its place in the scope of a rollout that
            goes on stays, which a person resumes. None where a person revoked or dismissed the host: of every product,
            and in every scope.

    Returns:
        The scopes that were freed, the widest first, as all transactions lock them.
    """
    which = [CHARGE.c.agent_id == agent_id, CHARGE.c.fleet_id == fleet_id, CHARGE.c.kind == BROKEN]
    if product is not None:
        which += [CHARGE.c.product == product, CHARGE.c.scope.not_like("rollout/%")]
    freed = Counter((await tx.execute(sa.delete(CHARGE).where(*which).returning(CHARGE.c.scope))).scalars())
    scopes = sorted(freed, key=_width)
    for scope in scopes:
        mine = (BUDGET.c.scope == scope, BUDGET.c.fleet_id.in_(("", fleet_id)))
        await tx.execute(sa.update(BUDGET).where(*mine).values(broken=BUDGET.c.broken - freed[scope]))
    return tuple(scopes)


def _width(scope: str) -> tuple[int, str]:
    """Sort the widest scope first: global, fleet, rollout."""
    if scope == GLOBAL_SCOPE:
        return (0, scope)
    return (1 if scope.startswith("fleet/") else 2, scope)


def _kind(scope: str, holding: Holding, *, let_off: bool) -> str:
    """Return what is held in one scope: in_use, broken, or nothing."""
    own = scope.startswith("rollout/")
    if own and let_off and holding is not Holding.IN_USE:
        return ""
    if holding is Holding.BROKEN_IN_ROLLOUT:
        return BROKEN if own else ""
    return {Holding.NOTHING: "", Holding.IN_USE: IN_USE, Holding.BROKEN: BROKEN}[holding]


async def _lock_budgets(tx: Tx, scopes: Sequence[str]) -> dict[str, ScopeBudget]:
    """Lock the rows of the scopes, one after the other in their fixed order."""
    budgets: dict[str, ScopeBudget] = {}
    for scope in scopes:
        query = sa.select(BUDGET).where(BUDGET.c.scope == scope).with_for_update()
        row = (await tx.execute(every_fleet(query, ONE_SCOPE))).mappings().one()
        budgets[scope] = budget_of(dict(row))
    return budgets


def budget_of(row: Mapping[str, Any]) -> ScopeBudget:
    """Return the budget that a row holds."""
    return ScopeBudget(row["scope"], row["max_in_use"], row["max_out"], row["in_use"], row["broken"])


async def own_charges(tx: Tx, host: Mapping[str, Any], scopes: Sequence[str]) -> dict[str, dict[int, str]]:
    """Return what this host holds of this product, by scope and generation."""
    query = sa.select(CHARGE.c.scope, CHARGE.c.generation, CHARGE.c.kind).where(
        CHARGE.c.agent_id == host["agent_id"],
        CHARGE.c.product == host["product"],
        CHARGE.c.fleet_id == host["fleet_id"],
        CHARGE.c.scope.in_(scopes),
    )
    own: dict[str, dict[int, str]] = {}
    for row in (await tx.execute(query)).all():
        own.setdefault(row.scope, {})[row.generation] = row.kind
    return own


async def _settle(tx: Tx, host: Mapping[str, Any], budget: ScopeBudget, own: Mapping[int, str], wanted: str) -> None:
    """Write the one charge that is wanted; older ones of the same host give way to it: a host is out once.

    What the server granted and what was started on the host, whose numbers are below zero, leave each other alone: only
    the host's word frees a granted Go, and counting a host twice for a moment is the safe way to be wrong.
    """
    mine = host["generation"]
    now = own.get(mine, "")
    given_up = {g: kind for g, kind in own.items() if g != mine and (g < 0) == (mine < 0)} if wanted else {}
    if now == wanted and not given_up:
        return
    held = [now, *given_up.values()]
    in_use = budget.in_use - held.count(IN_USE) + (wanted == IN_USE)
    broken = budget.broken - held.count(BROKEN) + (wanted == BROKEN)
    which = (
        CHARGE.c.agent_id == host["agent_id"],
        CHARGE.c.product == host["product"],
        CHARGE.c.fleet_id == host["fleet_id"],
        CHARGE.c.scope == budget.scope,
        CHARGE.c.generation.in_([mine, *given_up]),
    )
    await tx.execute(sa.delete(CHARGE).where(*which))
    if wanted:
        values = {name: host[name] for name in ("agent_id", "product", "generation", "fleet_id")}
        await tx.execute(sa.insert(CHARGE).values(**values, scope=budget.scope, kind=wanted))
    change = sa.update(BUDGET).where(BUDGET.c.scope == budget.scope).values(in_use=in_use, broken=broken)
    await tx.execute(every_fleet(change, ONE_SCOPE))
