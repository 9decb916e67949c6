"""The files of artefacts on this server's disk, by their SHA-256."""

from __future__ import annotations

import asyncio
import mmap
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from fleetroll_common.durable import sync_dir
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import StoreError
from fleetroll_common.wire.channel import CHUNK_BYTES
from fleetroll_server.store.tables import ArtifactRow, table_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fleetroll_common.values.ids import IdSource
    from fleetroll_server.datafolder import DataFolder
    from fleetroll_server.store import Store

_ARTIFACT = table_of(ArtifactRow)
_UPLOAD = "upload"
_log = structlog.get_logger(__name__)


def upload_name(ids: IdSource) -> str:
    """Return a name for an upload, by which the next start knows that it was never finished."""
    return ids.new(_UPLOAD)


async def remove_leftovers(folder: DataFolder, store: Store) -> None:
    """Take away the uploads that an earlier process did not finish.

    An artefact that the database does not list stays where it is and is named in the log: it may be one whose
    publishing was cut off before its commit, but as well one of a newer database than the backup that was brought back,
    and then nothing else has its bytes.

    MUST run before anything is published: a file lies there before its row does.

    Raises:
        StoreError: the database can't be read.
        OSError: the folder can't be read or written.
    """
    folder.make()
    for path in folder.spool.glob(f"{_UPLOAD}*"):
        if path.is_file():
            path.unlink()
            _log.info("uploads.leftover_removed", file=path.name)
    async with store.read() as connection:
        listed = set((await connection.scalars(sa.select(_ARTIFACT.c.sha256))).all())
    for path in sorted(folder.artefacts.iterdir()):
        if path.name not in listed:
            _log.warning("artefacts.not_listed", file=str(path), remedy="delete it if no other database lists it")


async def keep(folder: DataFolder, sha256: str, upload: Path) -> None:
    """Move the durable ``upload`` under its hash, durably.

    Raises:
        StoreError: the disk refused.
    """
    kept = folder.artefacts / sha256
    try:
        await asyncio.to_thread(upload.replace, kept)
        await asyncio.to_thread(sync_dir, kept.parent)
    except OSError as error:
        message = f"the artefact could not be stored: {error.strerror}"
        raise StoreError(message, code=Code.STORE_FAILED, remedy="free space on the server") from error


async def drop_unlisted(folder: DataFolder, store: Store, sha256: str) -> None:
    """Delete an artefact's file if no release has it. Only for whoever holds the lock under which files are kept.

    Raises:
        StoreError: the database can't be read.
        OSError: the disk refused.
    """
    async with store.read() as connection:
        listed = await connection.scalar(sa.select(_ARTIFACT.c.sha256).where(_ARTIFACT.c.sha256 == sha256).limit(1))
    if listed is None:
        await asyncio.to_thread((folder.artefacts / sha256).unlink, missing_ok=True)


def chunks(path: Path, offset: int, length: int) -> Iterator[bytes]:
    """Return an artefact's bytes from ``offset`` on, mapped: one copy a chunk, the fastest way that was measured.

    Raises:
        StoreError: the file is not what was published (our fault).
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            if len(mapped) != length:
                raise _lost(path)
            while offset < length:
                yield mapped[offset : offset + CHUNK_BYTES]
                offset += CHUNK_BYTES
    except (OSError, ValueError) as error:
        raise _lost(path) from error


def _lost(path: Path) -> StoreError:
    """Return the error about a file that is missing or of another length."""
    message = f"the artefact {path.name[:16]} is missing or damaged on the server"
    return StoreError(message, code=Code.STORE_FAILED, remedy="publish the release again under a new version")
