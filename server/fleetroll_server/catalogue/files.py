"""The files of artefacts on this server's disk, by their SHA-256."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from fleetroll_server.store.tables import ArtifactRow, table_of

if TYPE_CHECKING:
    from fleetroll_server.datafolder import DataFolder
    from fleetroll_server.store import Store

_ARTIFACT = table_of(ArtifactRow)
_log = structlog.get_logger(__name__)


async def remove_leftovers(folder: DataFolder, store: Store) -> None:
    """Take away what an earlier process left: unfinished uploads, and artefacts whose publishing never was committed.

    MUST run before anything is published: a file lies there before its row does.

    Raises:
        StoreError: the database can't be read.
        OSError: the folder can't be read or written.
    """
    folder.make()
    async with store.read() as connection:
        known = set((await connection.scalars(sa.select(_ARTIFACT.c.sha256))).all())
    unknown = [path for path in folder.artefacts.iterdir() if path.name not in known]
    for path in (*folder.spool.iterdir(), *unknown):
        path.unlink()
        _log.info("artefacts.leftover_removed", file=path.name)
