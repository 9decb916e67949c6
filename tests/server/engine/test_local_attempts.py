"""Attempts that were started on a host: the server learns of them, keeps what runs, and steers nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll.v1 import agents_pb2
from fleetroll_server.engine.kept_locals import KEPT
from fleetroll_server.store.tables import HostProductRow, LocalAttemptRow
from tests.faults.event_watcher import EventWatcher
from tests.faults.stocks import NEW, OLD
from tests.faults.virtual_disk import attempt_state, code

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


def still_runs(world: World) -> None:
    """Say that the test ends with the attempt: it is charged."""
    world.left_over["global"] = world.left_over["fleet"] = (1, 0)


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
    still_runs(world)


async def test_what_nobody_lists_is_not_promoted(world: World) -> None:
    agent = await online(world)
    await agent.goodbye()
    agent.switch(NEW, "ee" * 32)
    assert agent.disk.attempt is not None
    agent.disk.attempt["sha256"] = bytes.fromhex("ee" * 32)
    await agent.connect()
    await agent.fence()
    assert "promote" not in await agent.waiting()
    still_runs(world)


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


async def shown(world: World) -> agents_pb2.GetAgentResponse:
    """Return the host as it is shown, which lists show alike."""
    answer = await world.call(world.hosts_stub.GetAgent, agents_pb2.GetAgentRequest(agent="host-1"))
    listed = await world.call(world.hosts_stub.ListAgents, agents_pb2.ListAgentsRequest(name_contains="host-1"))
    assert list(listed.agents) == [answer.agent]
    assert isinstance(answer, agents_pb2.GetAgentResponse)
    return answer


async def goes_back(world: World) -> VirtualAgent:
    """Let a host be updated by a rollout, and root go back after it."""
    await world.online("host-1")
    await world.roll("host-1")
    agent = await world.update("host-1")
    world.clock.advance(1)
    agent.disk.attempt = {"generation": 0, "local_number": 1, "version": OLD}
    await says(agent, "applying", step="switch", sha256=b"")
    await says(agent, "succeeded", running_version=OLD, sha256=b"")
    return agent


async def test_its_steps_and_its_end_are_shown_with_its_versions(world: World) -> None:
    agent = await online(world)
    await says(agent, "downloading")
    await says(agent, "staged")
    await says(agent, "applying", step="arm")
    (attempt,) = (await shown(world)).attempts
    assert attempt.id == f"{agent.disk.agent_id}/agent/local:1"
    assert (attempt.from_version, attempt.to_version, attempt.step) == (OLD, NEW, "arm")
    assert (attempt.state, attempt.rollout_id) == (attempt_state("applying"), "")
    await says(agent, "rolled_back", running_version=OLD, code=code("HEALTH_FAILED"), message="no answer")
    answer = await shown(world)
    (attempt,) = answer.attempts
    assert (attempt.to_version, attempt.message, attempt.state) == (NEW, "no answer", attempt_state("rolled_back"))
    assert attempt.HasField("ended_at")
    (status,) = answer.agent.products
    assert (status.update_state, status.last_attempt) == (attempt.state, attempt)


async def test_what_root_took_back_is_told_beside_what_the_rollout_left(world: World) -> None:
    await goes_back(world)
    answer = await shown(world)
    (status,) = answer.agent.products
    assert (status.current_version, status.target_version, status.changed_on_host) == (OLD, NEW, True)
    assert [attempt.id.rpartition("/")[2] for attempt in answer.attempts] == ["local:1", "1"]
    assert status.last_attempt.id == answer.attempts[0].id


async def test_what_was_changed_without_the_agents_help_is_told_by_its_next_hello(world: World) -> None:
    await world.online("host-1")
    await world.roll("host-1")
    agent = await world.update("host-1")
    assert not (await shown(world)).agent.products[0].changed_on_host
    agent.disk.version = "1.0.9"
    await agent.connect()
    assert (await shown(world)).agent.products[0].changed_on_host


async def test_a_rollout_that_is_under_way_or_went_back_changed_nothing_on_its_host(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    await world.fail("host-1", code=code("START_FAILED"))
    assert not (await shown(world)).agent.products[0].changed_on_host
    world.left_over[f"rollout/{rollout}"] = (0, 1)


async def test_a_watcher_sees_all_of_it(world: World) -> None:
    watcher = EventWatcher(world)
    async with watcher.watching():
        agent = await goes_back(world)
        expected = (await shown(world)).agent
        expected.ClearField("last_seen_at")

        def stands() -> bool:
            known = watcher.agents.get(agent.disk.agent_id)
            if known is not None:
                known.ClearField("last_seen_at")
            return known == expected

        await watcher.until(stands)


async def test_a_number_that_comes_again_is_another_attempt(world: World) -> None:
    agent = await online(world)
    await says(agent, "failed", code=code("DISK_FULL"), message="first")
    agent.disk.attempt = {"generation": 0, "local_number": 1, "version": NEW}
    await says(agent, "downloading", sha256=b"")
    (attempt,) = (await shown(world)).attempts
    assert (attempt.state, attempt.message, attempt.to_version) == (attempt_state("downloading"), "", "")


async def test_the_newest_are_kept_and_nothing_of_products_that_nobody_keeps(world: World) -> None:
    agent = await online(world)
    for number in range(1, KEPT + 4):
        world.clock.advance(1)
        reports = agent.journal("failed", generation=0, local_number=number, code=code("DISK_FULL"))
        await agent.deliver(reports)
    rows = await world.rows(LocalAttemptRow)
    assert sorted(row["number"] for row in rows) == list(range(4, KEPT + 4))
    (report,) = agent.journal("failed", generation=0, local_number=1)
    report.product = "nobody-keeps-it"
    await agent.deliver([report])
    assert len(await world.rows(LocalAttemptRow)) == KEPT
