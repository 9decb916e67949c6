"""Alarms that come in steps: each step is said once, by whichever process sees it first; what is over is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.store.tables import MetaRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_server.store import Tx

_META = table_of(MetaRow)


async def unsaid(tx: Tx, prefix: str, steps: Mapping[str, int]) -> set[str]:
    """Return the rows whose step was not said yet, and take note that it is said with this transaction.

    Args:
        tx: the transaction in which the caller emits what is returned.
        prefix: of the rows of this sort of alarm in the meta table.
        steps: by row, which begins with ``prefix``, the days of the step that was passed; what is not there is over.
    """
    rows = await tx.execute(sa.select(_META.c.key, _META.c.value).where(_META.c.key.startswith(prefix)))
    said = {row.key: row.value for row in rows}
    over = sorted(set(said) - set(steps))
    if over:
        await tx.execute(sa.delete(_META).where(_META.c.key.in_(over)))
    fresh = {row for row, days in steps.items() if said.get(row) != str(days)}
    for row in sorted(fresh):
        value = str(steps[row])
        if row in said:
            await tx.execute(sa.update(_META).where(_META.c.key == row).values(value=value))
        else:
            await tx.execute(sa.insert(_META).values(key=row, value=value))
    return fresh
