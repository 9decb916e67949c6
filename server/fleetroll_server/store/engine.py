"""Engines: how SQLite and PostgreSQL are opened so that both keep the same promises.

SQLite: WAL, ``synchronous=FULL``, foreign keys on, real transactions (the driver of Python 3.11 commits by itself
before DDL unless ``isolation_level`` is None and BEGIN is said by hand). Writers say BEGIN IMMEDIATE,
readers only read.
PostgreSQL: the writer at READ COMMITTED, readers at REPEATABLE READ, read only; every wait ends.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import await_only

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Connection
    from sqlalchemy.ext.asyncio import AsyncEngine

SQLITE = "sqlite+aiosqlite"
POSTGRESQL = "postgresql+asyncpg"

BUSY_SECONDS = 10.0
"""How long SQLite waits for a foreign writer (a copy by a backup tool); below the limit of a job."""
_AGAIN_SECONDS = 0.02
"""How soon a database that is being opened by someone else is tried again."""
_PRIMARY = 0xFF
"""The part of SQLite's code that is the kind of error; the rest is its variant."""
READERS = 8
"""Connections that read at the same time: reads are short, and two cores serve no more."""
_PG_WAITS_MS = {"lock_timeout": "10000", "statement_timeout": "20000", "idle_in_transaction_session_timeout": "60000"}


def writing_engine(url: str) -> AsyncEngine:
    """Return an engine with exactly one connection, for migrations and the writer.

    Raises:
        RequestError: ``url`` is for another database or driver (operator's fault).
    """
    parsed = _checked(url)
    if parsed.drivername == POSTGRESQL:
        return create_async_engine(parsed, pool_size=1, max_overflow=0, pool_pre_ping=True, connect_args=_pg_args())
    engine = create_async_engine(parsed, pool_size=1, max_overflow=0, connect_args=_sqlite_args())
    event.listen(engine.sync_engine, "connect", _open_sqlite_writer)
    event.listen(engine.sync_engine, "begin", _begin_immediate)
    return engine


def reading_engine(url: str) -> AsyncEngine:
    """Return an engine whose transactions are snapshots and can't write.

    Raises:
        RequestError: ``url`` is for another database or driver (operator's fault).
    """
    parsed = _checked(url)
    if parsed.drivername == POSTGRESQL:
        return create_async_engine(
            parsed,
            pool_size=READERS,
            max_overflow=0,
            pool_pre_ping=True,
            isolation_level="REPEATABLE READ",
            connect_args=_pg_args(default_transaction_read_only="on"),
        )
    engine = create_async_engine(parsed, pool_size=READERS, max_overflow=0, connect_args=_sqlite_args())
    event.listen(engine.sync_engine, "connect", _open_sqlite_reader)
    event.listen(engine.sync_engine, "begin", _begin_deferred)
    return engine


def _checked(url: str) -> URL:
    """Return the parsed URL of a database that this program knows."""
    parsed = make_url(url)
    if parsed.drivername not in {SQLITE, POSTGRESQL} or (parsed.drivername == SQLITE and not parsed.database):
        message = f"database: {parsed.drivername!r} with {parsed.database!r} can't be used"
        remedy = f"use {SQLITE}:///<file> or {POSTGRESQL}://<user>@<host>/<database>"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="database")
    return parsed


def _sqlite_args() -> dict[str, Any]:
    """Return what the driver is opened with: no transactions of its own."""
    return {"isolation_level": None, "timeout": BUSY_SECONDS}


def _pg_args(**settings: str) -> dict[str, Any]:
    """Return what the driver is opened with: UTC, and an end to every wait."""
    return {"server_settings": {"timezone": "UTC", **_PG_WAITS_MS, **settings}}


def _open_sqlite_writer(dbapi: Any, _record: object) -> None:  # noqa: ANN401 (a driver's connection has no type)
    """Set what SQLite forgets with each connection."""
    _enter_wal(dbapi)
    _pragmas(dbapi, "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY")


def _enter_wal(dbapi: Any) -> None:  # noqa: ANN401 (as above)
    """Turn the write-ahead log on, with the patience of every other wait.

    SQLite does not wait here for a writer of the old journal, whatever its timeout: two servers that make one
    database at the same time would refuse each other.
    """
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return _pragmas(dbapi, "journal_mode=WAL")
        except sqlite3.OperationalError as error:
            code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY  # the driver's own errors have none
            if code != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
        await_only(asyncio.sleep(_AGAIN_SECONDS))


def _open_sqlite_reader(dbapi: Any, _record: object) -> None:  # noqa: ANN401
    """Make the connection unable to write."""
    _pragmas(dbapi, "query_only=ON", "temp_store=MEMORY")


def _pragmas(dbapi: Any, *pragmas: str) -> None:  # noqa: ANN401
    """Run pragmas outside of any transaction."""
    with closing(dbapi.cursor()) as cursor:
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Connection) -> None:
    """Take the write lock at once: a transaction that finds out later can't wait for it."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_deferred(connection: Connection) -> None:
    """Open a snapshot at the first read."""
    connection.exec_driver_sql("BEGIN")
