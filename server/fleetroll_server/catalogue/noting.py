"""Notes of releases: for people, and not signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.catalogue import reads
from fleetroll_server.store import EventFact
from fleetroll_server.store.tables import ReleaseRow, table_of

if TYPE_CHECKING:
    from fleetroll_server.access.caller import Caller
    from fleetroll_server.catalogue.values import Release
    from fleetroll_server.store import Tx

_RELEASE = table_of(ReleaseRow)


async def set_notes(tx: Tx, product: str, version: str, notes: str, caller: Caller) -> Release:
    """Replace the notes of a release, also of one that is listed no more.

    Raises:
        RequestError: NOT_FOUND (caller's fault).
    """
    await reads.release(tx.connection, product, version)
    which = (_RELEASE.c.product == product, _RELEASE.c.version == version)
    await tx.execute(sa.update(_RELEASE).where(*which).values(notes=notes))
    fact = EventFact(
        fleet_id="",
        kind="release.notes",
        actor_kind=caller.actor_kind,
        actor_id=caller.actor_id,
        message=f"{product} {version}",
        facts={"product": product, "version": version},
    )
    tx.emit(fact)
    return await reads.release(tx.connection, product, version)
