"""What one transaction or one question reads does not grow with a fleet's history, nor with its other rollouts."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fleetroll.v1 import enrolment_pb2, enrolment_pb2_grpc
from fleetroll_common.wire.handshake import SESSION_TOKEN_KEY
from fleetroll_server.catalogue import first
from fleetroll_server.engine import book, sweep
from fleetroll_server.store.tables import RolloutRow, WaveRow, table_of
from tests.faults.stocks import FLEET, NEW, NEWER
from tests.faults.virtual_disk import PLATFORM
from tests.server.engine.test_idle_sweeps import statements

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.faults.worlds import World

ROLLOUT, WAVE = table_of(RolloutRow), table_of(WaveRow)


async def explained(world: World, query: str) -> list[str]:
    """Return how SQLite finds the rows of a query."""
    async with world.services.store.read() as connection:
        values = ("x",) * query.count("?")
        plan = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values)).all()
    return [row[3] for row in plan]


async def test_deadlines_of_two_rollouts_speak_in_two_transactions(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.online("host-1", "host-2")
    both = [await world.roll(name) for name in ("host-1", "host-2")]
    opened: list[tuple[Any, str]] = []
    real = book.open_book

    async def noted(tx: Any, rollout_id: str, fleet_id: str) -> Any:
        opened.append((tx, rollout_id))
        return await real(tx, rollout_id, fleet_id)

    monkeypatch.setattr(sweep, "open_book", noted)
    world.clock.advance(60)
    await world.sweep()
    assert await world.states("host-1", "host-2") == ["failed", "failed"]
    of_each = [{rollout for other, rollout in opened if other is tx} for tx, _rollout in opened]
    assert {rollout for _tx, rollout in opened} == set(both)
    assert max(len(found) for found in of_each) == 1
    for rollout in both:
        await world.cancel(rollout)


async def test_an_expiry_finds_its_hosts_by_wave_and_offer(world: World) -> None:
    await world.roll("host-2", "host-3", limits={"not_after": 3600})
    with statements() as seen:
        await world.sweep(3700)
    assert await world.states("host-2", "host-3") == ["expired", "expired"]
    looked = {text for text in seen if text.startswith("SELECT rollout_host") and "rollout_host.wave = ?" in text}
    found = [(await explained(world, query))[0].partition(" INDEX ")[2] for query in looked]
    assert sorted(found) == [
        "rollout_host_of_wave (rollout_id=? AND wave=? AND state=? AND generation=?)",
        "rollout_host_of_wave (rollout_id=? AND wave=? AND state=? AND generation>?)",
    ]


async def test_the_end_of_a_late_host_reads_no_other_host_of_its_rollout(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", "host-3")
    for name in ("host-1", "host-2"):
        await world.update(name)
    await world.sweep(60)
    assert await world.state(rollout) == "COMPLETED"
    await world.online("host-3")
    with statements() as seen:
        await world.update("host-3")
    looked = {text for text in seen if text.startswith("SELECT rollout_host") and "rollout_host.state = ?" in text}
    found = [(await explained(world, query))[0].partition(" INDEX ")[2] for query in looked]
    assert found
    for how in found:
        assert "state=?" in how, how


@asynccontextmanager
async def history(world: World, rollout: str, count: int, **values: Any) -> AsyncIterator[None]:
    """Put so many copies of a rollout behind it, each a second younger, while the block lasts."""
    (row,), (wave,) = await world.rows(RolloutRow, id=rollout), await world.rows(WaveRow, rollout_id=rollout)
    counters = values.pop("counters", wave["counters"])

    async def job(tx: Any) -> None:
        for number in range(count):
            younger = {"id": f"copy-{number}", "created_at": row["created_at"] + timedelta(seconds=number + 1)}
            await tx.execute(sa.insert(ROLLOUT).values(row | younger | values | {"idempotency_key": None}))
            await tx.execute(sa.insert(WAVE).values(wave | {"rollout_id": younger["id"], "counters": counters}))

    async def tidy(tx: Any) -> None:
        for column in (WAVE.c.rollout_id, ROLLOUT.c.id):
            await tx.execute(sa.delete(column.table).where(column.like("copy-%"), column.table.c.fleet_id == FLEET))

    await world.services.store.writer.command(job)
    yield
    await world.services.store.writer.command(tidy)


async def named(world: World) -> str:
    """Ask what host-8 begins with."""
    token = world.agent("host-8").welcome.session_token.token
    stub: Any = enrolment_pb2_grpc.EnrolmentServiceStub(world.channel)
    request = enrolment_pb2.NameFirstVersionRequest(product="agent", channel="stable", platform=PLATFORM)
    return str((await stub.NameFirstVersion(request, metadata=((SESSION_TOKEN_KEY, token),), timeout=20)).version)


@pytest.fixture
async def proved(world: World) -> str:
    """A rollout that completed the newest release."""
    await world.online("host-1", "host-8")
    rollout = await world.roll("host-1", version=NEWER)
    await world.update("host-1", NEWER)
    return rollout


async def test_a_first_version_reads_the_newest_rollout_that_decides(world: World, proved: str) -> None:
    await world.cancel(await world.roll("host-2", version=NEW))
    async with history(world, proved, 50):
        with statements() as seen:
            assert await named(world) == NEWER
    assert len([text for text in seen if "FROM wave" in text]) == 1
    asked = [text for text in seen if "FROM rollout " in text]
    assert len(asked) == 2
    for query in asked:
        steps = await explained(world, query)
        assert "rollout_of_version (fleet_id=? AND product=? AND version=?)" in steps[0]
        assert not [step for step in steps if "TEMP B-TREE" in step]


@pytest.mark.parametrize("count", [first.AT_ONCE - 1, first.AT_ONCE, 2 * first.AT_ONCE + 1])
async def test_what_decided_nothing_is_passed_over_however_long(world: World, proved: str, count: int) -> None:
    untouched = {"planned": 1, "ended": 1}
    async with history(world, proved, count, state="cancelled", counters=untouched):
        assert await named(world) == NEWER
