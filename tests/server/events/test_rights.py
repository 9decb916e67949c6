"""A watcher is told of its own fleets alone, of hosts only with the right to, and only while its token holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
import sqlalchemy as sa

from fleetroll.v1 import events_pb2, events_pb2_grpc, options_pb2, tokens_pb2, tokens_pb2_grpc
from fleetroll_server.store.tables import FleetRow, table_of
from tests.faults.event_watcher import EventWatcher
from tests.faults.stocks import FLEET

if TYPE_CHECKING:
    from tests.faults.worlds import World

TOKEN = "authorization"
AGENTS, EVENTS = events_pb2.WATCH_SUBJECT_AGENTS, events_pb2.WATCH_SUBJECT_EVENTS


async def token(world: World, **values: Any) -> tuple[str, str]:
    stub: Any = tokens_pb2_grpc.TokensServiceStub(world.channel)
    wanted: dict[str, Any] = {"name": "t", "role": options_pb2.ROLE_VIEWER}
    made = await world.call(stub.CreateApiToken, tokens_pb2.CreateApiTokenRequest(**(wanted | values)))
    return made.token.id, made.secret


async def another_fleet(world: World) -> None:
    values = {"id": "other", "name": "other", "created_at": world.clock.now()}
    insert = sa.insert(table_of(FleetRow)).values(**values)
    await world.services.store.writer.command(lambda tx: tx.execute(insert))


async def test_a_foreign_fleet_does_not_exist_for_a_watcher(world: World) -> None:
    await another_fleet(world)
    _, secret = await token(world, fleet_ids=["other"])
    mine, foreign = EventWatcher(world), EventWatcher(world, token=secret)
    async with mine.watching(), foreign.watching():
        await foreign.until(lambda: foreign.snapshots == 1)
        await world.online("host-1")
        rollout = await world.roll("host-1")
        pressed = await world.press("")
        await mine.until(lambda: rollout in mine.rollouts and "global" in mine.switches)
        await foreign.until(lambda: "global" in foreign.switches)
    assert (foreign.agents, foreign.rollouts) == ({}, {})
    assert [event.kind for event in foreign.events] == ["kill_switch.pressed"]
    assert foreign.switches["global"] == pressed
    await world.lift("")
    stub: Any = events_pb2_grpc.EventsServiceStub(world.channel)
    listed = await stub.ListEvents(
        events_pb2.ListEventsRequest(), metadata=(("authorization", f"Bearer {secret}"),), timeout=20
    )
    assert [event.kind for event in listed.events] == ["kill_switch.lifted", "kill_switch.pressed"]


@pytest.mark.parametrize("which", ["all", "one fleet", "bound to a fleet", "bound to another", "a rollout"])
async def test_what_is_listed_is_what_is_watched(world_on_each: World, which: str) -> None:
    world = world_on_each
    await another_fleet(world)
    rollout = await world.roll("host-1")
    _, bound = await token(world, fleet_ids=[FLEET])
    _, foreign = await token(world, fleet_ids=["other"])
    secret = {"bound to a fleet": bound, "bound to another": foreign}.get(which, world.stock.token)
    fields: dict[str, dict[str, Any]] = {"one fleet": {"fleet_id": FLEET}, "a rollout": {"rollout_id": rollout}}
    narrow = fields.get(which, {})
    watcher, metadata = EventWatcher(world, token=secret, **narrow), ((TOKEN, f"Bearer {secret}"),)
    stub: Any = events_pb2_grpc.EventsServiceStub(world.channel)

    async def listed() -> list[Any]:
        answer = await stub.ListEvents(events_pb2.ListEventsRequest(**narrow), metadata=metadata, timeout=20)
        return list(reversed(answer.events))

    before = len(await listed())
    async with watcher.watching():
        await watcher.until(lambda: watcher.snapshots == 1)
        await token(world)  # an event of no fleet, which is nobody's but an admin's of all
        await world.online("host-1")
        for fleet in ("", "other", FLEET):
            await world.press(fleet)
            await world.lift(fleet)
        wanted = (await listed())[before:]
        await watcher.until(lambda: len(watcher.events) >= len(wanted))
        alive = watcher.alive
        await watcher.until(lambda: watcher.alive > alive)
    assert watcher.events == wanted != []


async def test_a_watcher_is_told_which_token_watches_and_not_who_made_it(world: World) -> None:
    token_id, secret = await token(world, name="night shift", fleet_ids=[FLEET], scopes=["rollouts.read"])
    watcher = EventWatcher(world, EVENTS, token=secret)
    async with watcher.watching():
        await watcher.until(lambda: watcher.snapshots == 1)
    assert watcher.token is not None
    assert (watcher.token.id, watcher.token.name) == (token_id, "night shift")
    assert watcher.token.role == options_pb2.ROLE_VIEWER
    assert (list(watcher.token.fleet_ids), list(watcher.token.scopes)) == ([FLEET], ["rollouts.read"])
    assert watcher.token.expires_at.ToDatetime() > world.clock.now().replace(tzinfo=None)
    assert not watcher.token.HasField("created")
    assert secret not in str(watcher.token)


async def test_a_fleet_and_a_rollout_that_are_not_there_are_named(world: World) -> None:
    for watcher, field in (
        (EventWatcher(world, fleet_id="nowhere"), "fleet_id"),
        (EventWatcher(world, rollout_id="rollout-x"), "rollout_id"),
    ):
        async with watcher.watching():
            error: Any = await watcher.failed()
        assert error.code().name == "NOT_FOUND"
        assert field in error.details()


async def test_hosts_of_no_rollout_can_not_be_watched(world: World) -> None:
    watcher = EventWatcher(world, events_pb2.WATCH_SUBJECT_ROLLOUT_HOSTS)
    async with watcher.watching():
        error: Any = await watcher.failed()
    assert error.code().name == "INVALID_ARGUMENT"
    assert "rollout_id" in error.details()


async def test_hosts_need_the_right_to_see_hosts(world: World) -> None:
    _, secret = await token(world, scopes=["rollouts.read"])
    watcher = EventWatcher(world, AGENTS, token=secret)
    async with watcher.watching():
        error: Any = await watcher.failed()
    assert error.code().name == "PERMISSION_DENIED"
    watcher = EventWatcher(world, EVENTS, token=secret)
    async with watcher.watching():
        await watcher.until(lambda: watcher.snapshots == 1)


async def test_the_watch_of_a_token_that_was_revoked_ends(world: World) -> None:
    name, secret = await token(world, fleet_ids=[FLEET])
    watcher = EventWatcher(world, token=secret)
    async with watcher.watching():
        await watcher.until(lambda: watcher.snapshots == 1)
        stub: Any = tokens_pb2_grpc.TokensServiceStub(world.channel)
        await world.call(stub.RevokeApiToken, tokens_pb2.RevokeApiTokenRequest(token_id=name))
        error: Any = await watcher.failed()
    assert error.code().name == "UNAUTHENTICATED"


async def test_the_watch_of_a_token_that_has_run_out_ends(world: World) -> None:
    _, secret = await token(world, valid_for={"seconds": 60})
    watcher = EventWatcher(world, token=secret)
    async with watcher.watching():
        await watcher.until(lambda: watcher.snapshots == 1)
        world.clock.advance(61)
        error: Any = await watcher.failed()
    assert error.code().name == "UNAUTHENTICATED"


async def test_a_server_that_goes_down_ends_watches(world: World) -> None:
    credentials = grpc.ssl_channel_credentials(world.services.ca_pem)
    async with grpc.aio.secure_channel(world.server.address, credentials) as channel:
        stub: Any = events_pb2_grpc.EventsServiceStub(channel)
        call = stub.WatchEvents(events_pb2.WatchEventsRequest(), metadata=((TOKEN, f"Bearer {world.stock.token}"),))
        messages = aiter(call)
        assert (await anext(messages)).snapshot.last
        await world.restart()

        async def read_on() -> None:
            async for _ in messages:
                pass

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read_on()
    assert (caught.value.code().name, caught.value.details()) == ("UNAVAILABLE", "the server goes down")
