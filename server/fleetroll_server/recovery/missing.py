"""Signed roles that hosts have seen in a newer version than the server has: what people have to bring back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_publishing.roles import meta_name
from fleetroll_server.recovery.state import RECOVERY_KEY, recovery_of, write_meta
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import SuspensionRow, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_publishing.roles import Repository
    from fleetroll_server.recovery.state import Recovery
    from fleetroll_server.store import Tx

SUSPENSION = table_of(SuspensionRow)


async def locked_recovery(tx: Tx) -> Recovery | None:
    """Return the recovery; until the transaction ends nobody ends it."""
    rows = sa.select(SUSPENSION.c.scope).order_by(SUSPENSION.c.scope).with_for_update()
    await tx.execute(every_fleet(rows, "a recovery is of the whole database"))
    return await recovery_of(tx.connection)


async def note_missing(tx: Tx, missing: Mapping[str, int], refused: Mapping[str, str]) -> None:
    """Remember the highest version of each role that was named; behind the lock of whoever ends the recovery."""
    recovery = await locked_recovery(tx)
    if recovery is None:
        return
    highest = {role: max(version, recovery.missing.get(role, 0)) for role, version in missing.items()}
    noted = replace(recovery, missing={**recovery.missing, **highest}, refused={**recovery.refused, **refused})
    if noted != recovery:
        await write_meta(tx, RECOVERY_KEY, noted.to_json())


def still_missing(recovery: Recovery, repository: Repository) -> dict[str, int]:
    """Return what of it the server does not have until now."""
    listed = {name: meta.version for name, meta in repository.snapshot.meta.items()}
    listed[meta_name("root")] = repository.root.version
    return {
        role: version for role, version in sorted(recovery.missing.items()) if listed.get(meta_name(role), 0) < version
    }
