"""All rows of a database as text that any engine takes back: a logical dump, by the schema that is found.

Values of JSON stand as they are; bytes, instants and JSON columns are marked, so that no engine's own text is in it.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_server.store.fleets import every_fleet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

REVISIONS = "alembic_version"
ROWS = 500
WHOLE = "a backup is of the whole database"
PART_BYTES = 1 << 20


async def schema_of(connection: AsyncConnection) -> sa.MetaData:
    """Return the tables as they are."""
    found = sa.MetaData()
    await connection.run_sync(found.reflect)
    return found


async def revision_of(connection: AsyncConnection) -> str:
    """Return the revision of the schema; empty where there is none."""
    table = sa.table(REVISIONS, sa.column("version_num"))
    return str(await connection.scalar(sa.select(table.c.version_num)) or "")


async def parts(connection: AsyncConnection, schema: sa.MetaData) -> AsyncIterator[tuple[str, bytes]]:
    """Yield the rows of every table in parts, parents first: the table's name, and lines of JSON."""
    for table in schema.sorted_tables:
        if table.name == REVISIONS:
            continue
        lines: list[bytes] = []
        size = 0
        rows = await connection.stream(every_fleet(sa.select(table), WHOLE))
        async for row in rows.mappings():
            lines.append(json.dumps({name: _plain(value) for name, value in row.items()}).encode())
            size += len(lines[-1])
            if size >= PART_BYTES:
                yield table.name, b"\n".join(lines)
                lines, size = [], 0
        if lines:
            yield table.name, b"\n".join(lines)


async def empty(connection: AsyncConnection, schema: sa.MetaData) -> None:
    """Delete what migrations have written by themselves."""
    for table in reversed(schema.sorted_tables):
        if table.name != REVISIONS:
            await connection.execute(every_fleet(sa.delete(table), WHOLE))


async def load(connection: AsyncConnection, table: sa.Table, part: bytes) -> int:
    """Insert one part; return how many rows it had.

    Raises:
        ValueError, KeyError, TypeError: it is none.
        DBAPIError: the rows don't fit.
    """
    rows = [{name: _value(value) for name, value in json.loads(line).items()} for line in part.split(b"\n")]
    for some in _some(rows):
        await connection.execute(sa.insert(table), some)
    return len(rows)


def _some(rows: Sequence[dict[str, Any]]) -> Iterable[Sequence[dict[str, Any]]]:
    return (rows[first : first + ROWS] for first in range(0, len(rows), ROWS))


def _plain(value: Any) -> Any:  # noqa: ANN401 (a column's value)
    """Return a value as JSON."""
    if isinstance(value, bytes | memoryview):
        return {"b": base64.b64encode(bytes(value)).decode("ascii")}
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return {"t": aware.astimezone(UTC).isoformat()}
    return {"j": value} if isinstance(value, dict | list) else value


def _value(plain: Any) -> Any:  # noqa: ANN401 (as above)
    """Return what :func:`_plain` was made of; instants in UTC."""
    if not isinstance(plain, dict):
        return plain
    ((mark, said),) = plain.items()
    if mark == "b":
        return base64.b64decode(said, validate=True)
    return datetime.fromisoformat(said) if mark == "t" else said
