"""What a person does on a host counts in the budgets: never refused, and out as long as it is not known to be well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.duration_pb2 import Duration

from fleetroll.v1 import agents_pb2, types_pb2
from fleetroll_server.store.tables import LocalAttemptRow
from tests.faults.stocks import FLEET, NEW, OLD
from tests.faults.virtual_disk import code

if TYPE_CHECKING:
    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World

WIDE = ("global", f"fleet/{FLEET}")
NOTHING, IN_USE, BROKEN = (0, 0), (1, 0), (0, 1)


async def held(world: World) -> tuple[int, int]:
    """Return what is in use and broken, in both scopes alike."""
    found = {await world.budget(scope) for scope in WIDE}
    assert len(found) == 1
    return found.pop()


def leaves_over(world: World, held_at_the_end: tuple[int, int]) -> None:
    """Say what the test leaves: nobody frees it."""
    for scope in WIDE:
        world.left_over[scope] = held_at_the_end


async def begins(world: World, number: int = 1) -> VirtualAgent:
    """Let root begin an attempt, up to its first step on the host."""
    agent = world.agent("host-1")
    if agent.session is None:
        await world.online("host-1")
    sha256 = bytes.fromhex(world.stock.digests[NEW])
    agent.disk.attempt = {"generation": 0, "local_number": number, "version": NEW, "sha256": sha256}
    await says(agent, "downloading")
    await says(agent, "staged")
    await says(agent, "applying", step="switch", time_limit=Duration(seconds=300))
    return agent


async def says(agent: VirtualAgent, state: str, **facts: Any) -> None:
    assert agent.disk.attempt is not None
    await agent.report(state, generation=0, local_number=agent.disk.attempt["local_number"], **facts)


async def state(world: World) -> tuple[str, str]:
    row = max(await world.rows(LocalAttemptRow), key=lambda row: row["number"])
    return row["state"], row["code"]


@pytest.mark.parametrize(
    ("end", "facts", "then"),
    [
        ("succeeded", {"running_version": NEW}, NOTHING),
        ("rolled_back", {"running_version": OLD, "code": code("HEALTH_FAILED")}, NOTHING),
        ("failed", {"code": code("STEP_FAILED")}, NOTHING),
        ("rollback_failed", {"running_version": OLD, "code": code("STEP_FAILED")}, BROKEN),
    ],
)
async def test_it_is_out_while_it_runs_and_as_any_other_when_it_ends(
    world: World, end: str, facts: dict[str, Any], then: tuple[int, int]
) -> None:
    agent = await begins(world)
    assert await held(world) == IN_USE
    await says(agent, end, **facts)
    assert await held(world) == then
    leaves_over(world, then)


async def test_before_its_first_step_it_holds_nothing(world: World) -> None:
    (agent,) = await world.online("host-1")
    agent.disk.attempt = {"generation": 0, "local_number": 1, "version": NEW}
    await says(agent, "downloading", sha256=b"")
    assert await held(world) == NOTHING


async def test_it_is_charged_above_the_limits_and_holds_the_servers_hosts_back(world: World) -> None:
    for scope in WIDE:
        await world.set_budget(scope, max_in_use=1, max_out=1)
    await world.online("host-2")
    await world.roll("host-2")
    other = await world.staged("host-2")
    await other.granted()
    agent = await begins(world)
    assert await held(world) == (2, 0)
    await world.on_trial("host-2")
    await other.commit()
    await world.online("host-3")
    rollout = await world.roll("host-3")
    third = await world.staged("host-3")
    assert await third.refused_go() == "BUDGET"
    await says(agent, "succeeded", running_version=NEW)
    await third.granted()
    await world.on_trial("host-3")
    await third.commit()
    assert await world.state(rollout) == "COMPLETED"


async def test_a_granted_go_stays_charged_until_the_host_has_spoken_of_it(world: World) -> None:
    """What root does there meanwhile neither frees it nor hides it."""
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    staged = agent.disk.attempt
    await begins(world)
    assert await held(world) == (2, 0)
    await says(agent, "succeeded", running_version=NEW)
    assert await held(world) == IN_USE
    agent.disk.attempt = staged
    leaves_over(world, IN_USE)
    world.left_over[f"rollout/{rollout}"] = IN_USE


@pytest.mark.parametrize("by", ["success", "hello", "dismissal"])
async def test_what_is_broken_is_freed_by_a_success_by_health_and_by_a_person(world: World, by: str) -> None:
    agent = await begins(world)
    await says(agent, "rollback_failed", running_version=OLD, code=code("STEP_FAILED"))
    agent.disk.healthy = False
    await agent.connect()
    assert await held(world) == BROKEN, "it does not say that it is well"
    if by == "success":
        await begins(world, number=2)
        assert await held(world) == IN_USE, "a host is out once"
        await says(agent, "succeeded", running_version=NEW)
    elif by == "hello":
        agent.disk.healthy = True
        await agent.connect()
    else:
        request = agents_pb2.DismissAgentRequest(agent_id=agent.disk.agent_id, reason="I was there")
        assert list((await world.call(world.hosts_stub.DismissAgent, request)).scopes) == list(WIDE)
    assert await held(world) == NOTHING


async def test_a_host_that_falls_silent_in_it_is_lost_and_found(world: World) -> None:
    agent = await begins(world)
    await world.drop("host-1")
    await world.watch(325)
    assert await held(world) == IN_USE
    await world.watch(5)
    assert (await held(world), await state(world)) == (BROKEN, ("lost", "HOST_WENT_OFFLINE"))
    (event,) = await world.events("alert.local_attempt_failed")
    assert event["attempt_id"] == f"{agent.disk.agent_id}/agent/local:1"
    agent.disk.healthy = False
    await agent.connect()
    assert (await held(world), (await state(world))[0]) == (IN_USE, "applying")
    await says(agent, "rolled_back", running_version=OLD, code=code("HEALTH_FAILED"))
    assert await held(world) == NOTHING


async def test_a_hello_that_shows_it_is_charged_and_timed(world: World) -> None:
    agent = world.agent("host-1")
    agent.disk.attempt = {
        "generation": 0,
        "local_number": 7,
        "version": NEW,
        "state": types_pb2.ATTEMPT_STATE_APPLYING,
        "time_left": Duration(seconds=100),
    }
    await agent.connect()
    assert await held(world) == IN_USE
    await world.drop("host-1")
    await world.watch(130)
    assert await held(world) == BROKEN
    agent.disk.attempt = None
    await agent.connect()
    assert (await held(world), await state(world)) == (NOTHING, ("failed", "NEVER_CAME_BACK"))


async def test_what_a_host_has_forgotten_and_is_not_well_stays_broken(world: World) -> None:
    agent = await begins(world)
    await world.drop("host-1")
    agent.disk.attempt, agent.disk.healthy = None, False
    await agent.connect()
    await world.watch(330)
    assert await held(world) == BROKEN
    agent.disk.healthy = True
    await agent.connect()
    assert await held(world) == NOTHING


async def test_time_without_a_server_is_no_silence_of_it(world: World) -> None:
    agent = await begins(world)
    await world.stop()
    world.clock.advance(3600)
    await world.start()
    world.readdress()
    await world.watch(300)
    assert await held(world) == IN_USE
    agent = world.agent("host-1")
    await agent.connect()
    await says(agent, "succeeded", running_version=NEW)
    assert await held(world) == NOTHING


async def test_a_revoked_host_is_out_of_the_budgets_when_its_time_is_over(world: World) -> None:
    await begins(world)
    await world.revoke("host-1")
    await world.watch(335)
    assert await held(world) == NOTHING


async def test_a_permit_that_a_host_claims_to_have_does_not_last_for_ever(world: World) -> None:
    agent = await begins(world)
    await says(agent, "granted")
    await world.watch(90)
    assert (await held(world), (await state(world))[0]) == (BROKEN, "lost")
    leaves_over(world, BROKEN)
