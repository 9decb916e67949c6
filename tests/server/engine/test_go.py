"""Go: who gets it, who never does, and that a host without it is stopped for free."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll_server.store.tables import AgentRow, ReleaseRow, RolloutRow, table_of
from tests.faults.stocks import NEW, NEWER
from tests.faults.virtual_disk import code_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.faults.worlds import World

TABLES = {"agent": table_of(AgentRow), "release": table_of(ReleaseRow), "rollout": table_of(RolloutRow)}


async def change(world: World, table: str, **values: Any) -> None:
    """Change every row of a table behind the server's back."""

    async def job(tx: Any) -> None:
        changed = TABLES[table]
        query = sa.update(changed).values(**values)
        await tx.execute(query.where(changed.c.fleet_id == "default") if "fleet_id" in changed.c else query)

    await world.services.store.writer.command(job)


async def one_staged(world: World) -> str:
    """Start a rollout to one host and let it stage; return the rollout."""
    await world.online("host-1")
    rollout = await world.roll("host-1")
    await world.staged("host-1")
    return rollout


# Who never gets it.


async def paused(world: World, rollout: str) -> None:
    await world.pause(rollout)


async def killed(world: World, _rollout: str) -> None:
    await world.press()


async def killed_everywhere(world: World, _rollout: str) -> None:
    await world.press("")


async def quarantined(world: World, _rollout: str) -> None:
    await change(world, "agent", quarantined=True)


async def not_listed(world: World, _rollout: str) -> None:
    await change(world, "release", listed=False)


async def past_not_after(world: World, _rollout: str) -> None:
    world.clock.advance(8 * 86_400)


HURDLES: dict[str, tuple[Callable[[World, str], Awaitable[None]], str]] = {
    "paused": (paused, "PAUSED"),
    "kill switch of the fleet": (killed, "SUSPENDED"),
    "kill switch of everything": (killed_everywhere, "SUSPENDED"),
    "quarantined": (quarantined, "QUARANTINED"),
    "not listed": (not_listed, "YANKED"),
}


@pytest.mark.parametrize("hurdle", HURDLES)
async def test_no_go_while(world: World, hurdle: str) -> None:
    rollout = await one_staged(world)
    raise_hurdle, code = HURDLES[hurdle]
    await raise_hurdle(world, rollout)
    agent = world.agent("host-1")
    assert await agent.refused_go() == code
    row = await world.host("host-1")
    assert (row["state"], row["waiting"], row["granted_at"]) == ("staged", code, None)
    assert await world.budget("rollout/") == (0, 0)
    await world.cancel(rollout)
    assert await world.states("host-1") == ["cancelled"]
    assert await world.budget("rollout/") == (0, 0)
    assert (await agent.expect("assignment")).version == ""


async def test_no_go_past_not_after_the_host_is_expired_for_free(world: World) -> None:
    rollout = await one_staged(world)
    await past_not_after(world, rollout)
    agent = world.agent("host-1")
    assert await agent.refused_go() == "EXPIRED"
    assert await world.states("host-1") == ["expired"]
    assert (await agent.expect("assignment")).version == ""


async def test_no_go_after_a_cancel(world: World) -> None:
    rollout = await one_staged(world)
    agent = world.agent("host-1")
    await world.cancel(rollout)
    assert (await agent.expect("assignment")).version == ""
    answer = await agent.ask()
    assert isinstance(answer, stream_pb2.NoGo)
    assert await world.states("host-1") == ["cancelled"]


async def test_no_go_for_other_bytes_than_the_release(world: World) -> None:
    await one_staged(world)
    agent = world.agent("host-1")
    answer = await agent.ask(sha256=bytes.fromhex(world.stock.digests[NEWER]))
    assert code_name(answer.code) == "WRONG_HASH"
    assert code_name((await agent.ask(sha256=b"")).code) == "WRONG_HASH"
    assert await world.budget("rollout/") == (0, 0)
    await agent.granted()
    await agent.report("cancelled")


async def test_no_go_for_a_host_that_was_halted_before_its_turn(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2")
    second = await world.staged("host-2")
    await world.fail("host-1")
    assert await world.state(rollout) == "HALTED"
    assert await second.refused_go() == "PAUSED"
    await world.cancel(rollout)


async def test_no_go_for_somebody_elses_attempt(world: World) -> None:
    await world.online("host-1", "host-2")
    await world.roll("host-1")
    first = await world.staged("host-1")
    thief = world.agent("host-2")
    answer = await thief.ask(generation=first.generation, sha256=bytes.fromhex(world.stock.digests[NEW]))
    assert code_name(answer.code) == "NOT_FOUND"
    await first.granted()
    await first.report("cancelled")


async def test_no_go_in_a_state_that_can_not_ask(world: World) -> None:
    await one_staged(world)
    agent = world.agent("host-1")
    await agent.granted()
    await agent.report("applying")
    assert await agent.refused_go() == "ROLLOUT_STATE"
    assert await world.states("host-1") == ["applying"]
    await agent.back("cancelled")


async def test_of_three_hosts_that_ask_at_once_exactly_one_gets_go(world: World) -> None:
    agents = await world.online("host-1", "host-2", "host-3")
    rollout = await world.roll("host-1", "host-2", "host-3")
    for agent in agents:
        await world.staged(agent.disk.name)
    answers = await asyncio.gather(*[agent.ask() for agent in agents])
    refused = [answer for answer in answers if isinstance(answer, stream_pb2.NoGo)]
    assert [code_name(answer.code) for answer in refused] == ["BUDGET", "BUDGET"]
    assert sorted(await world.states("host-1", "host-2", "host-3")) == ["granted", "staged", "staged"]
    for scope in ("global", "fleet/", "rollout/"):
        assert await world.budget(scope) == (1, 0)
    winner = next(agent for agent, answer in zip(agents, answers, strict=True) if isinstance(answer, stream_pb2.Go))
    await world.on_trial(winner.disk.name)
    await winner.commit()
    waiting = [agent for agent in agents if agent is not winner]
    assert [await agent.waiting("ask_again") for agent in waiting] == [["ask_again"], []]
    for agent in waiting:
        await agent.granted()
        await world.on_trial(agent.disk.name)
        await agent.commit()
    assert await world.state(rollout) == "COMPLETED"


async def test_a_full_wider_scope_refuses_and_names_itself(world: World) -> None:
    await world.set_budget("global", max_in_use=1, max_out=1)
    await world.online("host-1", "host-2")
    rollouts = [await world.roll(name) for name in ("host-1", "host-2")]
    first, second = await world.staged("host-1"), await world.staged("host-2")
    await first.granted()
    answer = await second.ask()
    assert (code_name(answer.code), "global" in answer.message) == ("BUDGET", True)
    await first.report("applying")
    await first.back("cancelled")
    await second.granted()
    await second.report("cancelled")
    for rollout in rollouts:
        await world.cancel(rollout)


# An agent without Go stays staged, and is stopped for free.


@pytest.mark.parametrize("why", ["paused", "kill switch", "offline"])
async def test_a_host_without_go_stays_staged_and_is_stopped_for_free(world: World, why: str) -> None:
    rollout = await one_staged(world)
    agent = world.agent("host-1")
    if why == "paused":
        await world.pause(rollout)
    elif why == "kill switch":
        await world.press()
    else:
        await world.drop("host-1")
    await world.watch(3600, step=600)
    assert await world.states("host-1") == ["staged"]
    await world.cancel(rollout)
    assert await world.states("host-1") == ["cancelled"]
    if why == "offline":
        await agent.connect()
    assert (await agent.expect("assignment")).version == ""
    await agent.report("cancelled")
    assert await world.states("host-1") == ["cancelled"]
