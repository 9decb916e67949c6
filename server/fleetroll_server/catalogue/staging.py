"""Bytes that a commit will list: uploaded before it, under their hash, and listed by nothing until then.

They lie in a folder of their own. A commit takes over those that it lists (:func:`taken_over`); what none has taken
over after a day is deleted, at the next upload or the next start.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from fleetroll_common.durable import sync_dir
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, StoreError
from fleetroll_server.store.tables import ArtifactRow, table_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from fleetroll_server.datafolder import DataFolder
    from fleetroll_server.services import Services
    from fleetroll_server.store import Store

KEPT = timedelta(days=1)
"""How long staged bytes wait for the commit that lists them."""
_ARTIFACT = table_of(ArtifactRow)
_log = structlog.get_logger(__name__)


def is_there(folder: DataFolder, sha256: str, length: int) -> bool:
    """Tell whether the bytes are staged, or listed already."""
    return any(_has(place / sha256, length) for place in (folder.staged, folder.artefacts))


async def is_lost(store: Store, folder: DataFolder, sha256: str, path: str = "") -> bool:
    """Tell whether these bytes are listed, under ``path`` where one is named, and not here.

    So it is after a restore without them, or when hosts have shown a list that the database had lost.
    """
    which = [_ARTIFACT.c.sha256 == sha256, *([_ARTIFACT.c.path == path] if path else [])]
    async with store.read() as connection:
        length = await connection.scalar(sa.select(_ARTIFACT.c.length).where(*which).limit(1))
    return length is not None and not _has(folder.artefacts / sha256, length)


async def stage(services: Services, sha256: str, upload: Path) -> None:
    """Let the durable, hashed ``upload`` wait under its hash, durably; delete what has waited too long.

    Bytes that are listed and were lost wait for nothing: they lie where they belong at once.

    Raises:
        StoreError: the disk refused.
    """
    folder = services.folder
    await asyncio.to_thread(remove_stale, folder, services.clock.now())
    place = folder.artefacts if await is_lost(services.store, folder, sha256) else folder.staged
    try:
        await asyncio.to_thread(_move, upload, place / sha256)
    except OSError as error:
        message = f"the upload could not be stored: {error.strerror}"
        raise StoreError(message, code=Code.STORE_FAILED, remedy="free space on the server") from error


def remove_stale(folder: DataFolder, now: datetime) -> None:
    """Delete what no commit took over in time.

    Raises:
        OSError: the folder can't be read.
    """
    for path in folder.staged.iterdir():
        with suppress(FileNotFoundError):  # a commit took it over at this moment
            staged_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            if now - staged_at > KEPT:
                path.unlink()
                _log.info("staged.removed", file=path.name)


@asynccontextmanager
async def taken_over(services: Services, wanted: Mapping[str, int]) -> AsyncIterator[None]:
    """Let the bytes of new targets lie where listed artefacts do, while a commit lists them.

    If the commit fails, what it did not list waits again. The caller MUST hold
    :attr:`~fleetroll_server.catalogue.catalogue.Catalogue.signing`.

    Args:
        services: the shared parts.
        wanted: length by SHA-256, in hex, of the targets that are new.

    Raises:
        RequestError: CONFLICT: bytes are neither staged nor here; nothing was moved (publisher's fault).
        StoreError: the disk refused.
    """
    folder = services.folder
    for sha256, length in wanted.items():
        if not is_there(folder, sha256, length):
            message = f"targets: the bytes of {sha256[:16]} are not staged"
            raise RequestError(message, code=Code.CONFLICT, remedy="upload them, then commit again", sha256=sha256)
    moved = [sha256 for sha256, length in wanted.items() if not _has(folder.artefacts / sha256, length)]
    try:
        for sha256 in moved:
            await asyncio.to_thread(_move, folder.staged / sha256, folder.artefacts / sha256)
        yield
    except OSError as error:
        await _put_back(folder, services.store, moved)
        message = f"the artefact could not be stored: {error.strerror}"
        raise StoreError(message, code=Code.STORE_FAILED, remedy="free space on the server") from error
    except BaseException:
        await _put_back(folder, services.store, moved)
        raise


async def _put_back(folder: DataFolder, store: Store, moved: list[str]) -> None:
    """Let bytes that no release has wait again."""
    async with store.read() as connection:
        listed = set(await connection.scalars(sa.select(_ARTIFACT.c.sha256).where(_ARTIFACT.c.sha256.in_(moved))))
    for sha256 in moved:
        if sha256 not in listed:
            with suppress(FileNotFoundError):
                await asyncio.to_thread(_move, folder.artefacts / sha256, folder.staged / sha256)


def _has(path: Path, length: int) -> bool:
    """Tell whether a file of this length is there."""
    return path.is_file() and path.stat().st_size == length


def _move(source: Path, target: Path) -> None:
    """Rename, durably: whatever power does, the bytes lie in one of the two places."""
    source.replace(target)
    sync_dir(target.parent)
    sync_dir(source.parent)
