"""A tick that is late, or a sweep that is slow, closes nothing: what counts is that hellos were accepted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fleetroll_common.values.errors import StoreError
from fleetroll_server.domain.availability import closed_within
from fleetroll_server.engine import availability, engine, recovery, sweep
from fleetroll_server.engine.engine import Engine
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, SpellRow, table_of
from tests.server.engine.test_closed_time import applying, end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from fleetroll_server.store.tx import Tx
    from tests.faults.worlds import World

AGENT = table_of(AgentRow)


@pytest.fixture
async def beating(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A world whose server beats and keeps its record by itself; sweeps are the test's."""
    monkeypatch.setattr(engine, "SWEEP_SECONDS", 0.01)
    one: Any = Engine(world.services)
    tasks = [asyncio.create_task(one._beat()), asyncio.create_task(one._keep_record())]
    await world.engine.sweep()
    try:
        yield world
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def pass_by(world: World, seconds: int) -> None:
    """Let time pass, and the server's tasks run in it."""
    for _ in range(seconds // 5):
        world.clock.advance(5)
        await asyncio.sleep(0.05)


async def spells(world: World) -> int:
    """Return how many spells this server has opened."""
    rows = await world.rows(SpellRow)
    return len([row for row in rows if row["server_id"] == world.services.server_id])


async def closed_seconds(world: World, since: datetime) -> float:
    """Return what an excuse would find closed since then, as the writer sees it now."""

    async def job(tx: Tx) -> float:
        known = await availability.spells_since(tx, world.services, since)
        return sum((span.ended_at - span.began_at).total_seconds() for span in closed_within(known, since, tx.now))

    return float(await world.services.store.writer.urgent(job))


async def test_deadlines_speak_however_slow_each_sweep_is(beating: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = beating
    rollout = await applying(world, "host-1")
    began, opened = world.clock.now(), await spells(world)

    async def slow(tx: Tx) -> list[tuple[str, str]]:
        del tx
        await pass_by(world, 20)
        return []

    monkeypatch.setattr(sweep, "running_rollouts", slow)
    for _ in range(8):
        await world.engine.sweep()
    monkeypatch.undo()
    assert await world.states("host-1") == ["lost"], "160 s are more than its 130"
    assert await spells(world) == opened
    assert await closed_seconds(world, began) == 0
    await end(world, rollout, "host-1")


async def test_a_tick_that_waits_for_a_busy_writer_closes_nothing(beating: World) -> None:
    world = beating
    began, opened, go = world.clock.now(), await spells(world), asyncio.Event()
    held = asyncio.create_task(world.services.store.writer.command(lambda _tx: go.wait()))
    await pass_by(world, 60)
    look = asyncio.create_task(closed_seconds(world, began))
    await asyncio.sleep(0)
    go.set()
    await held
    assert await look == 0, "before the late tick is written as well"
    await pass_by(world, 5)
    assert await spells(world) == opened


async def test_a_tick_goes_before_waiting_reports(beating: World) -> None:
    world, order, go = beating, list[str](), asyncio.Event()
    writer = world.services.store.writer
    real = recovery.keep_record

    async def keep(tx: Tx, *rest: Any, **more: Any) -> Any:
        order.append("tick")
        return await real(tx, *rest, **more)

    async def report(_tx: Tx) -> None:
        order.append("report")

    held = asyncio.create_task(writer.command(lambda _tx: go.wait()))
    await asyncio.sleep(0.05)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recovery, "keep_record", keep)
        waiting = asyncio.create_task(writer.report(report))
        await asyncio.sleep(0)
        await pass_by(world, 5)
        go.set()
        await asyncio.gather(held, waiting)
    assert order[:2] == ["tick", "report"]


async def test_signs_of_life_while_storage_fails_count_for_nothing(beating: World) -> None:
    world = beating
    began = world.clock.now()
    async with world.broken_disk():
        with pytest.raises(StoreError):
            await world.services.store.writer.command(lambda tx: tx.execute(sa.select(1)))
        await pass_by(world, 60)
    await pass_by(world, 5)
    assert 50 <= await closed_seconds(world, began) <= 70


async def test_a_process_that_did_not_run_has_no_signs_of_life(beating: World) -> None:
    world = beating
    began = world.clock.now()
    world.clock.advance(600)
    await pass_by(world, 5)
    assert 590 <= await closed_seconds(world, began) <= 605


async def test_a_sweep_ends_sessions_of_dead_servers_in_bounded_steps(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deadlines speak behind it."""
    monkeypatch.setattr(recovery, "AT_ONCE", 2)
    monkeypatch.setattr(engine, "TAKEN_OVER", 2)
    names = [f"host-{number}" for number in range(1, 7)]
    await world.online(*names)
    dead = every_fleet(sa.update(AGENT).where(AGENT.c.name.in_(names)).values(server_id="dead"), "a test's")
    await world.services.store.writer.command(lambda tx: tx.execute(dead))
    monkeypatch.setattr(type(world.services.store), "is_sqlite", False)
    monkeypatch.setattr(availability, "_lock", _no_lock)
    await world.engine.sweep()
    assert len([row for row in await world.rows(AgentRow) if row["server_id"] == "dead"]) == 2
    await world.engine.sweep()
    assert not [row for row in await world.rows(AgentRow) if row["server_id"] == "dead"]


async def _no_lock(*_: Any) -> None:
    """SQLite has none."""
