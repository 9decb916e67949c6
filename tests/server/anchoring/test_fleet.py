"""Another CA and another address for 20 hosts that nobody touches, over real TLS; one of them is away meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from fleetroll.v1 import anchors_pb2 as pb
from fleetroll.v1 import anchors_pb2_grpc, tokens_pb2, tokens_pb2_grpc
from fleetroll_agent.session import stream
from fleetroll_agent.session.channel import connected
from fleetroll_server.certificates import Pair, issue_leaf
from fleetroll_server.gateway import presence
from fleetroll_server.secrets import Secrets
from tests.faults.anchored_agent import AnchoredAgent
from tests.faults.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)

HOSTS = 20


class Fleet:
    """A server behind an old and a new address, and its hosts."""

    def __init__(self, server: Any, old: Proxy, new: Proxy, hosts: Sequence[AnchoredAgent]) -> None:
        self.server, self.old, self.new, self.hosts = server, old, new, hosts

    async def call(self, name: str, **fields: Any) -> Any:
        stub = anchors_pb2_grpc.AnchorsServiceStub(self.server.channel)
        answer = await self.server.client().call(getattr(stub, name), getattr(pb, f"{name}Request")(**fields))
        return answer.state

    async def until(self, what: str, holds: Callable[[AnchoredAgent], bool], hosts: Sequence[AnchoredAgent]) -> None:
        try:
            async with asyncio.timeout(40):
                while not all(map(holds, hosts)):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            late = [(host.name, host.serial, host.address) for host in hosts if not holds(host)]
            raise AssertionError(f"{what}: {late}") from None

    async def reported(self, wanted: dict[int, int]) -> None:
        """Wait until the server counts so many hosts by serial."""
        async with asyncio.timeout(20):
            while {one.serial: one.hosts for one in (await self.call("GetAnchors")).reported} != wanted:
                await asyncio.sleep(0.1)

    @property
    def online(self) -> int:
        return sum(self.server.services.sessions.is_online(host.agent_id) for host in self.hosts)


@asynccontextmanager
async def fleet_of(count: int, installed: Any, launch: Any, folder: Path) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        old, new = [await stack.enter_async_context(Proxy.to("127.0.0.1", 0)) for _ in range(2)]
        server = await stack.enter_async_context(launch(installed, addresses=(old.address,)))
        old.target = new.target = ("127.0.0.1", int(server.running.address.rpartition(":")[2]))
        tokens = tokens_pb2_grpc.TokensServiceStub(server.channel)
        asked = tokens_pb2.CreateJoinTokenRequest(max_uses=count)
        join = (await server.client().call(tokens.CreateJoinToken, asked)).join_string
        hosts = [AnchoredAgent(f"host-{number}", folder / f"host-{number}") for number in range(1, count + 1)]
        for host in hosts:
            await host.enrol(join)
            await stack.enter_async_context(host.running())
        fleet = Fleet(server, old, new, hosts)
        await fleet.until("all are there", lambda host: bool(host.address), hosts)
        yield fleet


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let heartbeats and what is written of them come several times a second."""
    monkeypatch.setattr(stream, "MAX_HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr(presence, "WRITE_SECONDS", 0.2)


@asynccontextmanager
async def thief(ca: Pair, now: Any) -> AsyncIterator[tuple[int, list[str]]]:
    """Run somebody with the old CA's key in the server's place; give the port, and what is called there."""
    leaf, called = issue_leaf(ca, ["127.0.0.1"], now), []

    class Anything(grpc.GenericRpcHandler):
        def service(self, details: Any) -> None:
            called.append(details.method)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Anything(),))
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(leaf.key, leaf.certificate)]))
    await server.start()
    try:
        yield port, called
    finally:
        await server.stop(0)


async def test_ca_rotation_and_a_change_of_address_with_20_hosts_one_of_them_away(
    installed: Any, launch: Any, tmp_path: Path
) -> None:
    async with fleet_of(HOSTS, installed, launch, tmp_path) as fleet:
        tls, *there, away = fleet.server.services.folder.tls, *fleet.hosts
        secrets = Secrets.load(fleet.server.services.folder.secret_key)
        old_ca = Pair((tls / "ca.pem").read_bytes(), secrets.open((tls / "ca.key.sealed").read_text()))
        await away.stop()
        welcomes = {host.name: host.welcomes for host in there}

        # The successor is announced, then signs; streams that are open stay open.
        await fleet.call("PrepareAuthority")
        await fleet.until("the first anchors", lambda host: host.serial == 1, there)
        state = await fleet.call("SwitchAuthority")
        new_ca = next(one.certificate for one in state.authorities if one.role == pb.AUTHORITY_ROLE_CURRENT).encode()
        assert new_ca != old_ca.certificate
        await asyncio.sleep(0.5)
        assert {host.name: host.welcomes for host in there} == welcomes, "the new leaf has cost no stream"
        await fleet.reported({1: HOSTS - 1, 0: 1})

        # The address changes, then the old CA is dropped.
        await fleet.call("SetAnchors", addresses=[fleet.new.address])
        await fleet.until("at the new address", lambda host: host.address == fleet.new.address, there)
        state = await fleet.call("DropAuthority")
        assert state.serial == 3
        await fleet.until("the last anchors", lambda host: host.serial == 3, there)
        fleet.old.cut()

        # Who was away knows the old address and the old CA alone; the old address still leads to the server.
        assert away.store.load().enrolment.ca_pem == old_ca.certificate
        await away.start()
        await fleet.until("it has come back", lambda host: host.serial == 3, [away])
        await fleet.until("it has moved", lambda host: host.address == fleet.new.address, [away])
        await fleet.reported({3: HOSTS})
        assert fleet.online == HOSTS

        # The old CA opens no door any more: neither at the new address nor at the old one.
        async with thief(old_ca, fleet.server.clock.now()) as (port, called):
            async with connected(f"127.0.0.1:{port}", old_ca.certificate):
                pass  # to whoever trusts the old CA it is the server
            assert {host.store.load().enrolment.ca_pem for host in fleet.hosts} == {new_ca}
            with pytest.raises(ConnectionError):
                async with connected(f"127.0.0.1:{port}", fleet.hosts[0].store.load().enrolment.ca_pem):
                    pass
            real, fleet.old.target, fleet.new.target = fleet.new.target, ("127.0.0.1", port), ("127.0.0.1", port)
            accepted = fleet.new.accepted
            fleet.new.cut()
            await fleet.until("all have lost it", lambda host: not host.address, fleet.hosts)
            async with asyncio.timeout(20):
                while fleet.new.accepted < accepted + HOSTS:
                    await asyncio.sleep(0.05)
            assert not any(host.address for host in fleet.hosts)
            assert called == [], "nobody has said a word there"
            fleet.old.target = fleet.new.target = real
        await fleet.until("all are back", lambda host: host.address == fleet.new.address, fleet.hosts)
        assert fleet.online == HOSTS


async def test_a_stream_at_an_address_that_is_named_no_more_waits_for_the_end_of_what_goes_on(
    installed: Any, launch: Any, tmp_path: Path
) -> None:
    async with fleet_of(1, installed, launch, tmp_path) as fleet:
        (host,) = fleet.hosts
        host.idle = False
        await fleet.call("SetAnchors", addresses=[fleet.new.address])
        await fleet.until("the anchors", lambda one: one.serial == 1, [host])
        await asyncio.sleep(1.0)
        assert (host.address, host.welcomes) == (fleet.old.address, 1)
        host.idle = True
        await fleet.until("it moves", lambda one: one.address == fleet.new.address, [host])


async def test_a_new_address_that_is_not_there_costs_no_host(installed: Any, launch: Any, tmp_path: Path) -> None:
    async with fleet_of(2, installed, launch, tmp_path) as fleet:
        fleet.new.refusing = True
        await fleet.call("SetAnchors", addresses=[fleet.new.address])
        await fleet.until("it came back", lambda host: host.serial == 1 and host.welcomes == 2, fleet.hosts)
        await fleet.until("the last resort", lambda host: host.address == fleet.old.address, fleet.hosts)
        welcomes = [host.welcomes for host in fleet.hosts]
        await asyncio.sleep(1.0)
        assert [host.welcomes for host in fleet.hosts] == welcomes, "it does not try over and over"
        assert fleet.online == 2


async def test_a_stream_stays_where_it_is_while_its_address_is_among_the_new_ones(
    installed: Any, launch: Any, tmp_path: Path
) -> None:
    async with fleet_of(2, installed, launch, tmp_path) as fleet:
        await fleet.call("SetAnchors", addresses=[fleet.new.address, fleet.old.address])
        await fleet.until("the anchors", lambda host: host.serial == 1, fleet.hosts)
        await asyncio.sleep(0.8)
        assert {(host.address, host.welcomes) for host in fleet.hosts} == {(fleet.old.address, 1)}
        fleet.old.cut()
        await fleet.until("at the first of them", lambda host: host.address == fleet.new.address, fleet.hosts)
