"""Thousands of hosts: no transaction grows with the fleet, and a person's command never waits for all of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from fleetroll_server.domain.states import AttemptState
from fleetroll_server.domain.summary import HostView, count
from fleetroll_server.engine import sweep, winding
from fleetroll_server.engine.crowd import AT_ONCE, Room
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, RolloutHostRow, WaveRow, table_of
from fleetroll_server.store.tx import Tx
from tests.faults.recounts import check
from tests.faults.stocks import NEWER
from tests.faults.virtual_disk import code

if TYPE_CHECKING:
    from tests.faults.worlds import World

OFFLINE = 5_000
HOST, AGENT, WAVE = table_of(RolloutHostRow), table_of(AgentRow), table_of(WaveRow)
MOST_STATEMENTS = 400
"""Of one transaction: 40 hosts with eight statements each, and what a rollout costs by itself."""


class Watch:
    """What each job of the writer did: statements, rows changed."""

    def __init__(self) -> None:
        self.statements = 0
        self.jobs: list[tuple[int, int]] = []

    def most(self) -> tuple[int, int]:
        """Return the most statements and the most hosts changed by one job."""
        return max(job[0] for job in self.jobs), max(job[1] for job in self.jobs)


@pytest.fixture
def watch(world: World, monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Count by job."""
    watching, transactions = Watch(), world.services.store.writer._transactions
    run, execute = transactions._run_job, Tx.execute
    hosts = 0

    async def counted(self: Tx, statement: Any, parameters: Any = None) -> Any:
        nonlocal hosts
        result = await execute(self, statement, parameters)
        watching.statements += 1
        if isinstance(statement, sa.Update) and statement.table is HOST:
            hosts += result.rowcount
        return result

    async def one(connection: Any, request: Any, job_seconds: float) -> Any:
        nonlocal hosts
        watching.statements, hosts = 0, 0
        outcome = await run(connection, request, job_seconds)
        watching.jobs.append((watching.statements, hosts))
        return outcome

    monkeypatch.setattr(Tx, "execute", counted)
    monkeypatch.setattr(transactions, "_run_job", one)
    return watching


async def crowd(world: World, rollout: str, *, waiting: str = "") -> None:
    """Put thousands of offline hosts into the last wave of a rollout, as its start would have."""
    (like, *_) = await world.rows(RolloutHostRow, rollout_id=rollout)
    (agent,) = await world.rows(AgentRow, id=like["agent_id"])
    names = [f"crowd-{number}" for number in range(OFFLINE)]
    waves = await world.rows(WaveRow, rollout_id=rollout)
    fresh: dict[str, Any] = {
        "generation": None,
        "state": "pending",
        "waiting": waiting,
        "deadline": None,
        "offered_at": None,
        "wave": len(waves),
    }
    hosts = [{**like, **fresh, "agent_id": name, "name": name, "position": 100 + n} for n, name in enumerate(names)]
    gone = {"server_id": ""}
    agents = [{**agent, **gone, "id": name, "name": name, "public_key": name.encode().ljust(32)} for name in names]

    async def write(tx: Tx) -> None:
        await tx.execute(sa.insert(AGENT), agents)
        await tx.execute(sa.insert(HOST), hosts)
        rows = (await tx.execute(every_fleet(sa.select(HOST).where(HOST.c.rollout_id == rollout), "a test"))).mappings()
        views = [
            HostView(AttemptState(row["state"]), row["waiting"] == "HOST_OFFLINE", row["attempted"])
            for row in rows
            if row["wave"] == len(waves)
        ]
        last = (WAVE.c.rollout_id == rollout, WAVE.c.number == len(waves))
        change = sa.update(WAVE).where(*last).values(counters=count(views).to_json(), planned=len(views))
        await tx.execute(every_fleet(change, "a test"))

    await world.services.store.writer.command(write)


async def settled(world: World, **where: Any) -> None:
    """Wait until no host of these is left."""
    named = [HOST.c[name] == value for name, value in where.items()]
    query = every_fleet(sa.select(sa.func.count()).select_from(HOST).where(*named), "a test")
    async with asyncio.timeout(60):
        while True:
            async with world.services.store.read() as connection:
                if not (await connection.execute(query)).scalar_one():
                    return
            await asyncio.sleep(0.1)


async def test_offline_hosts_are_passed_over_in_bounded_transactions(world: World, watch: Watch) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    await crowd(world, rollout)
    watch.jobs.clear()
    await world.sweep(1)
    await settled(world, state="pending", waiting="")
    statements, hosts = watch.most()
    assert hosts <= AT_ONCE
    assert statements <= MOST_STATEMENTS
    await check(world)
    await world.update("host-1")
    assert await world.state(rollout) == "COMPLETED"


async def test_a_cancel_ends_thousands_of_hosts_in_bounded_transactions(world: World, watch: Watch) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    await world.staged("host-1")
    await crowd(world, rollout, waiting="HOST_OFFLINE")
    watch.jobs.clear()
    await world.cancel(rollout)
    assert await world.states("host-1") == ["cancelled"], "who had an offer is told first"
    assert (await world.agent("host-1").expect("assignment")).version == ""
    await settled(world, state="pending")
    statements, hosts = watch.most()
    assert hosts <= AT_ONCE + 1
    assert statements <= MOST_STATEMENTS
    ended = await world.rows(RolloutHostRow, state="cancelled", code="CANCELLED_BY", message="wrong one", waiting="")
    assert len(ended) == OFFLINE + 1
    assert len(await world.events("attempt.state")) >= OFFLINE + 1


async def test_a_kill_press_lands_between_the_batches(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    await crowd(world, rollout, waiting="HOST_OFFLINE")
    await world.cancel(rollout)
    await world.press()
    assert len(await world.rows(RolloutHostRow, state="pending")) > OFFLINE / 2, "it waited for a batch, not for all"
    await settled(world, state="pending")
    await world.lift()


@pytest.fixture
def by_hand(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing follow by itself: what one transaction leaves is there until the next sweep."""
    monkeypatch.setattr(type(world.services.look_again), "add", lambda *_rollout: None)


@pytest.fixture
async def cancelled_half(world: World, by_hand: None) -> str:
    """A cancelled rollout of which only the first batch of hosts was ended."""
    await world.online("host-1")
    rollout = await world.roll("host-1")
    await crowd(world, rollout, waiting="HOST_OFFLINE")
    await world.cancel(rollout)
    assert len(await world.rows(RolloutHostRow, state="pending")) == OFFLINE - AT_ONCE
    return rollout


async def test_a_restart_between_the_batches_goes_on(
    world: World, cancelled_half: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await check(world)
    monkeypatch.undo()
    await world.crash()
    await world.sweep(1)
    await settled(world, state="pending")
    assert await world.state(cancelled_half) == "CANCELLED"


async def test_a_host_whose_batch_has_not_come_yet_gets_no_offer_and_no_go(
    world: World, by_hand: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    past_go = world.agent("host-3")
    await world.online("host-1", "host-2", "host-3")
    rollout = await world.roll("host-1", "host-2", "host-3")
    await world.staged("host-1")
    await world.staged("host-3")
    await past_go.granted()
    with monkeypatch.context() as no_room:
        no_room.setattr(winding, "Room", lambda: Room(crowd=0, single=0))
        await world.cancel(rollout)
    assert await world.states("host-1", "host-2") == ["staged", "offered"]
    answer = await world.agent("host-1").ask()
    assert "the rollout is cancelled" in str(answer)
    await world.drop("host-2")
    await world.online("host-2")
    assert await world.agent("host-2").waiting("assignment", "go") == []
    await world.sweep(1)
    assert await world.states("host-1", "host-2", "host-3") == ["cancelled", "cancelled", "granted"]
    assert (await world.agent("host-1").expect("assignment")).version == ""
    assert (await past_go.expect("assignment")).version == ""
    assert await world.services.store.writer.report(sweep.running_rollouts) == [], "its word alone is missing"
    await past_go.report("cancelled", code=code("CANCELLED_BY"))


async def test_hosts_out_of_time_expire_in_bounded_transactions(world: World, watch: Watch) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", limits={"not_after": 3600})
    await crowd(world, rollout, waiting="HOST_OFFLINE")
    await world.update("host-1")
    watch.jobs.clear()
    await world.sweep(3601)
    await settled(world, state="pending")
    assert watch.most()[1] <= AT_ONCE + 1
    assert len(await world.rows(RolloutHostRow, state="expired", code="HOST_OFFLINE")) == OFFLINE
    assert await world.services.store.writer.report(sweep.running_rollouts) == []


@pytest.fixture
async def mostly_late(world: World) -> str:
    """A rollout that completed on host-1 while host-2, host-3 and thousands of others were off."""
    await world.online("host-1")
    rollout = await world.roll("host-1", "host-2", "host-3", limits={"not_after": 86_400})
    await crowd(world, rollout, waiting="HOST_OFFLINE")
    await world.update("host-1")
    assert await world.state(rollout) == "COMPLETED"
    return rollout


async def test_late_hosts_that_are_off_cost_a_sweep_nothing(world: World, mostly_late: str, watch: Watch) -> None:
    assert (await world.show(mostly_late)).late.waiting == OFFLINE + 2
    assert await world.services.store.writer.report(sweep.running_rollouts) == []
    watch.jobs.clear()
    await world.sweep(1)
    statements, hosts = watch.most()
    assert (statements <= 5, hosts) == (True, 0)


async def test_a_late_host_among_thousands_is_found_by_its_turn(world: World, mostly_late: str, watch: Watch) -> None:
    """No step of it reads the others."""
    seen: list[str] = []

    def note(_c: Any, _k: Any, statement: str, *_rest: Any) -> None:
        seen.append(" ".join(statement.split()))

    sa.event.listen(Engine, "before_cursor_execute", note)
    try:
        watch.jobs.clear()
        await world.online("host-2", "host-3")
        await world.update("host-2")
        await world.sweep(1)
        await world.update("host-3")
    finally:
        sa.event.remove(Engine, "before_cursor_execute", note)
    statements, hosts = watch.most()
    assert (statements <= 60, hosts <= 5) == (True, True), (statements, hosts)
    queries = {text for text in seen if "FROM rollout_host" in text and text.startswith("SELECT")}
    in_order = "ORDER BY rollout_host.wave, rollout_host.position"
    offers = [text for text in queries if in_order in text and "agent." in text]
    assert offers
    async with world.services.store.read() as connection:
        for query in offers:
            plan = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", ("x",) * query.count("?"))).all()
            steps = [row[3] for row in plan]
            assert "rollout_host_turn (rollout_id=? AND state=? AND waiting=?)" in steps[0], steps
            assert not [step for step in steps if "TEMP B-TREE" in step], steps


async def test_a_bad_late_host_stops_thousands_in_bounded_transactions(
    world: World, mostly_late: str, watch: Watch
) -> None:
    await world.online("host-2")
    watch.jobs.clear()
    await world.fail("host-2", code=code("START_FAILED"))
    await settled(world, state="pending")
    statements, hosts = watch.most()
    assert hosts <= AT_ONCE + 2
    assert statements <= MOST_STATEMENTS
    assert len(await world.rows(RolloutHostRow, state="cancelled", code="WAVE_NOT_PASSED")) == OFFLINE + 1
    assert await world.services.store.writer.report(sweep.running_rollouts) == []


async def test_a_stop_of_late_hosts_goes_on_with_the_next_sweep(world: World, mostly_late: str, by_hand: None) -> None:
    await world.online("host-2")
    await world.fail("host-2", code=code("START_FAILED"))
    left = len(await world.rows(RolloutHostRow, state="pending"))
    assert left > OFFLINE - 2 * AT_ONCE
    await world.sweep(1)
    assert len(await world.rows(RolloutHostRow, state="pending")) == left - AT_ONCE
    assert await world.services.store.writer.report(sweep.running_rollouts) == [(mostly_late, "default")]


async def test_a_newer_rollout_ends_thousands_of_late_hosts_in_bounded_transactions(
    world: World, mostly_late: str, watch: Watch
) -> None:
    await world.sweep(1)
    second = await world.roll(version=NEWER)
    watch.jobs.clear()
    await settled(world, state="pending", rollout_id=mostly_late)
    assert watch.most()[1] <= AT_ONCE + 1
    assert len(await world.rows(RolloutHostRow, state="cancelled", code="SUPERSEDED")) == OFFLINE + 2
    await world.cancel(second)
    await settled(world, state="pending")
