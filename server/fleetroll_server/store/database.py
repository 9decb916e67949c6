"""The store as a whole: engines, migrations, writer, snapshots."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import StoreError
from fleetroll_server.store.engine import reading_engine, writing_engine
from fleetroll_server.store.faults import Fault, classify
from fleetroll_server.store.migrate import migrate, newest_revision
from fleetroll_server.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from fleetroll_common.values.clock import Clock

SQLITE_HEAD = b"SQLite format 3\x00"
"""The first bytes of every file of SQLite."""


@contextmanager
def _named(url: str) -> Iterator[None]:
    """Say which database refuses, and why; whoever starts a server may have many."""
    try:
        yield
    except (DBAPIError, OSError) as error:
        reason = getattr(error, "orig", None) or getattr(error, "strerror", None) or error
        raise _unusable(url, str(reason)) from error


def _unusable(url: str, reason: str) -> StoreError:
    """Return the operator's error."""
    parsed = make_url(url)
    name = parsed.render_as_string(hide_password=True) if parsed.host else parsed.database
    return StoreError(
        f"database: {name} can't be used: {reason}",
        code=Code.STORE_FAILED,
        remedy="bring it back from a backup, or see that it can be reached and written",
    )


def _check_file(url: str) -> None:
    """Refuse what is no SQLite file before the driver opens it, which would leave its handle open; empty is a database.

    Raises:
        OSError: it can't be read.
        StoreError: it is no database.
    """
    with Path(make_url(url).database or "").open("rb") as file:
        head = file.read(len(SQLITE_HEAD))
    if head not in {b"", SQLITE_HEAD}:
        raise _unusable(url, "the file is not a database")


class Store:
    """An open database. Made by :meth:`open`, ended by :meth:`close`; lives on one event loop."""

    def __init__(self, writing: AsyncEngine, reading: AsyncEngine, writer: Writer) -> None:
        """Take engines whose schema is the newest, and a started writer."""
        self._writing = writing
        self._reading = reading
        self.writer = writer
        self.schema_revision = newest_revision()

    @classmethod
    async def open(cls, url: str, clock: Clock) -> Store:
        """Migrate the database at ``url`` and open it.

        Raises:
            RequestError: the URL can't be used (operator's fault).
            StoreError: the schema is newer than this program, or the database refuses.
        """
        writing = writing_engine(url)
        try:
            with _named(url):
                await migrate(writing)
        except BaseException:
            await writing.dispose()
            raise
        writer = Writer(writing, clock)
        writer.start()
        return cls(writing, reading_engine(url), writer)

    @staticmethod
    @asynccontextmanager
    async def peek(url: str) -> AsyncIterator[AsyncConnection]:
        """Give a connection that can't write to the database as it is: nothing is migrated, its tables may be missing.

        Raises:
            RequestError: the URL can't be used (operator's fault).
            StoreError: what is there is no database, or it can't be read.
        """
        reading = reading_engine(url)
        try:
            with _named(url):
                if reading.dialect.name == "sqlite":
                    _check_file(url)
                async with reading.connect() as connection, connection.begin():
                    yield connection
        finally:
            await reading.dispose()

    @property
    def is_sqlite(self) -> bool:
        """Tell whether no other server can use this database at the same time."""
        return self._writing.dialect.name == "sqlite"

    async def close(self) -> None:
        """Finish what waits and close every connection."""
        await self.writer.stop()
        await self._reading.dispose()
        await self._writing.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection that sees one snapshot and can't write.

        Raises:
            StoreError: the database can't be read now (our fault).
        """
        try:
            async with self._reading.connect() as connection, connection.begin():
                yield connection
        except DBAPIError as error:
            if classify(error) is Fault.JOB:
                raise
            message = "the database can't be read now"
            raise StoreError(message, code=Code.UNAVAILABLE, remedy="try again later") from error
