"""Storage that really fails: a database that may not grow, and a file that may not grow."""

from __future__ import annotations

import asyncio
import resource
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import StoreError
from fleetroll_server.store import EventFact, Store, Tx
from fleetroll_server.store.tables import EventRow, MetaRow, table_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from fleetroll_common.values.clock import FakeClock

META = table_of(MetaRow)
BIG = "y" * 50_000


@pytest.fixture
async def on_disk(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Store]:
    opened = await Store.open(f"sqlite+aiosqlite:///{tmp_path / 'small.db'}", clock)
    opened.writer._probe_seconds = 0.02
    try:
        yield opened
    finally:
        await opened.close()


def put(key: str, value: str, actions: list[str] | None = None) -> Callable[[Tx], Awaitable[str]]:
    async def job(tx: Tx) -> str:
        tx.emit(EventFact(fleet_id="f", kind="test", actor_kind="engine", actor_id="x"))
        if actions is not None:
            tx.after_commit(lambda: actions.append(key))
        await tx.execute(sa.insert(META).values(key=key, value=value))
        return key

    return job


async def fill(store: Store, actions: list[str]) -> tuple[list[str], list[BaseException]]:
    """Write until storage refuses; return what was promised and what was refused."""
    promised: list[str] = []
    for number in range(400):
        batch = [store.writer.report(put(f"k{number}-{part}", BIG, actions)) for part in range(3)]
        results = await asyncio.gather(*batch, return_exceptions=True)
        refused = [result for result in results if isinstance(result, BaseException)]
        promised += [result for result in results if isinstance(result, str)]
        if refused:
            return promised, refused
    raise AssertionError("storage never refused")


async def stored(store: Store) -> tuple[list[str], int]:
    """The keys and the number of events; not the row of the writer's probe, which comes and goes by itself."""
    async with store.read() as connection:
        mine = sa.select(META.c.key).where(META.c.key != "probe").order_by(META.c.key)
        keys = (await connection.scalars(mine)).all()
        events = await connection.scalar(sa.select(sa.func.count()).select_from(table_of(EventRow)))
    return list(keys), events or 0


async def healthy(store: Store) -> None:
    async with asyncio.timeout(20):
        while not store.writer.healthy:
            await asyncio.sleep(0.01)


async def test_a_database_that_may_not_grow_loses_nothing_and_promises_nothing(on_disk: Store) -> None:
    actions: list[str] = []
    limits: list[int] = [200]

    def limit(dbapi: object, _record: object, _proxy: object) -> None:
        cursor = dbapi.cursor()  # type: ignore[attr-defined]
        cursor.execute(f"PRAGMA max_page_count={limits[0]}")
        cursor.close()

    sa.event.listen(on_disk._writing.sync_engine, "checkout", limit)
    promised, refused = await fill(on_disk, actions)
    assert {getattr(error, "code", error) for error in refused} == {Code.STORE_FAILED}
    assert not on_disk.writer.healthy
    assert actions == promised
    assert await stored(on_disk) == (sorted(promised), len(promised))
    limits[0] = 1_000_000
    await healthy(on_disk)
    assert await on_disk.writer.command(put("after", "x")) == "after"


async def test_a_write_that_the_system_refuses_at_the_commit_loses_nothing(on_disk: Store, tmp_path: Path) -> None:
    actions: list[str] = []
    await on_disk.writer.command(put("first", BIG, actions))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    wal = (tmp_path / "small.db-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (wal + 400_000, hard))
    try:
        promised, refused = await fill(on_disk, actions)
        assert {getattr(error, "code", error) for error in refused} == {Code.STORE_FAILED}
        assert await stored(on_disk) == (sorted(["first", *promised]), 1 + len(promised))
        with pytest.raises(StoreError):  # more than the limit: what is left may hold a probe, so the writer may be well
            await on_disk.writer.command(put("refused", "y" * (wal + 500_000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert actions == ["first", *promised]
    await healthy(on_disk)
    assert await on_disk.writer.command(put("after", "x")) == "after"
    assert (await stored(on_disk))[0] == sorted(["first", "after", *promised])
