"""Giving closed time back undoes nobody's newer word: with two servers on one PostgreSQL where they could collide."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from google.protobuf.duration_pb2 import Duration

from fleetroll_server.domain.availability import Span
from fleetroll_server.engine import recovery, sweep
from fleetroll_server.engine.book import open_book
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, RolloutHostRow, RolloutRow, table_of
from tests.faults.stocks import NEW
from tests.faults.virtual_disk import code

if TYPE_CHECKING:
    from fleetroll_server.store.tx import Tx
    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World

HOST, AGENT = table_of(RolloutHostRow), table_of(AgentRow)
WHY = "a test's"
MANY = 1_200


class Held:
    """A transaction that stands still once it has read hosts, and counts its statements."""

    def __init__(self, tx: Tx) -> None:
        self._tx, self.statements, self.read, self.go = tx, 0, asyncio.Event(), asyncio.Event()

    @property
    def now(self) -> Any:
        return self._tx.now

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    async def execute(self, statement: Any, *parameters: Any) -> Any:
        result = await self._tx.execute(statement, *parameters)
        self.statements += 1
        if isinstance(statement, sa.Select) and HOST in statement.get_final_froms() and not self.read.is_set():
            self.read.set()
            await self.go.wait()
        return result


async def give_back_slowly(world: World) -> tuple[Held, asyncio.Task[None]]:
    """Begin to give an hour back, up to where it has read hosts."""
    made: asyncio.Queue[Held] = asyncio.Queue()
    world.clock.advance(60)
    now = world.clock.now()

    async def job(tx: Tx) -> None:
        held: Any = Held(tx)
        made.put_nowait(held)
        await recovery.give_back(held, Span(now - timedelta(hours=1), now))

    task = asyncio.create_task(world.services.store.writer.command(job))
    held = await made.get()
    await held.read.wait()
    return held, task


async def meanwhile(held: Held, *tasks: asyncio.Task[Any]) -> None:
    """Give the other server time to write, or to wait for a lock, then go on."""
    await asyncio.wait(tasks, timeout=0.4)
    held.go.set()
    await asyncio.gather(*tasks)


async def applying(world: World, seconds: int) -> tuple[str, VirtualAgent]:
    """Let host-1 apply, with a limit."""
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    await agent.report("applying", step="backup", time_limit=Duration(seconds=seconds))
    return rollout, agent


async def test_a_longer_limit_that_comes_in_between_holds(worlds: list[World]) -> None:
    here, there = worlds
    rollout, agent = await applying(here, 20)
    held, task = await give_back_slowly(there)
    word = asyncio.create_task(agent.report("applying", step="restart", time_limit=Duration(seconds=7200)))
    await meanwhile(held, task, word)
    row = await here.host("host-1")
    assert row["deadline"] >= here.clock.now() + timedelta(seconds=7200)
    await agent.report("cancelled")
    await here.cancel(rollout)


async def test_an_end_that_comes_in_between_keeps_no_deadline(worlds: list[World]) -> None:
    here, there = worlds
    await here.online("host-1")
    rollout = await here.roll("host-1")
    agent = here.agent("host-1")
    await agent.take()
    await agent.report("downloading")
    held, task = await give_back_slowly(there)
    word = asyncio.create_task(agent.report("failed", code=code("WRONG_HASH")))
    await meanwhile(held, task, word)
    row = await here.host("host-1")
    assert (row["state"], row["deadline"]) == ("failed", None)
    await here.cancel(rollout)


async def test_a_host_that_is_changed_without_its_rollout_keeps_what_it_got(worlds: list[World]) -> None:
    here, there = worlds
    rollout, agent = await applying(here, 20)
    held, task = await give_back_slowly(there)
    due = here.clock.now() + timedelta(days=1)
    change = every_fleet(sa.update(HOST).where(HOST.c.name == "host-1").values(deadline=due), WHY)
    await meanwhile(held, task, asyncio.create_task(here.services.store.writer.command(lambda tx: tx.execute(change))))
    assert (await here.host("host-1"))["deadline"] == due
    await agent.report("cancelled")
    await here.cancel(rollout)


async def test_it_waits_for_rollouts_before_it_holds_hosts(worlds: list[World]) -> None:
    """Everybody else locks the rollout first: the other way round the two servers would wait for each other."""
    here, there = worlds
    rollout, agent = await applying(here, 20)
    fleet, runs = (await here.host("host-1"))["fleet_id"], {"here": 0, "there": 0}
    locked = asyncio.Event()
    here.clock.advance(60)

    async def work(tx: Tx) -> None:
        runs["here"] += 1
        await open_book(tx, rollout, fleet)
        locked.set()
        await asyncio.sleep(0.5)
        await tx.execute(every_fleet(sa.update(HOST).where(HOST.c.name == "host-1").values(step="on"), WHY))

    async def give(tx: Tx) -> None:
        runs["there"] += 1
        await recovery.give_back(tx, Span(tx.now - timedelta(hours=1), tx.now))

    first = asyncio.create_task(here.services.store.writer.command(work))
    await locked.wait()
    await asyncio.gather(first, there.services.store.writer.command(give))
    assert runs == {"here": 1, "there": 1}, "nobody ran into anybody"
    await agent.report("cancelled")
    await here.cancel(rollout)


async def crowd(world: World, rollout: str, **values: Any) -> None:
    """Put many hosts into a rollout, all in one state; nobody counts them."""
    (like, *_) = await world.rows(RolloutHostRow, rollout_id=rollout)
    (agent,) = await world.rows(AgentRow, id=like["agent_id"])
    names = [f"crowd-{number}" for number in range(MANY)]

    async def job(tx: Tx) -> None:
        many = [{**agent, "id": name, "name": name, "public_key": name.encode()} for name in names]
        await tx.execute(sa.insert(AGENT), many)
        hosts = [{**like, "agent_id": name, "name": name, "position": 100 + n} for n, name in enumerate(names)]
        await tx.execute(sa.insert(HOST), [{**host, "generation": None, **values} for host in hosts])

    await world.services.store.writer.command(job)


async def disperse(world: World) -> None:
    """Take them out again."""
    for table in (HOST, AGENT):
        gone = every_fleet(sa.delete(table).where(table.c.name.like("crowd-%")), WHY)
        await world.services.store.writer.command(lambda tx, gone=gone: tx.execute(gone))


async def test_a_large_fleet_costs_a_few_statements(world: World) -> None:
    rollout, agent = await applying(world, 20)
    now = world.clock.now()
    due = now + timedelta(seconds=50)
    await crowd(world, rollout, state="applying", deadline=due, changed_at=now - timedelta(hours=2))

    async def job(tx: Tx) -> int:
        held: Any = Held(tx)
        held.go.set()
        await recovery.give_back(held, Span(now - timedelta(hours=1), now))
        return int(held.statements)

    assert await world.services.store.writer.command(job) <= 12
    rows = [row for row in await world.rows(RolloutHostRow) if row["name"].startswith("crowd-")]
    assert {row["deadline"] for row in rows} == {due + timedelta(hours=1)}
    assert len(rows) == MANY
    await disperse(world)
    await agent.report("cancelled")
    await world.cancel(rollout)


async def test_a_deadline_in_a_state_that_knows_none_is_cleared(world: World) -> None:
    """A hundred of them made a sweep endless."""
    rollout, agent = await applying(world, 3600)
    await crowd(world, rollout, state="failed", deadline=world.clock.now())
    async with asyncio.timeout(60):
        await world.sweep(1)
    rows = [row for row in await world.rows(RolloutHostRow) if row["name"].startswith("crowd-")]
    assert {(row["state"], row["deadline"]) for row in rows} == {("failed", None)}
    assert await world.services.store.writer.report(sweep.due_rollouts) == []
    await disperse(world)
    await agent.report("cancelled")
    await world.cancel(rollout)


@pytest.mark.parametrize("late", [False, True])
async def test_a_day_without_a_server_is_no_day_in_which_nothing_moved(world: World, *, late: bool) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", *(["host-2", "host-3"] if late else []))
    name = "host-1"
    if late:
        await world.update("host-1")
        await world.sweep(60)
        await world.online("host-2")
        name = "host-2"
    agent = await world.staged(name)
    await agent.granted()
    await agent.report("applying", step="restart", time_limit=Duration(seconds=400))
    await world.stop()
    world.clock.advance(25 * 3600)
    await world.start()
    world.readdress()
    world.clock.advance(1)
    await world.engine.sweep()
    assert await world.state(rollout) == ("COMPLETED" if late else "RUNNING")
    if late:
        await world.online("host-3")
        assert [row["late_stop_code"] for row in await world.rows(RolloutRow)] == [""]
    agent = world.agent(name)
    agent.switch(NEW, world.stock.digests[NEW])
    await agent.connect()
    await agent.expect("promote")
    await agent.commit()
    assert await world.states(name) == ["succeeded"]
    if late:
        await world.update("host-3")
    assert await world.state(rollout) == "COMPLETED"
