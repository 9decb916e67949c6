"""How much of a host's journal is held: also of one that it had before, and has again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_server.store.tables import ReportRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_server.store.tx import Tx

REPORT = table_of(ReportRow)


async def held_sequence(tx: Tx, agent: Mapping[Any, Any], journal_id: str) -> int:
    """Return the highest contiguous sequence of the journal that is durable; 0 for a journal that nobody has seen.

    Args:
        tx: the transaction of a hello.
        agent: the agent's row, as it was before this hello.
        journal_id: what the hello names. Another one than the row's comes from a copy, a restored snapshot, or a host
            that lost its journal; the reports that are stored say how far it got.
    """
    if agent["journal_id"] == journal_id:
        known: int = agent["last_sequence"]
        return known
    query = sa.select(sa.func.max(REPORT.c.sequence)).where(
        REPORT.c.agent_id == agent["id"], REPORT.c.fleet_id == agent["fleet_id"], REPORT.c.journal_id == journal_id
    )
    return (await tx.execute(query)).scalar_one_or_none() or 0
