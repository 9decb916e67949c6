"""The count of a host's generations: which number is free, and its new beginning where the host can't follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_server.domain.generations import is_out_of_reach, next_generation
from fleetroll_server.store.tables import AssignmentRow, AttemptHistoryRow, RolloutHostRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_server.store.tx import Tx

ASSIGNMENT = table_of(AssignmentRow)
ATTEMPTS = (table_of(RolloutHostRow), table_of(AttemptHistoryRow))
PAGE = 1000
"""Numbers that one statement looks at."""


async def free_generation(tx: Tx, agent_id: str, fleet_id: str, product: str, stored: int, highest: int) -> int:
    """Return the next generation, which no attempt has or had: they are known by it.

    Args:
        tx: the transaction that uses it.
        agent_id: the host.
        fleet_id: its fleet.
        product: the product.
        stored: the highest of this count, >= 0.
        highest: what the host's hello said.
    """
    while True:
        first = next_generation(stored, highest)
        used = await _used(tx, agent_id, fleet_id, product, first)
        found = next_generation(stored, highest, used)
        if found < first + PAGE:
            return found
        stored = found - 1


async def begin_anew(tx: Tx, agent_id: str, fleet_id: str, highest: Mapping[str, int]) -> frozenset[str]:
    """Let counts that the host can't follow go on from what its hello shows; return the products.

    That nothing is desired is said again under a number that the host takes: it may still hold an attempt. A version is
    not: who offers it gives it a number of the new count.

    Args:
        tx: the transaction of the hello.
        agent_id: the host, in no doubt.
        fleet_id: its fleet.
        highest: what the hello shows, by product.
    """
    mine = (ASSIGNMENT.c.agent_id == agent_id, ASSIGNMENT.c.fleet_id == fleet_id)
    query = sa.select(ASSIGNMENT.c.product, ASSIGNMENT.c.generation, ASSIGNMENT.c.version).where(*mine)
    anew = set()
    for row in (await tx.execute(query)).all():
        if row.product not in highest or not is_out_of_reach(row.generation, highest[row.product]):
            continue
        shown = max(0, highest[row.product])
        values: dict[str, Any] = {"generation": shown, "excused": False}  # what is owed stays owed
        if not row.version:
            values = {"generation": await free_generation(tx, agent_id, fleet_id, row.product, 0, shown)}
        await tx.execute(sa.update(ASSIGNMENT).where(*mine, ASSIGNMENT.c.product == row.product).values(**values))
        anew.add(row.product)
    return frozenset(anew)


async def _used(tx: Tx, agent_id: str, fleet_id: str, product: str, first: int) -> frozenset[int]:
    """Return which of :data:`PAGE` numbers from ``first`` on attempts have or had."""
    queries = [
        sa.select(table.c.generation).where(
            table.c.agent_id == agent_id,
            table.c.product == product,
            table.c.fleet_id == fleet_id,
            table.c.generation.between(first, first + PAGE - 1),
        )
        for table in ATTEMPTS
    ]
    return frozenset((await tx.execute(sa.union_all(*queries))).scalars())
