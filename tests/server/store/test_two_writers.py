"""Two servers on one database: exact numbers, no gap for watchers, no deadlock that a caller would see."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.store import EventFact, Store, Tx, Writer
from fleetroll_server.store.tables import BudgetRow, CounterRow, EventRow, table_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from fleetroll_common.values.clock import FakeClock

EVENT = table_of(EventRow)


def fact(number: int = 0) -> EventFact:
    return EventFact(fleet_id="default", kind="test", actor_kind="engine", actor_id="test", message=str(number))


async def sequences(store: Store) -> list[int]:
    async with store.read() as connection:
        counter = await connection.scalar(sa.select(table_of(CounterRow).c.value))
        found = list((await connection.scalars(sa.select(EVENT.c.sequence).order_by(EVENT.c.sequence))).all())
    assert counter == len(found)
    return found


async def test_two_writers_on_one_database_make_no_gap_that_a_watcher_could_fall_into(
    store: Store, database_url: str, clock: FakeClock
) -> None:
    """A watcher that reads all above its cursor misses no event that commits later with a lower number."""
    second = await Store.open(database_url, clock)
    numbers = itertools.count()
    done = asyncio.Event()

    async def job(tx: Tx) -> None:
        tx.emit(fact(next(numbers)))
        await asyncio.sleep(0)
        tx.emit(fact(next(numbers)))

    async def write(writer_store: Store) -> None:
        for round_number in range(25):
            lane = writer_store.writer.command if round_number % 2 else writer_store.writer.report
            await asyncio.gather(*(lane(job) for _ in range(4)))

    async def watch() -> list[int]:
        cursor, seen = 0, []
        while True:
            last_round = done.is_set()
            async with store.read() as connection:
                rows = await connection.scalars(
                    sa.select(EVENT.c.sequence).where(EVENT.c.sequence > cursor).order_by(EVENT.c.sequence)
                )
                new = list(rows)
            seen += new
            cursor = max([cursor, *new])
            if last_round:
                return seen
            await asyncio.sleep(0)

    watcher = asyncio.create_task(watch())
    try:
        await asyncio.gather(write(store), write(second))
    finally:
        done.set()
        await second.close()
    assert await watcher == list(range(1, 401))


async def test_conditional_updates_of_two_writers_never_exceed_the_limit(
    store: Store, database_url: str, clock: FakeClock
) -> None:
    budget = table_of(BudgetRow)
    second = await Store.open(database_url, clock)

    async def make(tx: Tx) -> None:
        await tx.execute(
            sa.insert(budget).values(scope="global", fleet_id="", max_in_use=7, max_out=7, in_use=0, broken=0)
        )

    async def charge(tx: Tx) -> bool:
        result = await tx.execute(
            sa.update(budget)
            .where(budget.c.scope == "global", budget.c.in_use + 1 <= budget.c.max_in_use)
            .values(in_use=budget.c.in_use + 1)
        )
        return result.rowcount == 1

    await store.writer.command(make)
    try:
        granted = await asyncio.gather(*(each.writer.command(charge) for each in (store, second) for _ in range(20)))
    finally:
        await second.close()
    assert sum(granted) == 7


async def test_jobs_of_two_servers_that_lock_crosswise_both_get_through(
    store: Store, database_url: str, clock: FakeClock
) -> None:
    """The database breaks one of them off; it runs again by itself, and its caller notices nothing."""
    second = await Store.open(database_url, clock)
    budget = table_of(BudgetRow)
    both_inside = asyncio.Barrier(2)
    runs = 0

    async def make(tx: Tx) -> None:
        for scope in ("a", "b"):
            await tx.execute(
                sa.insert(budget).values(scope=scope, fleet_id="", max_in_use=9, max_out=9, in_use=0, broken=0)
            )

    def lock(first: str, then: str) -> Callable[[Tx], Awaitable[None]]:
        async def job(tx: Tx) -> None:
            nonlocal runs
            runs += 1
            tx.emit(fact())
            for scope in (first, then):
                await tx.execute(sa.update(budget).where(budget.c.scope == scope).values(in_use=budget.c.in_use + 1))
                if scope == first and tx.connection.dialect.name == "postgresql" and runs <= 2:
                    await both_inside.wait()

        return job

    await store.writer.command(make)
    try:
        async with asyncio.timeout(30):
            await asyncio.gather(store.writer.command(lock("a", "b")), second.writer.command(lock("b", "a")))
        async with store.read() as connection:
            assert (await connection.scalars(sa.select(budget.c.in_use))).all() == [2, 2]
            crossed = connection.dialect.name == "postgresql"
    finally:
        await second.close()
    # Once more for the one that was broken off; which of them gets its row first then is up to the database.
    assert runs >= 3 if crossed else runs == 2
    assert await sequences(store) == [1, 2]
    assert store.writer.healthy
    assert second.writer.healthy


async def test_groups_of_two_servers_that_cross_all_get_through(
    store: Store, database_url: str, clock: FakeClock
) -> None:
    """What a group has locked is free before the job that collided runs again: nobody stands in the way for long."""
    second = await Store.open(database_url, clock)
    budget = table_of(BudgetRow)
    scopes = ("a", "b", "c", "d")
    both_inside = asyncio.Barrier(2)
    runs: Counter[str] = Counter()

    async def make(tx: Tx) -> None:
        for scope in scopes:
            await tx.execute(
                sa.insert(budget).values(scope=scope, fleet_id="", max_in_use=99, max_out=9, in_use=0, broken=0)
            )

    def charge(server: str, scope: str, *, first: bool) -> Callable[[Tx], Awaitable[None]]:
        async def job(tx: Tx) -> None:
            runs[f"{server} {scope}"] += 1
            tx.emit(fact())
            await tx.execute(sa.update(budget).where(budget.c.scope == scope).values(in_use=budget.c.in_use + 1))
            if first and tx.connection.dialect.name == "postgresql":
                await both_inside.wait()

        return job

    def group(server: str, writer: Writer, order: Sequence[str]) -> list[asyncio.Task[None]]:
        jobs = [charge(server, scope, first=not position) for position, scope in enumerate(order)]
        return [asyncio.create_task(writer.report(job)) for job in jobs]

    await store.writer.command(make)
    try:
        async with asyncio.timeout(30):
            tasks = group("one", store.writer, scopes) + group("two", second.writer, scopes[::-1])
            await asyncio.gather(*tasks)
        async with store.read() as connection:
            assert (await connection.scalars(sa.select(budget.c.in_use))).all() == [2] * len(scopes)
            crossed = connection.dialect.name == "postgresql"
    finally:
        await second.close()
    assert sorted(runs.values()) == [1] * 7 + [2 if crossed else 1]
    assert await sequences(store) == list(range(1, 9))
    assert store.writer.healthy
    assert second.writer.healthy
