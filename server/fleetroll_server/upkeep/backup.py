"""``fleetroll-server backup``: everything that a server is, in one file, while it runs.

The rows come from one read transaction, so they belong together; the files beside them never change in place, or are
written anew as a whole. Those of the CA belong together as well, and a switch writes several: they are read until two
looks in a row have found the same. One that began and has not ended is then finished by the restored server. Not in it:
the root keys, which do not lie here; uploads that were not accepted yet.
"""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.buildinfo import build_info
from fleetroll_common.durable import free_name, sync_dir
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.installation import load_installation
from fleetroll_server.secrets import Secrets
from fleetroll_server.settings import load_settings
from fleetroll_server.store import Store
from fleetroll_server.store.outcomes import EVENT_COUNTER
from fleetroll_server.store.tables import CounterRow, table_of
from fleetroll_server.upkeep import backup_rows
from fleetroll_server.upkeep.backup_format import FRAME_BYTES, BackupWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_common.values.clock import Clock
    from fleetroll_publishing.keys import Passphrase
    from fleetroll_server.datafolder import DataFolder

COUNTER = table_of(CounterRow)
FILES = ("fleetroll-server.toml", "secret.key", "admin.token")
STOPS = "stops.log"
NAME = re.compile(
    r"fleetroll-server\.toml|secret\.key|admin\.token|stops\.log|tls/[a-z0-9][a-z0-9.-]{0,63}|artefacts/[0-9a-f]{64}"
)
"""What may stand in a backup: a restore writes nothing else."""
LOOKS, LOOK_SECONDS = 100, 0.05
"""At the files of the CA. A switch writes some five small ones; on a slow disk that takes a second."""

_Content = dict[str, tuple[bytes, int]]
"""Bytes and mode, by the name in the backup."""


@dataclass(frozen=True, slots=True)
class BackupRequest:
    """What was asked for.

    Attributes:
        out: the file to make; MUST not be there.
        passphrase: protects it; None leaves every secret of the server readable in it.
        artefacts: the bytes of releases too. Without them they have to be uploaded again, or copied.
    """

    out: Path
    passphrase: Passphrase | None
    artefacts: bool = True


@dataclass(frozen=True, slots=True)
class Made:
    """What a backup holds."""

    rows: int
    files: int
    bytes: int


async def back_up(folder: DataFolder, url: str, request: BackupRequest, clock: Clock) -> Made:
    """Write a backup of the server in ``folder``, whose database is at ``url``.

    Raises:
        RequestError: the file is there already, or there is no server (operator's fault); UNAVAILABLE: the files of
            the CA do not come to rest.
        StoreError: the database can't be read.
        OSError: the disk refused; nothing is left of the file.
    """
    if request.out.exists():
        message = f"out: {request.out} exists; nothing was written"
        raise RequestError(message, code=Code.ALREADY_EXISTS, remedy="name a new file", field="out")
    secrets = Secrets.load(folder.secret_key)
    staged = free_name(request.out.with_name(f".{request.out.name}.new"))
    handle = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            async with Store.peek(url) as connection:
                await load_installation(connection, secrets)
                made = await _write(file, connection, folder, request, clock)
            file.flush()
            os.fsync(file.fileno())
        staged.rename(request.out)
        sync_dir(request.out.parent)
    except BaseException:
        with suppress(OSError):
            staged.unlink(missing_ok=True)
        raise
    return made


async def _write(
    file: IO[bytes], connection: AsyncConnection, folder: DataFolder, request: BackupRequest, clock: Clock
) -> Made:
    """Write header, rows and files."""
    at = clock.now()
    facts = {
        "taken_at": at.isoformat(),
        "program": build_info().shown,
        "schema": await backup_rows.revision_of(connection),
        "events": int(await connection.scalar(sa.select(COUNTER.c.value).where(COUNTER.c.name == EVENT_COUNTER)) or 0),
        "artefacts": request.artefacts,
    }
    writer = BackupWriter(file, facts, request.passphrase)
    rows = files = 0
    async for table, part in backup_rows.parts(connection, await backup_rows.schema_of(connection)):
        writer.add({"kind": "rows", "table": table}, part)
        rows += part.count(b"\n") + 1
    for name, path in _files(folder, artefacts=request.artefacts):
        files += 1
        for piece, is_first in _pieces(path):
            writer.add({"kind": "file", "path": name, "first": is_first, "mode": path.stat().st_mode & 0o777}, piece)
    for name, (data, mode) in (await _settled(folder.tls)).items():
        files += 1
        writer.add({"kind": "file", "path": name, "first": True, "mode": mode}, data)
    writer.add({"kind": "end", "rows": rows, "files": files}, b"")
    writer.close()
    return Made(rows, files, file.tell())


def _files(folder: DataFolder, *, artefacts: bool) -> Iterator[tuple[str, Path]]:
    """Yield the files that belong to a server, but for those of its CA, by their names in the backup."""
    for name in FILES:
        if (folder.path / name).is_file():
            yield name, folder.path / name
    stops = load_settings(folder.settings).stops_log or folder.stops
    if stops.is_file():
        yield STOPS, stops
    if artefacts:
        yield from _in_room(folder.artefacts)


def _in_room(room: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(room.iterdir()):
        name = f"{room.name}/{path.name}"
        if path.is_file() and NAME.fullmatch(name):
            yield name, path


async def _settled(room: Path) -> _Content:
    """Return the small files of a folder as two looks in a row have found them.

    Raises:
        RequestError: UNAVAILABLE: they went on changing.
    """
    before = _looked(room)
    for _ in range(LOOKS):
        await asyncio.sleep(LOOK_SECONDS)
        after = _looked(room)
        if after is not None and after == before:
            return after
        before = after
    message = f"{room.name}: its files went on changing for {LOOKS * LOOK_SECONDS:g} s; nothing was written"
    raise RequestError(message, code=Code.UNAVAILABLE, remedy="try again when no CA is being switched", field=room.name)


def _looked(room: Path) -> _Content | None:
    """Return what is in the folder; nothing when a file went while it was looked at."""
    try:
        return {name: (path.read_bytes(), path.stat().st_mode & 0o777) for name, path in _in_room(room)}
    except FileNotFoundError:
        return None


def _pieces(path: Path) -> Iterator[tuple[bytes, bool]]:
    """Yield a file in pieces, each with whether it is the first; an empty file is one."""
    with path.open("rb") as file:
        first = True
        while (piece := file.read(FRAME_BYTES)) or first:
            yield piece, first
            first = False
