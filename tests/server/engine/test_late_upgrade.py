"""A rollout that an older server completed: after the upgrade its late hosts are offered like those of any other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_server.store.engine import writing_engine
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import BudgetRow, RolloutRow, WaveRow, table_of
from tests.faults.stocks import ElsewhereFolder
from tests.faults.virtual_disk import code

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from tests.faults.worlds import World

WHY = "a test makes an older database"
LATE = ("host-5", "host-6")
COLUMNS = (
    *("late_stop_code", "late_stop_reason", "late_stop_actor_kind", "late_stop_actor_id", "late_stopped_at"),
    *("wave_approval", "wave_order", "require_approval", "approve_by", "approved_at", "approved_actor_kind"),
    *("approved_actor_id", "approved_reason", "start_at", "begun"),
)


async def completed(world: World) -> str:
    """Complete a rollout in two waves with a bad host in each, while two are off."""
    await world.online("host-1", "host-2", "host-3", "host-4")
    limits = {"max_concurrent": 3, "max_failed": 2, "failure_limit": 0.9}
    rollout = await world.roll("host-1", "host-2", "host-3", "host-4", *LATE, waves=[2, 0], limits=limits)
    for good, bad in (("host-1", "host-2"), ("host-3", "host-4")):
        await world.update(good)
        await world.fail(bad, code=code("START_FAILED"))
    assert await world.state(rollout) == "COMPLETED"
    return rollout


async def older(connection: AsyncConnection, rollout: str) -> None:
    """Make the database what a server of the schema before late hosts has left."""
    wave, budget = table_of(WaveRow), table_of(BudgetRow)
    waves = every_fleet(sa.select(wave.c.number, wave.c.counters).where(wave.c.rollout_id == rollout), WHY)
    for row in (await connection.execute(waves)).all():
        counters = {**row.counters, "forgiven_bad": 0, "forgiven_cohorts": {}}
        mine = (wave.c.rollout_id == rollout, wave.c.number == row.number)
        await connection.execute(every_fleet(sa.update(wave).where(*mine).values(counters=counters), WHY))
    own = sa.update(budget).where(budget.c.scope == f"rollout/{rollout}").values(max_in_use=3)
    await connection.execute(every_fleet(own, WHY))
    later = ("rollout_host_turn", "rollout_of_version", "rollout_host_of_wave")
    timed = ("rollout_host_by_time", "attempt_history_by_time")
    for index in (*later, *timed, "event_of_rollout", "event_of_agent", "event_of_fleet", "agent_of_fleet"):
        await connection.exec_driver_sql(f"DROP INDEX {index}")
    for column in ("rollout_id", "fleet_id"):
        await connection.exec_driver_sql(f"CREATE INDEX ix_event_{column} ON event ({column})")
    await connection.exec_driver_sql("CREATE INDEX ix_agent_fleet_id ON agent (fleet_id)")
    new = ("gate_check", "policy", "policy_change")
    for table in ("exclusions", "local_attempt", "imported_attempt", "barred_agent", *new):
        await connection.exec_driver_sql(f"DROP TABLE {table}")
    await connection.exec_driver_sql("DROP INDEX ix_agent_online_until")
    for column in ("state", "state_reason"):
        await connection.exec_driver_sql(f"ALTER TABLE release DROP COLUMN {column}")
    for column in ("online_until", "check_in_seconds", "younger"):
        await connection.exec_driver_sql(f"ALTER TABLE agent DROP COLUMN {column}")
    await connection.exec_driver_sql("DROP INDEX rollout_of_parent")
    for column in ("target_version", "target_sha256", "retry_bad"):
        await connection.exec_driver_sql(f"ALTER TABLE rollout_host DROP COLUMN {column}")
    for name in (*COLUMNS, "has_checks", "kind", "parent_id", "goes_back", "retried_at", "retried_bad"):
        await connection.exec_driver_sql(f"ALTER TABLE {table_of(RolloutRow).name} DROP COLUMN {name}")
    await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0008'")


async def upgraded(world: World) -> str:
    """Complete a rollout on an older schema, then start this server on it."""
    rollout = await completed(world)
    await world.stop()
    engine = writing_engine(ElsewhereFolder(world.stock.data, world._url).database_url)
    async with engine.begin() as connection:
        await older(connection, rollout)
    await engine.dispose()
    await world.start()
    world.readdress()
    return rollout


async def test_what_its_waves_let_through_stops_no_late_host(world_on_each: World) -> None:
    world = world_on_each
    rollout = await upgraded(world)
    await world.sweep()
    for name in LATE:
        await world.online(name)
        assert not (await world.show(rollout)).late.HasField("stopped")
        await world.update(name)
    assert await world.states(*LATE) == ["succeeded", "succeeded"]
    assert await world.state(rollout) == "COMPLETED"


async def test_one_late_host_at_a_time_and_its_own_harm_counts(world_on_each: World) -> None:
    world = world_on_each
    rollout = await upgraded(world)
    assert [row["max_in_use"] for row in await _budgets(world, rollout)] == [1]
    await world.online("host-5")
    await world.fail("host-5", code=code("START_FAILED"))
    shown = await world.show(rollout)
    assert (shown.late.bad, shown.late.left, shown.late.HasField("stopped")) == (1, 1, False)


async def _budgets(world: World, rollout: str) -> list[dict[str, Any]]:
    """Return the budget of a rollout."""
    return await world.rows(BudgetRow, scope=f"rollout/{rollout}")
