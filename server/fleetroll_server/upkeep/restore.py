"""``fleetroll-server restore``: a new data folder from a backup, whole or not at all.

Everything is built in a folder beside the wanted one, made durable, and moved into place by one rename: as ``init``
does. The database gets the schema of the backup, its rows, then every later migration; then a new incarnation, in
recovery. Stops that are newer than the backup wait in the database for the first start, which carries them out.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from fleetroll_common.durable import sync_dir, sync_tree
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.datafolder import FOLDER_MODE, DataFolder
from fleetroll_server.recovery.minting import mint
from fleetroll_server.recovery.restopping import DONE_KEY, netted, stored
from fleetroll_server.recovery.server_keys import replace_key
from fleetroll_server.recovery.state import STOPS_KEY, Cause, Recovery, incarnation_of, write_meta
from fleetroll_server.recovery.stops import Stop, append, read_every
from fleetroll_server.recovery.suspending import suspend_tokens
from fleetroll_server.secrets import Secrets
from fleetroll_server.store import Store
from fleetroll_server.store.engine import writing_engine
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.migrate import migrate
from fleetroll_server.store.tables import AgentRow, ServerRow, table_of
from fleetroll_server.upkeep import backup_rows
from fleetroll_server.upkeep.backup import NAME
from fleetroll_server.upkeep.backup_format import BackupReader, Record, damaged

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fleetroll_common.values.clock import Clock
    from fleetroll_common.values.ids import IdSource
    from fleetroll_publishing.keys import Passphrase
    from fleetroll_server.store import Tx

AGENT = table_of(AgentRow)
SERVER = table_of(ServerRow)
WHOLE = "the whole database was restored"


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """What was asked for.

    Attributes:
        data: the folder to make; may exist when it is empty.
        source: the backup.
        passphrase: of an encrypted one.
        stops: the lost server's stops.log, or several; empty: nobody has it.
    """

    data: Path
    source: Path
    passphrase: Passphrase | None = None
    stops: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Restored:
    """What was made.

    Attributes:
        recovery: as the server starts with it.
        stops: that are newer than the backup.
        damaged_stops: lines of the file that were passed over.
        artefacts: whether the backup holds the bytes of releases.
    """

    folder: DataFolder
    recovery: Recovery
    stops: int
    damaged_stops: int
    artefacts: bool


async def restore(request: RestoreRequest, clock: Clock, ids: IdSource, url: str = "") -> Restored:
    """Make the data folder; with ``url`` the rows go into that empty database instead of the folder's own file.

    Raises:
        RequestError: the folder is in use, or backup, passphrase or stops can't be used (operator's fault).
        StoreError: the backup is of a newer schema, or the database refuses.
        OSError: the disk refused. In every case nothing of this run is left in ``data``.
    """
    data = request.data.resolve()
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        message = f"data: {data} is in use; nothing was changed"
        raise RequestError(message, code=Code.ALREADY_EXISTS, remedy="name a new or an empty folder", field="data")
    stops, torn = read_every(request.stops)
    building = data.with_name(f".{data.name}.restore")
    if building.exists():
        shutil.rmtree(building)
    data.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder = DataFolder(building)
        folder.make()
        facts = await _fill(folder, url or folder.database_url, request)
        secrets = Secrets.load(folder.secret_key)
        recovery, newer = await _begin(url or folder.database_url, facts, stops, request, (clock, ids, secrets))
        if request.stops:
            folder.stops.unlink(missing_ok=True)
            append(folder.stops, stops)
        sync_tree(building)
        building.rename(data)
        sync_dir(data.parent)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return Restored(DataFolder(data), recovery, newer, torn, bool(facts.get("artefacts")))


async def _fill(folder: DataFolder, url: str, request: RestoreRequest) -> dict[str, Any]:
    """Write files and rows; return the backup's facts."""
    try:
        file = request.source.open("rb")
    except OSError as error:
        message = f"from: {request.source} can't be read: {error.strerror}"
        raise RequestError(message, code=Code.NOT_FOUND, remedy="name the backup's file", field="from") from error
    with file:
        reader = BackupReader(file, request.passphrase)
        _standing(reader.facts)
        engine = writing_engine(url)
        try:
            await migrate(engine, until=str(reader.facts.get("schema") or "none"))
            async with engine.begin() as connection:
                await _load(folder, connection, reader)
        finally:
            await engine.dispose()
        return reader.facts


def _standing(facts: Mapping[str, Any]) -> tuple[datetime, int]:
    """Return when a backup was taken and its newest event's number: what is newer than it is held against them.

    Raises:
        RequestError: INVALID_ARGUMENT: its header does not say so (whoever wrote it).
    """
    said, sequence = facts.get("taken_at"), facts.get("events")
    try:
        taken_at = datetime.fromisoformat(said) if type(said) is str else None
    except ValueError:
        taken_at = None
    if taken_at is None or taken_at.utcoffset() is None:
        raise damaged("its header does not say when it was taken")
    if type(sequence) is not int or sequence < 0:
        raise damaged("its header does not say which event was its last")
    return taken_at.astimezone(UTC), sequence


async def _load(folder: DataFolder, connection: Any, reader: BackupReader) -> None:  # noqa: ANN401 (AsyncConnection)
    """Take every record in; the last one says how much there has to be."""
    schema = await backup_rows.schema_of(connection)
    await backup_rows.empty(connection, schema)
    rows = files = 0
    ended = False
    for record in reader.records():
        kind = record.head.get("kind")
        try:
            if kind == "rows":
                rows += await backup_rows.load(connection, schema.tables[record.head["table"]], record.body)
            elif kind == "file":
                files += _write(folder, record)
            elif kind == "end":
                ended = (rows, files) == (record.head["rows"], record.head["files"])
        except (KeyError, TypeError, ValueError, DBAPIError) as error:
            raise damaged(f"a part of it can't be taken in ({type(error).__name__})") from error
    if not ended:
        raise damaged("it does not hold what it says")


def _write(folder: DataFolder, record: Record) -> int:
    """Write a piece of a file; return 1 for the first one."""
    name, first = str(record.head["path"]), bool(record.head["first"])
    if NAME.fullmatch(name) is None:
        raise damaged(f"it holds a file that no server has: {name[:80]!r}")
    path = folder.path / name
    path.parent.mkdir(mode=FOLDER_MODE, exist_ok=True)
    with path.open("xb" if first else "ab") as file:
        path.chmod(int(record.head["mode"]) & 0o744)
        file.write(record.body)
    return int(first)


async def _begin(
    url: str,
    facts: Mapping[str, Any],
    stops: list[Stop],
    request: RestoreRequest,
    mine: tuple[Clock, IdSource, Secrets],
) -> tuple[Recovery, int]:
    """Bring the schema up to date and let the recovery begin; return it, and how many stops wait."""
    clock, ids, secrets = mine
    taken_at, sequence = _standing(facts)
    store = await Store.open(url, clock)

    async def job(tx: Tx) -> tuple[Recovery, int]:
        incarnation = await incarnation_of(tx.connection)
        newer = [stop for stop in stops if stop.is_after(incarnation, sequence, taken_at)]
        last = max((stop.at for stop in newer), default=taken_at)
        suspended = 0 if request.stops else await suspend_tokens(tx)
        await tx.execute(sa.delete(SERVER))
        gone = {"server_id": "", "online_until": None}
        await tx.execute(every_fleet(sa.update(AGENT).values(**gone), WHOLE))
        recovery = Recovery(
            Cause.RESTORED,
            since=tx.now,
            taken_at=taken_at,
            stops_read=bool(request.stops),
            blind_from=max(last, taken_at),
            suspended_tokens=suspended,
        )
        await mint(tx, ids.new("inc"), recovery)
        await replace_key(tx, secrets, ids)
        await write_meta(tx, DONE_KEY, None)
        await write_meta(tx, STOPS_KEY, stored(netted(newer)) if newer else None)
        return recovery, len(newer)

    try:
        return await store.writer.command(job)
    finally:
        await store.close()
