"""The stream: opened, lost, refused, drained, left; the ratchet moves on and never forks by itself."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import reasons_pb2
from fleetroll_agent.identity.store import IdentityStore
from fleetroll_common.durable import dump_record, load_record
from fleetroll_common.values.ids import SystemIds
from fleetroll_server.certificates import make_ca

if TYPE_CHECKING:
    from fleetroll_agent.identity.facts import Identity
    from tests.agent.fake_server.inprocess import InProcessHost
    from tests.agent.fake_server.server import FakeServer


def identity(host: InProcessHost) -> Identity:
    return IdentityStore(host.folder / "identity", SystemIds()).load()


async def test_a_session_opens_and_the_ratchet_is_written(server: FakeServer, host: InProcessHost) -> None:
    async with host.running():
        await server.until(lambda: server.sessions)
        await server.until(lambda: any(heard.HasField("heartbeat") for heard in server.session.heard))
        hello = server.session.hello
        assert (hello.products[0].version, hello.products[0].healthy) == ("1.0.0", True)
        assert dict(hello.labels) == {"site": "a"}
        assert host.launcher.said("hello")
        assert host.launcher.said("beat")[0]["healthy"]
    known = identity(host)
    assert (known.ratchet.advances, known.ratchet.current) == (1, server.agent.row.acked)
    assert known.receipt.epoch == server.session.epoch


async def test_the_launcher_hears_of_the_first_message_after_a_welcome_alone(
    server: FakeServer, host: InProcessHost
) -> None:
    async with host.running():
        await server.until(lambda: server.sessions)
        await server.until(lambda: any(heard.HasField("heartbeat") for heard in server.session.heard))
        assert host.launcher.said("heard") == []
        server.assign("1.1.0", 7)
        await host.launcher.until_said("heard")
        await server.until(lambda: "STAGED" in server.states(7))
        assert len(host.launcher.said("heard")) == 1


@pytest.mark.parametrize("times", [1, 3])
async def test_lost_welcomes_make_no_fork(server: FakeServer, host: InProcessHost, times: int) -> None:
    server.script.lose_welcomes = times
    async with host.running():
        await host.launcher.until_said("hello")
    assert (server.agent.forks, server.agent.row.quarantined) == (0, False)
    async with host.running():
        await host.launcher.until_said("hello")
    assert (server.agent.forks, len(server.sessions)) == (0, 2)
    assert identity(host).ratchet.advances == 2


async def test_a_killed_server_is_found_again(server: FakeServer, host: InProcessHost) -> None:
    async with host.running():
        await server.until(lambda: server.sessions)
        for count in (2, 3):
            await server.stop()
            await asyncio.sleep(0.2)
            await server.start()
            await server.until(lambda count=count: len(server.sessions) == count)
    assert server.agent.forks == 0


async def test_a_stale_hello_is_said_again_at_once(server: FakeServer, host: InProcessHost) -> None:
    server.script.refusals = [stream_pb2.Refusal(code=reasons_pb2.REASON_CODE_STALE_HELLO)] * 2
    async with host.running():
        await server.until(lambda: server.sessions)
    assert server.streams == 3


async def test_a_revoked_host_stops_trying(server: FakeServer, host: InProcessHost) -> None:
    server.script.refusals = [stream_pb2.Refusal(code=reasons_pb2.REASON_CODE_IDENTITY_REVOKED)]
    async with host.running():
        await asyncio.sleep(1.0)
    assert (server.streams, server.sessions) == (1, [])


async def test_a_busy_server_is_left_alone_for_the_time_it_asks(server: FakeServer, host: InProcessHost) -> None:
    busy = stream_pb2.Refusal(code=reasons_pb2.REASON_CODE_TOO_MANY_HANDSHAKES)
    busy.retry_after.FromMilliseconds(800)
    server.script.refusals = [busy]
    async with host.running():
        await asyncio.sleep(0.6)
        assert server.streams == 1
        await server.until(lambda: server.sessions)


async def test_a_drained_session_comes_back_in_its_slot(server: FakeServer, host: InProcessHost) -> None:
    async with host.running():
        await server.until(lambda: server.sessions)
        drain = stream_pb2.Drain()
        drain.slot.FromMilliseconds(700)
        server.session.send(drain=drain)
        await asyncio.sleep(0.5)
        assert len(server.sessions) == 1
        await server.until(lambda: len(server.sessions) == 2)


async def test_two_streams_race_and_nobody_forks(server: FakeServer, host: InProcessHost) -> None:
    async with host.running():
        await server.until(lambda: server.sessions)
        row = server.agent.row
        server.agent.row = replace(row, epoch=row.epoch + 1)
        server.session.end()
        await server.until(lambda: len(server.sessions) == 2)
    assert server.agent.forks == 0


async def test_an_address_that_nobody_answers_is_passed_over(server: FakeServer, host: InProcessHost) -> None:
    path = host.folder / "identity" / "agent.json"
    record = load_record(path.read_bytes())
    path.write_bytes(dump_record({**record, "addresses": ["127.0.0.1:1", server.address]}))
    async with host.running():
        await server.until(lambda: server.sessions)


async def test_another_ca_is_never_spoken_to(server: FakeServer, host: InProcessHost) -> None:
    (host.folder / "identity" / "ca.pem").write_bytes(make_ca("other", datetime.now(UTC)).certificate)
    async with host.running():
        await asyncio.sleep(0.7)
    assert server.streams == 0


async def test_a_stop_says_goodbye(server: FakeServer, host: InProcessHost) -> None:
    async with host.running():
        await host.launcher.until_said("hello")
        host.launcher.send({"type": "stop"})
        assert await asyncio.wait_for(host.work, 40) == 0
    assert server.goodbyes == ["the launcher asks for it"]
    assert host.launcher.said("goodbye")


async def test_an_agent_without_its_launcher_ends_at_once(server: FakeServer, host: InProcessHost) -> None:
    async with host.running():
        await server.until(lambda: server.sessions)
        # What the child reads from is closed on the other side, as the launcher's death does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), host.launcher._write)
        assert await asyncio.wait_for(host.work, 40) == 1


async def test_clocks_that_differ_are_noticed(server: FakeServer, host: InProcessHost) -> None:
    server.script.clock_skew = 400
    async with host.running():
        await server.until(lambda: server.sessions)
        server.assign("1.1.0", 7)
        await server.until(lambda: "STAGED" in server.states(7))
        await asyncio.sleep(0.8)
        assert not any(heard.HasField("request_go") for heard in server.session.heard)
        server.script.clock_skew = 0
        server.session.end()
        await server.until(lambda: any(heard.HasField("request_go") for heard in server.session.heard))


async def test_a_new_key_that_the_server_does_not_know_gives_way_to_the_old_one(
    server: FakeServer, host: InProcessHost
) -> None:
    path = host.folder / "identity" / "key"
    record = load_record(path.read_bytes())
    path.write_bytes(dump_record({**record, "pending": "5a" * 32}))
    async with host.running():
        await host.launcher.until_said("hello")
    assert (server.streams, server.agent.forks) == (2, 0)
