"""Late hosts on PostgreSQL, where two servers work on one database: one at a time holds across both of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_server.engine import offers
from fleetroll_server.store.tables import RolloutHostRow
from tests.faults.stocks import NEWER
from tests.faults.virtual_disk import code

if TYPE_CHECKING:
    from tests.faults.worlds import World

LATE = ("host-2", "host-3", "host-4", "host-5")


@pytest.fixture
async def late(worlds: list[World]) -> str:
    """A rollout that completed on host-1 while the others were off."""
    await worlds[0].online("host-1")
    rollout = await worlds[0].roll("host-1", *LATE, limits={"max_concurrent": 4})
    await worlds[0].update("host-1")
    assert await worlds[0].state(rollout) == "COMPLETED"
    return rollout


async def come(worlds: list[World]) -> None:
    """Let every late host come at the same moment, in turn to the one server and to the other."""
    await asyncio.gather(*[worlds[place % 2].online(name) for place, name in enumerate(LATE)])


async def turn(worlds: list[World]) -> World:
    """Return the server of the host whose turn it is; its offer may have come from the other one, so it says hello."""
    states = await worlds[0].states(*LATE)
    assert states.count("offered") == 1, states
    name = LATE[states.index("offered")]
    home = next(one for one in worlds if name in one.agents)
    await home.agent(name).connect()
    states = await worlds[0].states(*LATE)
    assert states.count("offered") == 1, states
    return home


async def test_late_hosts_that_come_at_once_to_two_servers_go_one_after_the_other(
    worlds: list[World], late: str
) -> None:
    await come(worlds)
    for done in range(len(LATE)):
        home = await turn(worlds)
        states = await home.states(*LATE)
        await home.update(LATE[states.index("offered")])
        assert (await home.states(*LATE)).count("succeeded") == done + 1
    assert await worlds[1].state(late) == "COMPLETED"
    assert await worlds[1].budget("rollout/") == (0, 0)


async def test_a_bad_one_at_one_server_stops_those_of_the_other(worlds: list[World], late: str) -> None:
    await come(worlds)
    home = await turn(worlds)
    name = LATE[(await home.states(*LATE)).index("offered")]
    await home.fail(name, code=code("START_FAILED"))
    states = await worlds[1].states(*LATE)
    assert sorted(states) == ["cancelled", "cancelled", "cancelled", "rolled_back"]
    assert (await worlds[1].show(late)).late.stopped.code == code("WAVE_NOT_PASSED")


async def test_pause_press_resume_and_cancel_of_another_server_hold_here(worlds: list[World], late: str) -> None:
    await worlds[0].online("host-2")
    agent = await worlds[0].staged("host-2")
    await worlds[1].pause(late)
    assert await agent.refused_go() == "PAUSED"
    await worlds[1].resume(late)
    await worlds[1].press()
    assert await agent.refused_go() == "SUSPENDED"
    await worlds[1].lift()
    await worlds[1].resume(late)
    await agent.granted()
    await agent.report("applying", step="restart")
    await worlds[1].cancel(late, let_finish=True)
    await worlds[0].on_trial("host-2")
    await agent.commit()
    assert await worlds[0].states(*LATE) == ["succeeded", "cancelled", "cancelled", "cancelled"]


async def test_a_newer_rollout_ends_late_hosts_of_the_older_one(worlds: list[World], late: str) -> None:
    await worlds[0].online("host-2")
    await worlds[0].staged("host-2")
    worlds[0].clock.advance(1)
    second = await worlds[1].roll("host-2", "host-3", version=NEWER)
    await worlds[1].sweep(1)
    async with asyncio.timeout(10):
        while [(await worlds[0].host(name, late))["code"] for name in LATE[:2]] != ["SUPERSEDED"] * 2:
            await asyncio.sleep(0.05)
    assert (await worlds[0].host("host-4", late))["state"] == "pending"
    await worlds[1].cancel(second)


async def test_a_press_that_races_with_a_late_host_leaves_no_go_behind_its_commit(
    worlds: list[World], late: str
) -> None:
    await worlds[0].online("host-2")
    agent = await worlds[0].staged("host-2")
    answer, switch = await asyncio.gather(agent.ask(), worlds[1].press())
    granted = type(answer).__name__ == "Go"
    assert switch.in_use == int(granted)
    await agent.report("cancelled", code=code("KILLED"))
    await worlds[0].lift()
    assert await worlds[0].states("host-2") == ["pending"]
    await worlds[0].cancel(late)


async def test_a_newer_rollout_that_starts_while_a_late_host_is_offered_waits_for_it(
    worlds: list[World], late: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = worlds
    await one.online("host-3", "host-2")
    agent = await one.staged("host-3")
    one.clock.advance(1)
    right: Any = getattr(offers, "_assign")  # noqa: B009 (its own)
    claimed, go = asyncio.Event(), asyncio.Event()

    async def slow(tx: Any, services: Any, book: Any, host: dict[str, Any], **facts: Any) -> None:
        if book.id == late and host["name"] == "host-2":
            claimed.set()
            await go.wait()
        await right(tx, services, book, host, **facts)

    monkeypatch.setattr(offers, "_assign", slow)
    ended = asyncio.create_task(agent.report("cancelled"))
    await claimed.wait()
    start = asyncio.create_task(other.roll("host-2", version=NEWER))
    await asyncio.sleep(1)
    go.set()
    await ended
    newer = await start
    (row,) = await one.rows(RolloutHostRow, name="host-2", rollout_id=newer)
    assert (row["state"], row["waiting"]) == ("pending", "UPDATE_IN_PROGRESS")
    await one.sweep(1)
    await other.sweep(1)
    async with asyncio.timeout(10):
        while (await one.host("host-2", newer))["state"] != "offered":
            await asyncio.sleep(0.05)
            await other.sweep(1)
    assert (await one.host("host-2", late))["code"] == "SUPERSEDED"
    await one.agent("host-2").connect()
    await one.update("host-2", NEWER)
