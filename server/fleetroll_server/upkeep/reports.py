"""Old reports: which rows may go, one page of the table after the other.

Kept whatever their age: the highest row of each journal, by which a hello learns how far the journal is held, and the
rows of attempts whose rollout has not ended.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AttemptHistoryRow, ReportRow, RolloutHostRow, RolloutRow, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from fleetroll_server.store.tx import Tx

REPORT = table_of(ReportRow)
ROLLOUT = table_of(RolloutRow)
PAGE_ROWS = 500
"""Rows that one transaction looks at: a few milliseconds, so that no command waits for more."""


class Place(NamedTuple):
    """A primary key of the table: how far a walk has come."""

    agent_id: str
    journal_id: str
    sequence: int


START = Place("", "", 0)


async def prune_page(tx: Tx, after: Place, age: timedelta) -> Place | None:
    """Delete what may go of the page behind ``after``; return where the next one begins, nothing at the end.

    Args:
        tx: the transaction.
        after: where the page begins: :data:`START`, or what the last call returned.
        age: rows that were received earlier than so long ago may go.
    """
    key = sa.tuple_(REPORT.c.agent_id, REPORT.c.journal_id, REPORT.c.sequence)
    query = (
        sa.select(*key.clauses, REPORT.c.fleet_id, REPORT.c.received_at)
        .where(key > tuple(after))
        .order_by(*key.clauses)
        .limit(PAGE_ROWS)
    )
    page = (await tx.execute(every_fleet(query, "reports grow old for all"))).all()
    before = tx.now - age
    if stretches := _stretches(page, before):
        await tx.execute(_DELETE, stretches)
    if len(page) < PAGE_ROWS:
        return None
    return Place(page[-1].agent_id, page[-1].journal_id, page[-1].sequence)


def _stretches(page: Sequence[sa.Row[Any]], before: datetime) -> list[dict[str, Any]]:
    """Return the page as one stretch of sequences for each journal that has old rows in it."""
    stretches: list[dict[str, Any]] = []
    for journal, group in groupby(page, lambda row: (row.agent_id, row.journal_id, row.fleet_id)):
        old = [row.sequence for row in group if row.received_at < before]
        if old:
            names = dict(zip(("in_agent", "in_journal", "in_fleet"), journal, strict=True))
            stretches.append({**names, "first": old[0], "last": old[-1], "before": before})
    return stretches


def _is_open(table: sa.Table) -> sa.ColumnElement[bool]:
    """Return the condition that ``table`` knows the report's attempt as one of a rollout that has not ended."""
    return (
        sa.select(sa.literal(1))
        .where(
            table.c.agent_id == REPORT.c.agent_id,
            table.c.product == REPORT.c.product,
            table.c.generation == REPORT.c.generation,
            table.c.fleet_id == REPORT.c.fleet_id,
            ROLLOUT.c.id == table.c.rollout_id,
            ROLLOUT.c.fleet_id == table.c.fleet_id,
            ROLLOUT.c.ended_at.is_(None),
        )
        .correlate(REPORT)
        .exists()
    )


def _statement() -> sa.Delete:
    """Return the deletion of what may go of one stretch."""
    newer = REPORT.alias("newer")
    highest = (
        sa.select(sa.func.max(newer.c.sequence))
        .where(
            newer.c.agent_id == sa.bindparam("in_agent"),
            newer.c.journal_id == sa.bindparam("in_journal"),
            newer.c.fleet_id == sa.bindparam("in_fleet"),
        )
        .scalar_subquery()
    )
    return sa.delete(REPORT).where(
        REPORT.c.agent_id == sa.bindparam("in_agent"),
        REPORT.c.journal_id == sa.bindparam("in_journal"),
        REPORT.c.fleet_id == sa.bindparam("in_fleet"),
        REPORT.c.sequence.between(sa.bindparam("first"), sa.bindparam("last")),
        REPORT.c.received_at < sa.bindparam("before"),
        REPORT.c.sequence < highest,
        ~_is_open(table_of(RolloutHostRow)),
        ~_is_open(table_of(AttemptHistoryRow)),
    )


_DELETE = _statement()
