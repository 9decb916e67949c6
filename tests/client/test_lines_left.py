"""Calls on a line that a follower has left: reads go on over the new one, decisions are never made twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from fleetroll.v1 import events_pb2, rollouts_pb2, server_info_pb2
from fleetroll_client import AdminClient, AsyncAdminClient, Endpoint, ServerRefusedError, translate
from fleetroll_common.values.codes import Code
from tests.client.test_errors import PEM
from tests.faults.followers import Follower, through
from tests.faults.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.worlds import World

INFO = server_info_pb2.GetServerInfoRequest()
PRESS = rollouts_pb2.PressKillSwitchRequest(fleet_id="default", reason="stop")


def straight(world: World) -> Endpoint:
    """The server, past every line that a test disturbs."""
    return Endpoint(world.server.address, world.services.ca_pem, world.stock.token)


async def is_sent(proxy: Proxy, before: int) -> None:
    """Wait until a call that was begun is on the line."""
    async with asyncio.timeout(20):
        while proxy.up.passed_bytes == before:
            await asyncio.sleep(0.01)


async def is_pressed(world: World) -> None:
    """Wait until the server has heard of it."""
    async with asyncio.timeout(20):
        while not await world.events("kill_switch.pressed"):
            await asyncio.sleep(0.01)


# With asyncio.


async def test_a_read_on_a_line_that_went_dark_and_is_reset_is_answered(world: World) -> None:
    async with through(world) as (proxy, client), Follower().following(client) as follower:
        await client.server_info.GetServerInfo(INFO, timeout=20)
        await follower.until(lambda: follower.live)
        proxy.black_hole()
        asked = asyncio.ensure_future(client.server_info.GetServerInfo(INFO, timeout=30))
        await follower.until(lambda: not follower.live)
        proxy.cut()
        proxy.heal()
        assert (await asked).version


async def test_a_read_does_not_wait_on_a_line_that_was_left(world: World) -> None:
    """The old line stays dark, and nobody resets it."""
    async with through(world) as (proxy, client):
        await client.server_info.GetServerInfo(INFO, timeout=20)
        proxy.down.black_hole()
        before = proxy.up.passed_bytes
        asked = asyncio.ensure_future(client.server_info.GetServerInfo(INFO, timeout=30))
        await is_sent(proxy, before)
        client.endpoint = straight(world)
        client.renew()
        async with asyncio.timeout(10):
            assert (await asked).version


async def test_a_decision_on_a_line_that_was_left_is_made_once_and_has_its_answer(world: World) -> None:
    async with through(world) as (proxy, client):
        await client.server_info.GetServerInfo(INFO, timeout=20)
        proxy.down.black_hole()
        press = asyncio.ensure_future(client.rollouts.PressKillSwitch(PRESS, timeout=30))
        await is_pressed(world)
        client.renew()
        proxy.heal()
        assert (await press).kill_switch.active
        assert len(await world.events("kill_switch.pressed")) == 1


async def test_a_stub_that_somebody_kept_goes_over_the_new_line(world: World) -> None:
    """What was not sent yet may go anywhere, a decision too."""
    async with through(world) as (_, client):
        server_info, rollouts = client.server_info, client.rollouts
        client.renew()
        client.renew()
        assert (await server_info.GetServerInfo(INFO, timeout=20)).version
        assert (await rollouts.PressKillSwitch(PRESS, timeout=20)).kill_switch.active
    assert len(await world.events("kill_switch.pressed")) == 1


async def begun(client: AsyncAdminClient, name: str) -> Any:
    """Begin one call of each kind: a read, a decision, a stream of the server."""
    match name:
        case "read":
            return await client.server_info.GetServerInfo(INFO, timeout=5)
        case "decision":
            return await client.rollouts.PressKillSwitch(PRESS, timeout=5)
        case _:
            return await client.events.WatchEvents(events_pb2.WatchEventsRequest(), timeout=5).read()


@pytest.mark.parametrize("name", ["read", "decision", "stream"])
async def test_a_client_that_was_closed_is_unavailable(name: str) -> None:
    client = AsyncAdminClient(Endpoint("127.0.0.1:1", PEM))
    await client.close()
    with pytest.raises(ServerRefusedError, match="closed") as refused, translate():
        await begun(client, name)
    assert (refused.value.code, refused.value.status) == (Code.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE)


async def test_leaving_a_client_while_a_read_moves_on_ends_the_read(world: World) -> None:
    async with through(world) as (proxy, client):
        await client.server_info.GetServerInfo(INFO, timeout=20)
        proxy.down.black_hole()
        before = proxy.up.passed_bytes
        asked = asyncio.ensure_future(client.server_info.GetServerInfo(INFO, timeout=30))
        await is_sent(proxy, before)
        client.renew()
        asked.cancel()
        await asyncio.wait({asked}, timeout=5)
        assert asked.cancelled()


# Without asyncio.


async def test_a_read_of_another_thread_is_answered_over_the_new_line(world: World) -> None:
    host, _, port = world.server.address.rpartition(":")
    async with Proxy.to(host, int(port)) as proxy:
        endpoint = Endpoint(proxy.address, world.services.ca_pem, world.stock.token)
        with AdminClient(endpoint) as client:
            read = client.server_info.GetServerInfo
            await asyncio.to_thread(read, INFO, timeout=20)
            proxy.down.black_hole()
            before = proxy.up.passed_bytes
            asked = asyncio.create_task(asyncio.to_thread(read, INFO, timeout=30))
            await is_sent(proxy, before)
            client.endpoint = straight(world)
            client.renew()
            accepted = proxy.accepted
            proxy.cut()
            assert (await asked).version
            assert (await asyncio.to_thread(read, INFO, timeout=20)).version
            assert proxy.accepted == accepted, "nothing went over the old line any more"


async def test_a_decision_of_another_thread_is_made_once_and_has_its_answer(world: World) -> None:
    host, _, port = world.server.address.rpartition(":")
    async with Proxy.to(host, int(port)) as proxy:
        with AdminClient(Endpoint(proxy.address, world.services.ca_pem, world.stock.token)) as client:
            await asyncio.to_thread(client.server_info.GetServerInfo, INFO, timeout=20)
            proxy.down.black_hole()
            press = asyncio.create_task(asyncio.to_thread(client.rollouts.PressKillSwitch, PRESS, timeout=30))
            await is_pressed(world)
            client.renew()
            proxy.heal()
            assert (await press).kill_switch.active
            assert len(await world.events("kill_switch.pressed")) == 1


@pytest.mark.parametrize("name", ["GetServerInfo", "PressKillSwitch", "WatchEvents"])
def test_a_client_without_asyncio_that_was_closed_is_unavailable(name: str) -> None:
    with AdminClient(Endpoint("127.0.0.1:1", PEM)) as client:
        pass
    calls: dict[str, Callable[[], object]] = {
        "GetServerInfo": lambda: client.server_info.GetServerInfo(INFO, timeout=5),
        "PressKillSwitch": lambda: client.rollouts.PressKillSwitch(PRESS, timeout=5),
        "WatchEvents": lambda: next(client.events.WatchEvents(events_pb2.WatchEventsRequest(), timeout=5)),
    }
    with pytest.raises(ServerRefusedError, match="closed") as refused, translate():
        calls[name]()
    assert refused.value.code is Code.UNAVAILABLE
