"""A host is called offline after its limit, once: gaps that are shorter are no news, and everybody goes by the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import agents_pb2, rollouts_pb2

if TYPE_CHECKING:
    from tests.faults.worlds import World


async def told(world: World) -> list[str]:
    """Return what watchers were told of coming and going, in order."""
    kinds = ("agent.online", "agent.offline", "agent.changed")
    events = [event for kind in kinds for event in await world.events(kind)]
    return [event["kind"].removeprefix("agent.") for event in sorted(events, key=lambda event: event["sequence"])]


async def is_online(world: World, name: str, rollout: str = "") -> bool:
    """Tell whether a host is shown as online, in every list that shows it."""
    agents = (await world.call(world.hosts_stub.ListAgents, agents_pb2.ListAgentsRequest())).agents
    shown = {agent.online for agent in agents if agent.name == name}
    if rollout:
        request = rollouts_pb2.ListRolloutHostsRequest(rollout_id=rollout)
        hosts = (await world.call(world.rollouts.ListRolloutHosts, request)).hosts
        shown |= {host.online for host in hosts if host.name == name}
    (answer,) = shown
    return bool(answer)


async def leaves(world: World, name: str) -> None:
    """Let a host say goodbye, and wait until that is written."""
    agent = world.agent(name)
    await agent.goodbye()
    await world.drop(name)


async def test_a_renewed_session_is_no_news(world: World) -> None:
    (agent,) = await world.online("host-1")
    for _ in range(3):
        await leaves(world, "host-1")
        await world.sweep(2)
        await agent.connect()
    assert await told(world) == ["online"]


async def test_a_newer_stream_takes_the_place_of_an_older_one_without_a_word(world: World) -> None:
    (agent,) = await world.online("host-1")
    older = agent.session
    session = await agent.open()
    agent.remember(await agent.greet(session))
    await agent.use(session)
    assert older is not None
    await agent.ended(older)
    await agent.fence()
    await world.sweep(70)
    assert await told(world) == ["online"]
    assert await is_online(world, "host-1")


async def test_what_a_renewed_session_says_anew_is_told(world: World) -> None:
    (agent,) = await world.online("host-1")
    await leaves(world, "host-1")
    agent.disk.healthy = False
    await agent.connect()
    assert await told(world) == ["online", "changed"]


async def test_a_host_that_stays_away_is_offline_after_a_minute_everywhere(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", "host-2")
    await leaves(world, "host-1")
    await world.watch(55)
    assert await is_online(world, "host-1", rollout)
    assert await told(world) == ["online"]
    await world.watch(5)
    assert not await is_online(world, "host-1", rollout)
    assert await told(world) == ["online", "offline"]
    await world.online("host-1")
    await world.watch(60)
    assert await told(world) == ["online", "offline", "online"]
    await world.cancel(rollout)


async def test_a_host_that_comes_when_its_time_is_just_over_is_told_as_both(world: World) -> None:
    (agent,) = await world.online("host-1")
    await leaves(world, "host-1")
    world.clock.advance(61)
    await agent.connect()
    assert await told(world) == ["online", "offline", "online"]


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
async def test_a_restart_of_the_server_is_no_news_of_hosts_that_come_back(world: World, *, killed: bool) -> None:
    await world.online("host-1", "host-2")
    if killed:
        await world.crash()
    else:
        await world.stop()
        world.clock.advance(3600)  # nobody could come back in it
        await world.start()
        world.readdress()
    await world.watch(30)
    await world.online("host-1")
    await world.watch(25)
    assert await told(world) == ["online", "online"]
    await world.watch(10)
    assert await told(world) == ["online", "online", "offline"]
    assert [await is_online(world, name) for name in ("host-1", "host-2")] == [True, False]


async def test_a_server_that_stood_still_for_longer_than_its_lease_shows_its_hosts_as_before(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", "host-2")
    world.clock.advance(3 * world.services.settings.lease_seconds)
    assert await is_online(world, "host-1", rollout)
    assert await told(world) == ["online"]
    await world.cancel(rollout)


async def test_a_revoked_host_is_offline_at_once(world: World) -> None:
    await world.online("host-1")
    await world.revoke("host-1")
    await world.drop("host-1")
    assert await told(world) == ["online", "offline"]
    request = agents_pb2.ListAgentsRequest(include_revoked=True)
    agents = (await world.call(world.hosts_stub.ListAgents, request)).agents
    assert not any(agent.online for agent in agents)


@pytest.mark.parametrize(
    ("policy", "ends"), [("SKIP", ("skipped", "HOST_OFFLINE")), ("FAIL", ("failed", "HOST_OFFLINE_AT_DISPATCH"))]
)
async def test_the_offline_policy_judges_a_host_once_it_is_offline(
    world: World, policy: str, ends: tuple[str, str]
) -> None:
    value = rollouts_pb2.OfflinePolicy.Value(f"OFFLINE_POLICY_{policy}")
    await world.online("host-1", "host-2")
    await leaves(world, "host-1")
    rollout = await world.roll("host-1", "host-2", limits={"offline_policy": value})
    await world.staged("host-2")
    assert await world.states("host-1") == ["pending"], "it may be on its way back"
    await world.watch(55)
    assert await world.states("host-1") == ["pending"]
    await world.watch(5)
    row = await world.host("host-1")
    assert (row["state"], row["code"]) == ends
    await world.cancel(rollout)


async def test_a_host_that_is_back_in_time_is_offered_whatever_the_policy_says(world: World) -> None:
    value = rollouts_pb2.OfflinePolicy.Value("OFFLINE_POLICY_FAIL")
    await world.online("host-1")
    await leaves(world, "host-1")
    await world.roll("host-1", limits={"offline_policy": value})
    await world.sweep(5)
    await world.online("host-1")
    await world.update("host-1")
    assert await world.states("host-1") == ["succeeded"]


async def test_no_wave_passes_without_a_host_that_had_just_left_when_it_began(world: World) -> None:
    await world.online("host-1", "host-2")
    await leaves(world, "host-2")
    await world.sweep(20)
    rollout = await world.roll("host-1", "host-2")
    await world.update("host-1")
    await world.watch(35)
    assert await world.state(rollout) == "RUNNING"
    await world.watch(5)
    assert await world.state(rollout) == "COMPLETED"
