"""A second in which nothing happened costs nothing: no row is written, no history is read."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from fleetroll_server.engine import sweep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.worlds import World


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect what is run in the block."""
    seen: list[str] = []

    def watch(_c: Any, _k: Any, statement: str, *_rest: Any) -> None:
        seen.append(" ".join(statement.split()))

    sa.event.listen(Engine, "before_cursor_execute", watch)
    try:
        yield seen
    finally:
        sa.event.remove(Engine, "before_cursor_execute", watch)


@pytest.mark.parametrize("paused", [True, False], ids=["paused", "running"])
async def test_a_rollout_in_which_nothing_moved_is_not_written(world: World, paused: bool) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    await world.staged("host-1")
    if paused:
        await world.pause(rollout)
    await world.sweep(1)
    with statements() as seen:
        await world.sweep(1)
    assert [text for text in seen if text.startswith(("UPDATE rollout SET", "UPDATE wave SET"))] == []
    await world.cancel(rollout)


async def test_a_completed_rollout_with_a_lost_host_is_left_alone(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", limits={"not_after": 3600})
    await world.update("host-2")
    await world.staged("host-1")
    await world.agent("host-1").granted()
    await world.agent("host-1").report("applying")
    await world.sweep(3500)
    assert await world.states("host-1") == ["lost"]
    await world.resume(rollout)
    assert await world.state(rollout) == "COMPLETED"
    await world.sweep(3600)
    assert await world.services.store.writer.report(sweep.running_rollouts) == []
    await world.agent("host-1").commit()
    assert await world.states("host-1") == ["succeeded"]


async def test_hosts_of_ended_rollouts_are_found_by_their_state(world: World) -> None:
    with statements() as seen:
        await world.services.store.writer.report(sweep.running_rollouts)
    (query,) = [text for text in seen if text.startswith("SELECT rollout.id")]
    async with world.services.store.read() as connection:
        values = ("x",) * query.count("?")
        plan = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values)).all()
    looked = [row[3] for row in plan if "rollout_host" in row[3]]
    assert [step for step in looked if "(rollout_id=? AND state=?" not in step] == []
    assert [step for step in looked if "rollout_host_turn (rollout_id=? AND state=? AND waiting=?)" in step]


async def test_sessions_of_dead_servers_are_looked_for_at_the_start_alone(world: World) -> None:
    with statements() as seen:
        await world.sweep(1)
    assert [text for text in seen if "FROM agent" in text and "server.lease_until" in text] == []
