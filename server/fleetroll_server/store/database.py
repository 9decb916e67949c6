"""The store as a whole: engines, migrations, writer, snapshots."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import StoreError
from fleetroll_server.store.engine import reading_engine, writing_engine
from fleetroll_server.store.faults import Fault, classify
from fleetroll_server.store.migrate import migrate, newest_revision
from fleetroll_server.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from fleetroll_common.values.clock import Clock


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
            StoreError: the schema is newer than this program.
        """
        writing = writing_engine(url)
        try:
            await migrate(writing)
        except BaseException:
            await writing.dispose()
            raise
        writer = Writer(writing, clock)
        writer.start()
        return cls(writing, reading_engine(url), writer)

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
