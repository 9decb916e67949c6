"""The same on PostgreSQL, where more than one server works on one database: budgets and stops stay exact."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.duration_pb2 import Duration

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll_server.engine import engine
from tests.faults.recounts import check
from tests.faults.stocks import NEW, move_in
from tests.faults.virtual_agent import RefusedError
from tests.faults.virtual_disk import code, code_name
from tests.faults.worlds import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.faults.stocks import Stock

HOSTS = tuple(f"host-{number}" for number in range(1, 7))


@pytest.fixture
async def worlds(
    stock_once: Stock, postgres: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[World]]:
    """Two servers on one database; the hosts are shared out by the tests."""
    monkeypatch.setattr(engine, "SWEEP_SECONDS", 3600.0)
    url = postgres.fresh()
    await move_in(stock_once, url)
    made = [World(stock_once.copy(tmp_path / f"data-{number}"), url) for number in (1, 2)]
    made[1].clock = made[0].clock
    await made[0].start()
    await made[1].start()
    try:
        yield made
        await check(made[0])
    finally:
        for one in made:
            await one.stop()


@pytest.fixture
def world(worlds: list[World]) -> World:
    """One server."""
    return worlds[0]


async def test_a_rollout_in_waves_and_a_canary_that_halts_the_next_one(world: World) -> None:
    await world.online("host-1", "host-2", "host-3")
    first = await world.roll("host-1", "host-2", "host-3", waves=[1, 0], limits={"max_concurrent": 2})
    for name in ("host-1", "host-2", "host-3"):
        await world.update(name)
    assert await world.state(first) == "COMPLETED"
    second = await world.roll("host-1", "host-2", "host-3", waves=[1, 0], version="1.2.0")
    await world.fail("host-1", "1.2.0", code=code("START_FAILED"))
    assert await world.state(second) == "HALTED"
    assert await world.budget(f"rollout/{second}") == (0, 1)
    await world.resume(second)
    assert await world.state(second) == "PAUSED"
    await world.cancel(second)


async def test_racing_hellos_and_lost_welcomes_raise_no_alarm(world: World) -> None:
    agent = world.agent("host-1")
    await agent.connect()
    for _ in range(3):
        await agent.connect(lose_welcome=True)
    sessions = [await agent.open(), await agent.open()]
    answers = await asyncio.gather(*[agent.greet(session) for session in sessions], return_exceptions=True)
    assert sum(isinstance(answer, stream_pb2.Welcome) for answer in answers) == 1
    agent.remember(next(answer for answer in answers if isinstance(answer, stream_pb2.Welcome)))
    assert not (await agent.connect()).quarantined
    assert await world.events("alert.identity_cloned") == []


async def test_a_lost_go_is_freed_by_its_host_alone(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    await world.drop("host-1")
    await world.sweep(91)
    assert await world.states("host-1") == ["lost"]
    assert await world.budget("global") == (0, 1)
    await agent.connect()
    assert await world.states("host-1") == ["staged"]
    assert await world.budget("global") == (0, 0)
    await world.cancel(rollout)


async def spread(worlds: list[World], *names: str) -> None:
    """Connect hosts, in turn to the one server and to the other."""
    for number, name in enumerate(names):
        await worlds[number % 2].online(name)


def home(worlds: list[World], name: str) -> World:
    """Return the server that a host is connected to."""
    return next(one for one in worlds if name in one.agents)


async def everybody_staged(worlds: list[World], **limits: int) -> str:
    """Start a rollout and let every host stage; hosts of the other server hear of it by their next hello."""
    await spread(worlds, *HOSTS)
    rollout = await worlds[0].roll(*HOSTS, limits={"max_downloading": 6} | limits)
    for name in HOSTS:
        there = home(worlds, name)
        if there is worlds[1]:
            await there.agent(name).connect()
        await there.staged(name)
    return rollout


@pytest.mark.parametrize("places", [1, 3])
async def test_two_servers_that_grant_at_the_same_moment_never_exceed_the_budget(
    worlds: list[World], places: int
) -> None:
    rollout = await everybody_staged(worlds, max_concurrent=places)
    agents = [home(worlds, name).agent(name) for name in HOSTS]
    answers = await asyncio.gather(*[agent.ask() for agent in agents])
    winners = [agent for agent, answer in zip(agents, answers, strict=True) if isinstance(answer, stream_pb2.Go)]
    refused = {code_name(answer.code) for answer in answers if isinstance(answer, stream_pb2.NoGo)}
    assert (len(winners), refused) == (places, {"BUDGET"})
    for scope in ("global", "fleet/", "rollout/"):
        assert await worlds[0].budget(scope) == (places, 0)
    await asyncio.gather(*[agent.report("applying") for agent in winners])
    await asyncio.gather(*[agent.report("succeeded", running_version=NEW) for agent in winners])
    for scope in ("global", "fleet/", "rollout/"):
        assert await worlds[1].budget(scope) == (0, 0)
    await worlds[1].cancel(rollout)


async def test_no_server_grants_after_the_press_or_the_pause_of_another_one(worlds: list[World]) -> None:
    rollout = await everybody_staged(worlds, max_concurrent=6)
    there = worlds[1]
    await worlds[0].pause(rollout)
    assert await there.agent("host-2").refused_go() == "PAUSED"
    await worlds[0].resume(rollout)
    await worlds[0].press()
    assert await there.agent("host-2").refused_go() == "SUSPENDED"
    assert [known.active for known in (await there.agent("host-4").connect()).suspensions] == [True]
    await there.lift()
    await worlds[0].cancel(rollout)


async def test_a_press_that_races_with_asks_leaves_no_go_behind_its_commit(worlds: list[World]) -> None:
    rollout = await everybody_staged(worlds, max_concurrent=6)
    agents = [home(worlds, name).agent(name) for name in HOSTS]
    *answers, switch = await asyncio.gather(*[agent.ask() for agent in agents], worlds[1].press())
    granted = sum(isinstance(answer, stream_pb2.Go) for answer in answers)
    assert switch.in_use == granted, "exactly those who came before it"
    assert await worlds[0].budget("rollout/") == (granted, 0)
    for agent, answer in zip(agents, answers, strict=True):
        if isinstance(answer, stream_pb2.Go):
            await agent.report("cancelled", code=code("KILLED"))
    await worlds[0].lift()
    await worlds[0].cancel(rollout)


async def test_a_session_on_another_server_ends_the_older_ones_word(worlds: list[World]) -> None:
    await worlds[0].online("host-1")
    rollout = await worlds[0].roll("host-1")
    here = await worlds[0].staged("host-1")
    there = worlds[1].another(here.disk.copy(), "host-1")
    await there.connect()
    answer_kind = await asyncio.wait_for(_late_ask(here), 10)
    assert answer_kind == "RECONNECT"
    await worlds[0].sweep(1)
    assert (await worlds[0].identity("host-1"))["server_id"] == worlds[1].services.server_id
    await there.granted()
    await there.report("applying")
    await there.back("cancelled")
    await worlds[0].cancel(rollout)


async def _late_ask(agent: Any) -> str:
    """Ask on the older session; return what it is told."""
    await agent.request()
    answer = await agent.expect("go", "no_go", "refusal")
    return code_name(answer.code)


async def test_the_hosts_of_a_server_that_died_are_taken_over_when_its_lease_is_over(worlds: list[World]) -> None:
    await worlds[1].online("host-1")
    rollout = await worlds[0].roll("host-1")
    await worlds[1].agent("host-1").connect()
    agent = await worlds[1].staged("host-1")
    await agent.granted()
    for task in asyncio.all_tasks():
        if task.get_name() == "server-lease":
            task.cancel()
    await worlds[0].sweep(10)
    assert (await worlds[0].host("host-1"))["deadline"] is None, "its lease still holds"
    await worlds[0].sweep(6)
    assert (await worlds[0].host("host-1"))["deadline"] is not None
    await worlds[0].sweep(91)
    assert await worlds[0].states("host-1") == ["lost"]
    back = worlds[0].another(agent.disk.copy(), "host-1")
    await back.connect()
    assert await worlds[0].states("host-1") == ["staged"]
    await worlds[0].cancel(rollout)


async def test_time_in_which_every_server_was_down_is_no_hosts_silence(worlds: list[World]) -> None:
    await worlds[0].online("host-1")
    rollout = await worlds[0].roll("host-1")
    agent = await worlds[0].staged("host-1")
    await agent.granted()
    await agent.report("applying", step="restart", time_limit=Duration(seconds=100))
    for one in worlds:
        await one.stop()
    worlds[0].clock.advance(3600)
    for one in worlds:
        await one.start()
        one.readdress()
    await worlds[0].sweep(129)
    assert await worlds[0].states("host-1") == ["applying"], "counted once, whichever server came first"
    await worlds[1].sweep(2)
    assert await worlds[0].states("host-1") == ["lost"]
    await worlds[0].agent("host-1").connect()
    await worlds[0].agent("host-1").back()
    await worlds[0].cancel(rollout)


@pytest.mark.parametrize("drained", [1, 2])
async def test_an_unproven_trial_is_excused_when_every_server_was_away_and_not_before(
    worlds: list[World], drained: int
) -> None:
    await worlds[0].online("host-1")
    rollout = await worlds[0].roll("host-1")
    agent = await worlds[0].staged("host-1")
    await agent.granted()
    await agent.report("applying", step="restart")
    reports = agent.journal("rolled_back", running_version="1.0.0", unproven=True, code=code("LOST_CONTACT"))
    agent.disk.attempt["unproven"] = True  # type: ignore[index]
    for one in worlds[:drained]:
        await one.stop()
    if drained == 1:
        await worlds[1].watch(60)
    for one in worlds[:drained]:
        worlds[0].clock.advance(2)
        await one.start()
        one.readdress()
    agent = worlds[0].agent("host-1")
    await agent.connect()
    await agent.deliver(reports)
    agent.disk.attempt = None
    assert await worlds[0].state(rollout) == ("HALTED" if drained == 1 else "RUNNING")
    assert await worlds[0].budget("rollout/") == ((0, 1) if drained == 1 else (0, 0))
    if drained == 2:
        assert (await agent.take()).excused
        await agent.report("cancelled")
    await worlds[0].cancel(rollout)


async def test_texts_that_this_database_can_not_hold_are_stored_without_them(worlds: list[World]) -> None:
    await worlds[0].online("host-1")
    rollout = await worlds[0].roll("host-1")
    agent = await worlds[0].staged("host-1")
    await agent.granted()
    assert await agent.report("applying", message="a\x00b", step="\x00", output_tail="\x00") == 3
    agent.disk.name = "a\x00b"
    payload = agent.payload()
    payload.time_zone = payload.boot_id = "\x00"
    payload.products[0].note = "\x00"
    session = await agent.open()
    agent.remember(await agent.greet(session, payload=payload.SerializeToString()))
    await agent.use(session)
    assert await agent.report("cancelled", message="\x00", code=code("CANCELLED_BY")) == 4
    assert worlds[0].services.store.writer.healthy
    assert await worlds[0].states("host-1") == ["cancelled"]
    assert await worlds[0].state(rollout) in {"PAUSED", "RUNNING"}
    await worlds[0].cancel(rollout)


async def test_a_name_that_this_database_can_not_hold_is_refused(worlds: list[World]) -> None:
    agent = worlds[0].agent("host-1")
    with pytest.raises(RefusedError) as caught:
        await agent.open(agent_id="agent-\x00")
    assert (caught.value.code, caught.value.retry_after) == ("INVALID_ARGUMENT", 0)
    await worlds[0].online("host-1")
