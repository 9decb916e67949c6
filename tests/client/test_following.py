"""Followers of a real server: whatever happens to the connection, no event is lost and none comes twice."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from fleetroll.v1 import events_pb2, server_info_pb2
from fleetroll_client import AsyncAdminClient, Endpoint, Link, ServerRefusedError, follow
from fleetroll_client.following import PERMANENT, _AsyncStream
from fleetroll_common.values.codes import Code
from tests.client.test_errors import PEM
from tests.faults.followers import Follower, log, through

if TYPE_CHECKING:
    from tests.faults.proxy import Proxy
    from tests.faults.worlds import World

HOSTS = ("host-1", "host-2", "host-3")
MORE = ("host-4", "host-5", "host-6")


async def has_all_since(world: World, follower: Follower, before: list[str]) -> None:
    """Wait for the newest event, then compare everything that was told with the log, in order."""
    expected = (await log(world))[len(before) :]
    assert expected
    await follower.until(lambda: [event.id for event in follower.events][-1:] == expected[-1:])
    assert [event.id for event in follower.events] == expected


async def test_a_follower_has_what_stands_then_what_changes(world: World) -> None:
    async with through(world) as (_, client), Follower().following(client) as follower:
        await follower.until(lambda: follower.live)
        before = await log(world)
        await world.online(*HOSTS)
        rollout = await world.roll(*HOSTS)
        await world.update("host-1")
        await has_all_since(world, follower, before)
        assert follower.snapshots == 1
        assert follower.rollouts[rollout] == await world.show(rollout)
        assert follower.was == [Link.CONNECTING, Link.LIVE]


async def cut(proxy: Proxy, follower: Follower) -> None:
    """The line is reset; connecting again works at once."""
    proxy.cut()


async def refuse(proxy: Proxy, follower: Follower) -> None:
    """The line is reset, and connecting fails for a while."""
    proxy.refusing = True
    proxy.cut()
    await follower.until(lambda: follower.links[-1].attempt >= 3)
    assert "UNAVAILABLE" in follower.links[-1].why
    proxy.refusing = False


async def half_close(proxy: Proxy, follower: Follower) -> None:
    """The server's side ends without a word."""
    proxy.half_close("down")


@pytest.mark.parametrize("trouble", [cut, refuse, half_close])
async def test_no_event_is_lost_or_doubled_while_lines_break(world: World, trouble: Any) -> None:
    async with through(world) as (proxy, client), Follower().following(client) as follower:
        await follower.until(lambda: follower.live)
        before = await log(world)
        await world.online(*HOSTS, *MORE)
        rollout = await world.roll(*HOSTS, *MORE, waves=[1, 0], limits={"max_concurrent": 6})
        await trouble(proxy, follower)
        await world.update("host-1")
        await follower.until(lambda: follower.live)
        proxy.cut()
        await world.staged("host-2")
        await trouble(proxy, follower)
        await world.staged("host-3")
        await has_all_since(world, follower, before)
        assert follower.snapshots == 1, "it goes on from where it was"
        assert follower.resyncs == []
        assert Link.RECONNECTING in follower.was
        assert follower.rollouts[rollout] == await world.show(rollout)


async def test_a_line_on_which_bytes_vanish_is_given_up(world: World) -> None:
    """It looks open, and would for a while; then nobody answers, and then it comes back."""
    async with through(world) as (proxy, client), Follower().following(client) as follower:
        await follower.until(lambda: follower.live)
        await client.server_info.GetServerInfo(server_info_pb2.GetServerInfoRequest(), timeout=20)
        before = await log(world)
        heard_at = follower.links[-1].heard_at
        proxy.black_hole()
        await world.online(*HOSTS)
        await follower.until(lambda: not follower.live)
        lost = follower.links[-1]
        assert (lost.link, lost.attempt) == (Link.RECONNECTING, 1)
        assert "nothing heard for 2.5 s" in lost.why
        assert lost.heard_at is not None
        assert heard_at is not None
        assert lost.heard_at - heard_at < 2, "it was heard before the cable was pulled"
        await follower.until(lambda: follower.links[-1].attempt >= 2)
        assert "UNAVAILABLE" in follower.links[-1].why, "it dialled anew, instead of waiting on the line that is dead"
        proxy.heal()
        await has_all_since(world, follower, before)
        assert follower.live
        assert follower.snapshots == 1


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.97])
async def test_a_snapshot_that_is_cut_anywhere_comes_whole(world: World, share: float) -> None:
    """From the handshake to the last bytes of the last page."""
    await world.online(*HOSTS)
    async with through(world) as (proxy, client):
        async with Follower().following(client) as first:
            await first.until(lambda: first.snapshots == 1)
            whole = proxy.down.passed_bytes
        proxy.down.cut_at_bytes = proxy.down.passed_bytes + int(share * whole)
        async with Follower().following(client) as second:
            await second.until(lambda: bool(second.links) and second.links[-1].attempt >= 1)
            assert second.snapshots == 0
            proxy.heal()
            await second.until(lambda: second.live)
        assert second.snapshots == 1
        assert second.agents == first.agents


async def test_calls_do_not_wait_on_a_line_that_a_follower_has_left(world: World) -> None:
    """A pause must go through as soon as the follower is live again."""
    asked = server_info_pb2.GetServerInfoRequest()
    async with through(world) as (proxy, client), Follower().following(client) as follower:
        await client.server_info.GetServerInfo(asked, timeout=20)
        await follower.until(lambda: follower.live)
        proxy.black_hole()
        await follower.until(lambda: not follower.live)
        proxy.heal()
        await follower.until(lambda: follower.live)
        before = proxy.accepted
        await client.server_info.GetServerInfo(asked, timeout=20)
        assert proxy.accepted == before + 1


async def test_a_client_that_is_closed_leaves_no_call_on_a_line_that_it_left(world: World) -> None:
    asked = server_info_pb2.GetServerInfoRequest()
    async with through(world) as (proxy, client):
        await client.server_info.GetServerInfo(asked, timeout=20)
        proxy.black_hole()
        under_way = asyncio.ensure_future(client.server_info.GetServerInfo(asked, timeout=30))
        await asyncio.sleep(0.1)
        client.renew()
        await client.close()
        await asyncio.wait({under_way}, timeout=5)
        assert under_way.cancelled()


async def test_a_server_that_starts_anew_is_found_again(world: World) -> None:
    async with through(world) as (proxy, client), Follower().following(client) as follower:
        await follower.until(lambda: follower.live)
        before = await log(world)
        await world.online("host-1")
        await world.restart()
        proxy.target = ("127.0.0.1", int(world.server.address.rpartition(":")[2]))
        await world.online(*HOSTS)
        await has_all_since(world, follower, before)
        assert follower.snapshots == 1


async def test_who_keeps_the_cursor_goes_on_from_it(world: World) -> None:
    async with through(world) as (_, client):
        async with Follower().following(client) as first:
            await first.until(lambda: first.live)
            before = await log(world)
            await world.online("host-1")
            await has_all_since(world, first, before)
        before = await log(world)
        await world.online(*HOSTS)
        async with Follower().following(client, first.cursor) as second:
            await has_all_since(world, second, before)
        assert second.snapshots == 0


async def test_where_there_is_no_going_on_it_is_said_and_a_snapshot_follows(world: World) -> None:
    async with through(world) as (_, client):
        async with Follower().following(client) as first:
            await first.until(lambda: first.live)
        parts = json.loads(first.cursor)
        parts[1] = "another"
        async with Follower().following(client, json.dumps(parts).encode()) as second:
            await second.until(lambda: second.live)
        assert second.resyncs == ["the cursor is of another database"]
        assert second.snapshots == 1
        assert second.agents == first.agents


async def refused(endpoint: Endpoint, **request: Any) -> ServerRefusedError:
    async with AsyncAdminClient(endpoint) as client:
        with pytest.raises(ServerRefusedError) as caught:
            async for _ in follow(client, events_pb2.WatchEventsRequest(**request)):
                pass
    return caught.value


async def test_what_trying_again_does_not_mend_ends_it(world: World) -> None:
    address, ca, token = world.server.address, world.services.ca_pem, world.stock.token
    assert (await refused(Endpoint(address, ca, "wrong"))).code is Code.UNAUTHENTICATED
    assert (await refused(Endpoint(address, ca, token), rollout_id="nothing")).code is Code.NOT_FOUND
    assert (await refused(Endpoint(address, ca, token), cursor=b"x")).code is Code.INVALID_ARGUMENT


async def test_a_server_that_is_not_there_is_told_each_time() -> None:
    async with AsyncAdminClient(Endpoint("127.0.0.1:1", PEM)) as client:
        follower = Follower()
        async with follower.following(client):
            await follower.until(lambda: follower.links[-1:] != [] and follower.links[-1].attempt == 3)
    assert follower.was == [Link.CONNECTING, Link.RECONNECTING]
    assert "UNAVAILABLE" in follower.links[-1].why
    assert follower.links[-1].heard_at is None


async def test_leaving_closes_the_connection_and_its_stream(world: World) -> None:
    async with through(world) as (proxy, client):
        async with Follower().following(client) as follower:
            await follower.until(lambda: follower.live)
            assert proxy.open_connections == 1
        async with asyncio.timeout(10):
            while proxy.open_connections:
                await asyncio.sleep(0.01)


def test_what_is_permanent_is_what_the_contract_can_not_mend() -> None:
    assert {status.name for status in PERMANENT} == {
        "UNAUTHENTICATED", "PERMISSION_DENIED", "INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED",
    }  # fmt: skip
    assert grpc.StatusCode.UNAVAILABLE not in PERMANENT


class Standing:
    """A client whose line brings a message while the loop stands still."""

    def __init__(self) -> None:
        self.arrived = asyncio.get_running_loop().create_future()

    def dial(self) -> Any:
        """Return a channel that knows one call."""
        return self

    def unary_stream(self, *_: Any, **__: Any) -> Any:
        """Return the call."""
        return lambda _request: self

    unary_unary = unary_stream

    async def read(self) -> Any:
        """Return what arrives, after as many steps of the loop as gRPC takes."""
        message = await self.arrived
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return message


async def test_a_loop_that_stood_still_finds_what_came_meanwhile() -> None:
    """Timers are seen before sockets are; that the program was busy is not the server's silence."""
    client: Any = Standing()
    stream = _AsyncStream(client, events_pb2.WatchEventsRequest())
    loop, message = asyncio.get_running_loop(), events_pb2.WatchEventsResponse()

    def busy() -> None:
        time.sleep(0.2)
        loop.call_soon(client.arrived.set_result, message)

    loop.call_soon(busy)
    assert await stream.next(0.1) is message
