"""Rollouts of products that are not the agent: who takes part, and what a host's word of its pipeline does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fleetroll.v1 import agents_pb2, rollouts_pb2
from fleetroll_server.store.tables import AssignmentRow, HostProductRow
from tests.faults.kept_products import SHOP, STEPS, KeepingAgent, Kept, add_product, keeping, publish_product
from tests.faults.virtual_disk import code, code_name

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.worlds import World

FIRST, SECOND = "1.0.0", "1.1.0"


@pytest.fixture
async def digest(world: World, tmp_path: Path) -> str:
    """The hash of the shop's first release, for every platform."""
    await add_product(world)
    return await publish_product(world, tmp_path / "shop", FIRST)


async def opened(world: World, name: str = "host-1", **kept: Kept) -> KeepingAgent:
    """Connect a host that keeps the shop, with nothing installed unless it is said."""
    agent = keeping(world, name, **(kept or {SHOP: Kept()}))
    await agent.connect()
    return agent


async def roll(world: World, *hosts: str, version: str = FIRST, **values: Any) -> str:
    return await world.roll(*hosts, product=SHOP, version=version, **values)


async def applying(world: World, digest: str) -> tuple[KeepingAgent, str]:
    """Return a host that has Go for the shop and said its first step, and the rollout."""
    agent = await opened(world)
    rollout = await roll(world, "host-1")
    await agent.stage(digest)
    await agent.granted()
    await agent.apply("backup")
    return agent, rollout


async def product_row(world: World, name: str, product: str = SHOP) -> dict[str, Any]:
    (row,) = await world.rows(HostProductRow, agent_id=world.agent(name).disk.agent_id, product=product)
    return row


async def shown(world: World, name: str) -> dict[str, agents_pb2.ProductStatus]:
    answer = await world.call(world.hosts_stub.GetAgent, agents_pb2.GetAgentRequest(agent=name))
    return {product.product: product for product in answer.agent.products}


async def test_a_rollout_reaches_only_hosts_that_keep_the_product(world: World, digest: str) -> None:
    """Nothing installed is no reason to stay out; another product is none to come in."""
    await opened(world, "host-1")
    await opened(world, "host-2", shop=Kept("1.0.0-rc.1"))
    await opened(world, "host-3", router=Kept("1.0.0"))
    await world.online("host-4")
    hosts = [f"host-{number}" for number in range(1, 6)]
    request = world.order(*hosts, product=SHOP, version=FIRST)
    answer = await world.call(world.rollouts.StartRollout, request)
    assert {found.name: (code_name(found.code), found.message) for found in answer.exclusions} == {
        name: ("NOT_OPTED_IN", f"{name}: keeps no product shop (agent.toml names none)") for name in hosts[2:]
    }
    assert answer.rollout.waves[0].hosts == 2
    assert (await world.host("host-1"))["from_version"] == ""
    assert (await world.host("host-2"))["from_version"] == "1.0.0-rc.1"


async def test_the_agent_itself_is_kept_by_every_host(world: World) -> None:
    """Also by one that has never said hello."""
    request = world.order("host-1", "host-2")
    answer = await world.call(world.rollouts.StartRollout, request)
    assert not answer.exclusions


async def test_several_products_are_stored_and_shown_with_none_installed_too(world: World) -> None:
    """An empty version is the host's word that it keeps the product and has none yet."""
    await opened(world, shop=Kept(), router=Kept("3.1.0", healthy=True), site=Kept("2.0.0-rc.1"))
    found = await shown(world, "host-1")
    assert {name: product.current_version for name, product in found.items()} == {
        "agent": "1.0.0",
        "router": "3.1.0",
        "shop": "",
        "site": "2.0.0-rc.1",
    }
    listed = await world.call(world.hosts_stub.ListAgents, agents_pb2.ListAgentsRequest(name_contains="host-1"))
    assert [product.product for product in listed.agents[0].products] == sorted(found)
    assert (found["shop"].healthy, found["router"].healthy) == (False, True)


async def test_a_product_goes_through_its_steps_and_soaks_and_is_kept_by_the_host(world: World, digest: str) -> None:
    """Nobody promotes it: an outage of the server must not roll a product back."""
    agent = await opened(world)
    rollout = await roll(world, "host-1")
    await agent.stage(digest)
    await agent.granted()
    for step in STEPS:
        await agent.apply(step)
        row = await world.host("host-1")
        assert (row["state"], row["step"]) == ("applying", step)
    await agent.soak()
    assert (await world.host("host-1"))["state"] == "soaking"
    assert await agent.waiting("promote") == []
    await agent.keep(FIRST, digest)
    assert await world.state(rollout) == "COMPLETED"
    row = await product_row(world, "host-1")
    assert (row["version"], row["sha256"], row["healthy"]) == (FIRST, digest, True)
    assert row["last_success_at"] == world.clock.now()
    assert (await shown(world, "host-1"))[SHOP].current_version == FIRST


@pytest.mark.parametrize("state", ["applying", "soaking"])
async def test_silence_counts_from_the_limit_that_the_host_announced(world: World, digest: str, state: str) -> None:
    """Each step brings its own limit; thirty seconds later the host is lost, and its word brings it back."""
    agent, rollout = await applying(world, digest)
    await world.sweep(90)
    await (agent.apply("pull", seconds=200) if state == "applying" else agent.soak(200))
    await world.sweep(229)
    assert await world.states("host-1") == [state]
    await world.sweep(2)
    assert await world.states("host-1") == ["lost"]
    assert await world.state(rollout) == "HALTED"
    await agent.keep(FIRST, digest)
    assert await world.states("host-1") == ["succeeded"]


async def test_a_product_that_went_back_halts_its_rollout(world: World, digest: str) -> None:
    """The version that runs is the one before, and the step that failed stands in the attempt."""
    agent = await opened(world, shop=Kept("1.0.0-rc.1", healthy=True))
    rollout = await roll(world, "host-1")
    await agent.stage(digest)
    await agent.granted()
    await agent.apply("backup", "pull", "migrate")
    await agent.report(
        "rolled_back", running_version="1.0.0-rc.1", code=code("STEP_FAILED"), message="migrate: 1", output_tail="oh"
    )
    row = await world.host("host-1")
    assert (row["state"], row["code"], row["step"], row["output_tail"]) == (
        "rolled_back",
        "STEP_FAILED",
        "migrate",
        "oh",
    )
    assert await world.state(rollout) == "HALTED"
    assert (await product_row(world, "host-1"))["version"] == "1.0.0-rc.1"
    assert await world.events("alert.rollback_failed") == []
    world.left_over["rollout"] = (0, 1)


async def test_a_way_back_that_failed_is_told_loudly_and_holds_its_place(world: World, digest: str) -> None:
    """The host is broken: an alert names it, its rollout halts, and the budget counts it until it says it is well."""
    agent, rollout = await applying(world, digest)
    await agent.report("rollback_failed", code=code("STEP_FAILED"), message="restore ended with 1")
    assert await world.states("host-1") == ["rollback_failed"]
    assert await world.state(rollout) == "HALTED"
    summary = (await world.show(rollout)).waves[0]
    assert (summary.attempted, summary.bad) == (1, 1)
    (event,) = await world.events("alert.rollback_failed")
    assert (event["agent_id"], event["code"]) == (agent.disk.agent_id, "STEP_FAILED")
    assert (event["message"], event["rollout_id"]) == ("restore ended with 1", rollout)
    assert await world.budget("fleet/") == (0, 1)
    assert (await product_row(world, "host-1"))["healthy"] is False
    agent.own.healthy = True
    await agent.connect()
    assert await world.budget("fleet/") == (0, 0)
    world.left_over["rollout"] = (0, 1)


async def test_two_products_of_one_host_roll_out_side_by_side(world: World, digest: str) -> None:
    """A rollout of the agent stands in no product's way."""
    agent = await opened(world)
    of_agent = await world.roll("host-1")
    of_shop = await roll(world, "host-1")
    await agent.expect("assignment")
    await agent.update(FIRST, digest)
    assert await world.state(of_shop) == "COMPLETED"
    assert await world.state(of_agent) == "RUNNING"


@pytest.mark.parametrize("state", ["offered", "downloading", "staged"])
async def test_what_was_offered_of_a_product_that_is_kept_no_more_is_skipped(
    world: World, digest: str, state: str
) -> None:
    """Its host says so by its next hello; that is no failure of the release."""
    agent = await opened(world)
    rollout = await roll(world, "host-1")
    await agent.take()
    if state != "offered":
        await agent.report(*(("downloading",) if state == "downloading" else ("downloading", "staged")))
    agent.kept.clear()
    agent.disk.attempt, agent.disk.highest = None, 0
    await agent.connect()
    row = await world.host("host-1")
    assert (row["state"], row["code"]) == ("skipped", "NOT_OPTED_IN")
    assert (await world.show(rollout)).waves[0].bad == 0
    (desired,) = await world.rows(AssignmentRow, product=SHOP)
    assert desired["version"] == ""
    assert await world.rows(HostProductRow, product=SHOP) == []


async def test_a_host_that_dropped_the_product_while_it_waited_is_skipped_in_its_turn(
    world: World, digest: str
) -> None:
    """It was planned when it still kept it."""
    await opened(world, "host-1")
    second = await opened(world, "host-2")
    rollout = await roll(world, "host-1", "host-2")
    second.kept.clear()
    await second.connect()
    assert (await world.host("host-2"))["code"] == "NOT_OPTED_IN"
    first: Any = world.agent("host-1")
    await first.update(FIRST, digest)
    assert await world.state(rollout) == "COMPLETED"


async def test_past_go_a_host_has_to_say_what_became_of_it(world: World, digest: str) -> None:
    """That it names the product no more ends nothing then."""
    agent, _rollout = await applying(world, digest)
    agent.kept.clear()
    agent.disk.attempt = None
    await agent.connect()
    assert (await world.host("host-1"))["code"] == "NEVER_CAME_BACK"
    world.left_over["rollout"] = (0, 1)


async def test_a_host_is_offered_the_artefact_that_is_built_closest_to_it(
    world: World, digest: str, tmp_path: Path
) -> None:
    """Of several that cover it; Go is given for that one alone."""
    closest = await publish_product(world, tmp_path / "shop", FIRST, "linux/x86_64")
    await publish_product(world, tmp_path / "shop", FIRST, "linux/aarch64")
    agent = await opened(world)
    await roll(world, "host-1")
    assert (await world.host("host-1"))["sha256"] == closest
    await agent.stage(digest)
    assert await agent.refused_go() == "WRONG_HASH"


async def test_a_release_for_other_hosts_only_is_no_release_for_this_one(world: World, tmp_path: Path) -> None:
    """The reason is the platform, not that the host does not keep the product."""
    await add_product(world)
    await publish_product(world, tmp_path / "shop", SECOND, "linux/aarch64")
    await publish_product(world, tmp_path / "shop", FIRST)
    await opened(world, "host-1")
    await opened(world, "host-2")
    stub: Any = world.rollouts
    request = rollouts_pb2.StartRolloutRequest()
    request.CopyFrom(world.order("host-1", "host-2", product=SHOP, version=FIRST))
    answer = await world.call(stub.StartRollout, request)
    assert not answer.exclusions
    await world.cancel(answer.rollout.id)
