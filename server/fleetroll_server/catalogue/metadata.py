"""The repository's signed files in the database: reading the newest ones, adding the next ones.

Every file but ``timestamp.json`` carries its version in its name and never changes. Only the files that the newest
timestamp leads to, and every root, are needed to sign the next ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from fleetroll_common.trust.library import Metadata, Snapshot, Timestamp
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.roles import TIMESTAMP_FILE, file_name, read_role
from fleetroll_server.store.tables import MetadataFileRow, table_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_server.store import Tx

_FILES = table_of(MetadataFileRow)
_ROOTS = "%.root.json"
_TARGETS = "%.targets.json"


async def current_files(connection: AsyncConnection) -> dict[str, bytes]:
    """Return all roots and the newest file of every other role, by name.

    Raises:
        StoreError: a file is missing or unreadable (our fault).
    """
    files = await _fetch(connection, sa.or_(_FILES.c.name.like(_ROOTS), _FILES.c.name == TIMESTAMP_FILE))
    timestamp: Timestamp = read_role(files, Timestamp, TIMESTAMP_FILE)
    snapshot_name = file_name("snapshot", timestamp.snapshot_meta.version)
    files |= await _named(connection, [snapshot_name])
    snapshot: Snapshot = read_role(files, Snapshot, snapshot_name)
    names = [file_name(meta.removesuffix(".json"), listed.version) for meta, listed in snapshot.meta.items()]
    return files | await _named(connection, names)


async def naming_files(connection: AsyncConnection) -> tuple[dict[str, bytes], dict[str, datetime]]:
    """Return every root and every top-level targets role there ever was, and when each was stored, by name."""
    which = sa.or_(_FILES.c.name.like(_ROOTS), _FILES.c.name.like(_TARGETS))
    rows = (await connection.execute(sa.select(_FILES).where(which))).mappings().all()
    return {row["name"]: row["payload"] for row in rows}, {row["name"]: row["stored_at"] for row in rows}


async def one_file(connection: AsyncConnection, name: str) -> bytes:
    """Return the file ``name``.

    Raises:
        RequestError: NOT_FOUND (caller's fault; a client asks for the next root until there is none).
    """
    files = await _named(connection, [name])
    if name not in files:
        message = f"name: there is no metadata file {name[:200]!r}"
        raise RequestError(message, code=Code.NOT_FOUND, field="name")
    return files[name]


async def add_files(tx: Tx, old: Mapping[str, bytes], new: Mapping[str, bytes], replaced: Collection[str] = ()) -> None:
    """Store what signing made of ``old``: new names are inserted, the timestamp is exchanged while it is the old one.

    Args:
        tx: the transaction.
        old: the newest files as they were.
        new: what follows them.
        replaced: names in ``new`` under which another file lies that nothing leads to any more.

    Raises:
        RequestError: CONFLICT: somebody else signed meanwhile; read again and retry.
    """
    rows = [
        {"name": name, "payload": data, "stored_at": tx.now} for name, data in new.items() if name != TIMESTAMP_FILE
    ]
    if replaced:
        await tx.execute(sa.delete(_FILES).where(_FILES.c.name.in_(list(replaced))))
    try:
        if rows:
            await tx.execute(sa.insert(_FILES), rows)
    except IntegrityError as error:
        raise _conflict() from error
    exchange = (
        sa.update(_FILES)
        .where(_FILES.c.name == TIMESTAMP_FILE, _FILES.c.payload == old[TIMESTAMP_FILE])
        .values(payload=new[TIMESTAMP_FILE], stored_at=tx.now)
    )
    if (await tx.execute(exchange)).rowcount != 1:
        raise _conflict()


def timestamp_version(files: Mapping[str, bytes]) -> int:
    """Return the version of the timestamp in ``files``."""
    return int(Metadata.from_bytes(files[TIMESTAMP_FILE]).signed.version)


async def _named(connection: AsyncConnection, names: Iterable[str]) -> dict[str, bytes]:
    """Return those of ``names`` that are there."""
    return await _fetch(connection, _FILES.c.name.in_(list(names)))


async def _fetch(connection: AsyncConnection, which: sa.ColumnElement[bool]) -> dict[str, bytes]:
    """Return files by name."""
    rows = await connection.execute(sa.select(_FILES.c.name, _FILES.c.payload).where(which))
    return {name: payload for name, payload in rows}  # noqa: C416 (rows are no pairs to a type checker)


def _conflict() -> RequestError:
    """Return the error of the second of two who signed from the same files."""
    message = "release metadata: somebody else published meanwhile"
    return RequestError(message, code=Code.CONFLICT, remedy="publish again: the newest metadata is taken then")
