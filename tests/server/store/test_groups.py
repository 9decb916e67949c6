"""What one job of a group costs the others: nothing where it takes too long, and a stop waits for one job at most."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import StoreError
from fleetroll_server.store.tables import MetaRow, table_of
from tests.faults.writers import held, keys

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fleetroll_server.store import Store, Tx

META = table_of(MetaRow)


def put(key: str, order: list[str] | None = None) -> Callable[[Tx], Awaitable[str]]:
    async def job(tx: Tx) -> str:
        if order is not None:
            order.append(key)
        await tx.execute(sa.insert(META).values(key=key, value="x"))
        return key

    return job


async def endless(tx: Tx) -> None:
    await tx.execute(sa.insert(META).values(key="endless", value="x"))
    await asyncio.sleep(3600)


async def own_limit(tx: Tx) -> None:
    await tx.execute(sa.insert(META).values(key="own", value="x"))
    async with asyncio.timeout(0):
        await asyncio.sleep(3600)


async def slow_statement(tx: Tx) -> None:
    if tx.connection.dialect.name == "postgresql":
        await tx.execute(sa.text("SET LOCAL statement_timeout = 50"))
        await tx.execute(sa.text("SELECT pg_sleep(60)"))
    await asyncio.sleep(3600)


@pytest.mark.parametrize("job", [endless, own_limit, slow_statement])
async def test_a_job_that_runs_out_of_its_time_fails_alone(store: Store, job: Callable[[Tx], Awaitable[None]]) -> None:
    health: list[bool] = []
    store.writer.on_health_change(health.append)
    holder, release = await held(store)
    before = asyncio.create_task(store.writer.command(put("before")))
    await asyncio.sleep(0)
    bad = asyncio.create_task(store.writer.command(job))
    await asyncio.sleep(0)
    others = [asyncio.create_task(store.writer.command(put(f"after {n}"))) for n in range(2)]
    reports = [asyncio.create_task(store.writer.report(put(f"report {n}"))) for n in range(2)]
    await asyncio.sleep(0)
    store.writer._job_seconds = 2
    release.set()
    with pytest.raises(StoreError) as caught:
        await bad
    assert caught.value.code is Code.UNAVAILABLE
    assert caught.value.remedy == "try again later"
    await asyncio.gather(holder, before, *others, *reports)
    assert await keys(store) == ["after 0", "after 1", "before", "report 0", "report 1"]
    assert health == []


async def test_actions_of_a_group_that_ran_twice_run_once(store: Store) -> None:
    actions: list[str] = []

    async def good(tx: Tx) -> None:
        tx.after_commit(lambda: actions.append("good"))

    holder, release = await held(store)
    tasks = [asyncio.create_task(store.writer.command(job)) for job in (good, own_limit)]
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(holder, *tasks, return_exceptions=True)
    assert actions == ["good"]


async def test_a_stop_goes_before_all_commands_and_reports_and_shares_its_transaction_with_nothing(
    store: Store,
) -> None:
    order: list[str] = []
    sa.event.listen(store._writing.sync_engine, "commit", lambda _connection: order.append("commit"))
    holder, release = await held(store)
    writer = store.writer
    lanes = {"report": writer.report, "command": writer.command, "stop": writer.urgent}
    tasks = []
    for name, lane in lanes.items():
        tasks += [asyncio.create_task(lane(put(f"{name} {n}", order))) for n in range(2)]
        await asyncio.sleep(0)
    release.set()
    await asyncio.gather(holder, *tasks)
    assert order == [
        "commit", "stop 0", "commit", "stop 1", "commit", "command 0", "command 1", "commit", "report 0", "report 1",
        "commit",
    ]  # fmt: skip


async def test_a_stop_cuts_a_running_group_of_commands_short(store: Store) -> None:
    order: list[str] = []
    stops: list[asyncio.Task[str]] = []

    def command(number: int) -> Callable[[Tx], Awaitable[None]]:
        async def job(tx: Tx) -> None:
            order.append(f"command {number}")
            if number == 1:
                stops.append(asyncio.create_task(store.writer.urgent(put("stop", order))))
                await asyncio.sleep(0)

        return job

    holder, release = await held(store)
    commands = [asyncio.create_task(store.writer.command(command(n))) for n in range(4)]
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(holder, *commands)
    await asyncio.gather(*stops)
    assert order == ["command 0", "command 1", "stop", "command 2", "command 3"]
