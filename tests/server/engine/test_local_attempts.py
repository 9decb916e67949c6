"""Attempts that were started on a host: the server learns of them, keeps what runs, and steers nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_server.store.tables import HostProductRow
from tests.faults.stocks import NEW, OLD
from tests.faults.virtual_disk import code

if TYPE_CHECKING:
    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World


async def online(world: World) -> VirtualAgent:
    """Return a host on which root has started an update."""
    (agent,) = await world.online("host-1")
    agent.disk.attempt = {
        "generation": 0,
        "local_number": 1,
        "version": NEW,
        "sha256": bytes.fromhex(world.stock.digests[NEW]),
    }
    return agent


async def says(agent: VirtualAgent, state: str, **facts: Any) -> None:
    await agent.report(state, generation=0, local_number=1, **facts)


async def product(world: World) -> dict[str, Any]:
    (row,) = await world.rows(HostProductRow, agent_id=world.agent("host-1").disk.agent_id)
    return row


async def test_a_new_agent_that_root_tries_is_promoted_when_its_digest_is_listed(world: World) -> None:
    agent = await online(world)
    await says(agent, "applying", step="restart")
    await agent.goodbye()
    agent.switch(NEW, world.stock.digests[NEW])
    await agent.connect()
    promote = await agent.expect("promote")
    assert (promote.generation, promote.local_number) == (0, 1)
    assert promote.sha256.hex() == world.stock.digests[NEW]


async def test_what_nobody_lists_is_not_promoted(world: World) -> None:
    agent = await online(world)
    await agent.goodbye()
    agent.switch(NEW, "ee" * 32)
    assert agent.disk.attempt is not None
    agent.disk.attempt["sha256"] = bytes.fromhex("ee" * 32)
    await agent.connect()
    await agent.fence()
    assert "promote" not in await agent.waiting()


async def test_its_success_is_what_runs_and_is_told_to_watchers(world: World) -> None:
    agent = await online(world)
    await says(agent, "succeeded", running_version=NEW)
    assert (await product(world))["version"] == NEW
    (event,) = await world.events("attempt.local")
    assert (event["actor_kind"], event["actor_id"], event["attempt_state"]) == ("agent-local", "local:1", "succeeded")


async def test_its_failure_is_an_alert(world: World) -> None:
    agent = await online(world)
    await says(agent, "rolled_back", running_version=OLD, code=code("HEALTH_FAILED"), message="no answer")
    (event,) = await world.events("alert.local_attempt_failed")
    assert "no answer" in event["message"]
    assert (event["code"], (await product(world))["version"]) == ("HEALTH_FAILED", OLD)


async def test_it_moves_no_rollout(world: World) -> None:
    (agent,) = await world.online("host-1")
    rollout = await world.roll("host-1")
    await world.staged("host-1")
    await agent.deliver(agent.journal("failed", generation=0, local_number=1, code=code("STEP_FAILED")))
    assert await world.state(rollout) == "RUNNING"
    await world.cancel(rollout)
