"""What the engine stands on in a walk: its real tables in memory, one job after the other, without threads or a loop.

The engine awaits nothing but its store. Here each of its jobs is one transaction on one SQLite connection of this
thread, as with the real writer, and :func:`drive` runs whatever awaits it to its end. What that leaves out (groups that
share a commit, collisions, priorities) is tested with the real store, also by the shorter walks of this suite.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from fleetroll_server.store.engine import writing_engine
from fleetroll_server.store.migrate import migrate
from fleetroll_server.store.outcomes import Outcome, store_events
from fleetroll_server.store.tx import Tx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_common.values.clock import Clock

T = TypeVar("T")


def drive(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nobody."""
    try:
        work.send(None)
    except StopIteration as ended:
        return cast("T", ended.value)
    work.close()
    raise RuntimeError("the engine waited for something that is not its store")


class Connection:
    """A connection as jobs know it, on one that needs no loop."""

    def __init__(self, connection: sa.Connection) -> None:
        """Pass statements on to ``connection``."""
        self._connection = connection

    async def execute(self, statement: Any, parameters: Any = None) -> Any:
        """Run a statement."""
        return self._connection.execute(statement, parameters)

    async def scalar(self, statement: Any) -> Any:
        """Run a statement; return its first value."""
        return self._connection.scalar(statement)


class Store:
    """Keeps rows in memory; stands for the store and for its writer.

    Attributes:
        raw: the database itself, for who counts anew what stands in it.
        jobs: transactions that were committed.
        on_commit: called after each of them that changed something.
    """

    is_sqlite = True

    def __init__(self, clock: Clock) -> None:
        """Begin with the tables as migrations make them, all but empty."""
        self.raw = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        template().backup(self.raw)
        self.writer = self
        self.jobs = 0
        self.on_commit: Callable[[], None] = lambda: None
        self._changes = 0
        self._clock = clock
        # SQLAlchemy keeps what it has compiled with the engine: all walks share one, the connection is each one's own.
        self._connection = _engine().connect()
        cast("_Proxy", self._connection.connection.dbapi_connection).adopt(self.raw)
        self._shim = cast("AsyncConnection", Connection(self._connection))

    async def run(self, job: Callable[[Tx], Awaitable[T]]) -> T:
        """Run one job in a transaction of its own, then what was to follow its commit."""
        tx = Tx(self._shim, self._clock.now())
        self.raw.execute("BEGIN")
        try:
            result = await job(tx)
            await store_events(self._shim, [Outcome(cast("Any", None), tx)])
        except BaseException:
            self.raw.execute("ROLLBACK")
            raise
        self.raw.execute("COMMIT")
        self.jobs += 1
        if self.raw.total_changes != self._changes:
            self._changes = self.raw.total_changes
            self.on_commit()
        for action in tx.actions:
            action()
        return result

    urgent = command = report = run

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Any]:
        """Give a connection that reads."""
        yield self._shim

    async def close(self) -> None:
        """Forget everything."""
        self._connection.close()
        self.raw.close()


class _Proxy:
    """A driver's connection that each walk puts its own database behind."""

    def __init__(self) -> None:
        self._raw: sqlite3.Connection = sqlite3.connect(":memory:", isolation_level=None)

    def adopt(self, raw: sqlite3.Connection) -> None:
        """Speak to this database from now on."""
        self._raw = raw

    def cursor(self, *arguments: Any) -> sqlite3.Cursor:
        """Open a cursor."""
        made: sqlite3.Cursor = self._raw.cursor(*arguments)
        return made

    def create_function(self, *arguments: Any, **values: Any) -> None:
        """Define a function of SQL: the dialect asks for one that no statement here uses."""

    def commit(self) -> None:
        """Leave that to the store."""

    def rollback(self) -> None:
        """Leave that to the store."""

    def close(self) -> None:
        """Leave that to the store."""


@cache
def _engine() -> sa.Engine:
    """Return the one engine of this process."""
    return sa.create_engine("sqlite://", creator=_Proxy, poolclass=StaticPool)


@cache
def template() -> sqlite3.Connection:
    """Return a database with the newest schema."""
    home = Path(tempfile.mkdtemp(prefix="fleetroll-ground-"))
    try:
        with ThreadPoolExecutor(1) as pool:  # a test's loop may run already
            pool.submit(lambda: asyncio.run(_migrate(f"sqlite+aiosqlite:///{home / 'db'}"))).result()
        made, found = sqlite3.connect(":memory:", check_same_thread=False), sqlite3.connect(home / "db")
        found.backup(made)
        found.close()
        made.execute("PRAGMA journal_mode=MEMORY")
        return made
    finally:
        shutil.rmtree(home)


async def _migrate(url: str) -> None:
    engine = writing_engine(url)
    await migrate(engine)
    await engine.dispose()
