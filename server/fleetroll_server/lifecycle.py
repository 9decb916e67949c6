"""A server from the opened database to the last stopped part. Everything that is started here is stopped here.

Down: readiness red, every part drained (agents are told when to come back), parts stopped in reverse, then the port,
then the database. A part that fails to start stops the ones before it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import structlog
from grpc_reflection.v1alpha import reflection

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.wire.channel import SERVER_OPTIONS
from fleetroll_server.access.authorise import Authoriser
from fleetroll_server.access.declared import declared_rules
from fleetroll_server.catalogue.catalogue import Catalogue
from fleetroll_server.catalogue.files import remove_leftovers
from fleetroll_server.certificates import host_of
from fleetroll_server.gateway.registry import SessionRegistry
from fleetroll_server.installation import load_installation
from fleetroll_server.leaf import Leaf
from fleetroll_server.observe.health import Readiness
from fleetroll_server.parts import assemble
from fleetroll_server.recovery.stops import StopsLog
from fleetroll_server.rpc.access import AccessInterceptor
from fleetroll_server.rpc.contract import SERVICES
from fleetroll_server.rpc.errors import ErrorInterceptor
from fleetroll_server.rpc.texts import TextInterceptor
from fleetroll_server.secrets import Secrets
from fleetroll_server.services import Born, Services
from fleetroll_server.store import Store

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Iterator

    from fleetroll_common.values.clock import Clock
    from fleetroll_common.values.ids import IdSource
    from fleetroll_server.datafolder import DataFolder
    from fleetroll_server.installation import Installation
    from fleetroll_server.settings import Settings

WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 (compared with, not bound)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers.

    Attributes:
        address: "host:port" that it really listens on.
        services: its shared parts.
        registry: the open agent sessions.
    """

    address: str
    services: Services
    registry: SessionRegistry


@contextlib.asynccontextmanager
async def running(folder: DataFolder, settings: Settings, clock: Clock, ids: IdSource) -> AsyncIterator[Running]:
    """Run a server while the block lasts.

    Raises:
        RequestError: the folder is not initialised or in use, or the port is taken (operator's fault).
        StoreError: database or secrets can't be used.
    """
    check_initialised(folder)
    _check_reachable(settings)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_exclusive(folder))
        secrets = Secrets.load(folder.secret_key)
        async with Store.peek(folder.database_url) as connection:
            installation = await load_installation(connection, secrets)
        store = await Store.open(folder.database_url, clock)
        stack.push_async_callback(store.close)
        await remove_leftovers(folder, store)
        server = _make_server(store, clock, ids, installation)
        leaf = Leaf(folder, secrets, _names(settings), clock.now())
        address = await _open_port(server, stack, settings, leaf)
        registry = SessionRegistry()
        services = Services(
            store=store,
            clock=clock,
            ids=ids,
            settings=settings,
            folder=folder,
            secrets=secrets,
            server_key=installation.server_key,
            former_keys=installation.former_keys,
            server_id=ids.new("server"),
            born=Born(installation.incarnation),
            demo=installation.demo,
            leaf=leaf,
            addresses=settings.addresses or (address,),
            catalogue=await Catalogue.load(store, registry),
            sessions=registry,
        )
        stops = StopsLog(settings.stops_log or folder.stops, lambda: services.incarnation)
        store.writer.before_answers(stops.record)
        await _start_parts(server, stack, services, registry)
        yield Running(address, services, registry)


def _make_server(store: Store, clock: Clock, ids: IdSource, installation: Installation) -> grpc.aio.Server:
    """Return the server with its door; raises where the contract leaves an RPC undeclared."""
    authoriser = Authoriser(store, clock, installation.server_key)
    door = AccessInterceptor(authoriser, declared_rules(SERVICES))
    return grpc.aio.server(interceptors=[ErrorInterceptor(ids), door, TextInterceptor()], options=SERVER_OPTIONS)


def _names(settings: Settings) -> list[str]:
    """Return what the server's certificate has to stand for, whatever the anchors add to it."""
    named = [host_of(address) for address in (*settings.addresses, settings.listen)]
    return [host for host in named if host not in WILDCARDS]


async def _open_port(server: grpc.aio.Server, stack: contextlib.AsyncExitStack, settings: Settings, leaf: Leaf) -> str:
    """Bind the TLS port; calls are taken once the server is started. Return the real address."""
    stack.push_async_callback(server.stop, None)
    host, _, asked = settings.listen.rpartition(":")
    try:
        port = server.add_secure_port(settings.listen, leaf.credentials())
    except RuntimeError as error:
        raise _not_opened(settings.listen) from error
    if int(asked) not in {0, port}:
        raise _not_opened(settings.listen)
    return f"{host}:{port}"


def _not_opened(listen: str) -> RequestError:
    """Return the operator's error."""
    message = f"listen: {listen} can't be opened"
    remedy = "choose another port, or end the program that has it"
    return RequestError(message, code=Code.UNAVAILABLE, remedy=remedy, field="listen")


async def _start_parts(
    server: grpc.aio.Server, stack: contextlib.AsyncExitStack, services: Services, registry: SessionRegistry
) -> None:
    """Register servicers, start the background, open the port to calls; prepare the way down."""
    parts = assemble(services, registry)
    for register in parts.registrations:
        register(server)
    readiness = Readiness(server, services.store.writer)
    names = (*(service.full_name for service in SERVICES), reflection.SERVICE_NAME, "grpc.health.v1.Health")
    reflection.enable_server_reflection(names, server)
    stack.push_async_callback(server.stop, services.settings.drain_seconds)
    for part in (readiness, *parts.background):
        await part.start()
        stack.push_async_callback(part.stop)
    await server.start()
    for part in (*parts.background, readiness):
        stack.push_async_callback(part.drain)


def check_initialised(folder: DataFolder) -> None:
    """Refuse a folder that ``init`` did not make."""
    if not folder.database.exists() or not folder.secret_key.exists():
        message = f"data: {folder.path} is no data folder of a server"
        raise RequestError(message, code=Code.NOT_FOUND, remedy="run fleetroll-server init first", field="data")


def _check_reachable(settings: Settings) -> None:
    """Refuse to hand out join strings that name no host."""
    if host_of(settings.listen) in WILDCARDS and not settings.addresses:
        message = f"addresses: {settings.listen} is every address of this machine, which hosts can't be told"
        remedy = "name the addresses that hosts reach this server by"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="addresses")


@contextlib.contextmanager
def _exclusive(folder: DataFolder) -> Iterator[None]:
    """Hold the folder's lock: SQLite has one writing process. The system frees it when the process ends, however."""
    handle = os.open(folder.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"data: a server runs on {folder.path} already"
            raise RequestError(message, code=Code.ALREADY_EXISTS, remedy="stop it first", field="data") from error
        yield
    finally:
        os.close(handle)


async def wait_for(stop: asyncio.Event, server: Running) -> None:
    """Stay until ``stop`` is set."""
    await stop.wait()
    _log.info("server.stopping", address=server.address, sessions=len(server.registry))
