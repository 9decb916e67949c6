"""Readers: one snapshot each, never in the writer's way, and instants as they were written."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from fleetroll_common.values.errors import StoreError
from fleetroll_server.store.tables import FleetRow, MetaRow, table_of

if TYPE_CHECKING:
    from fleetroll_common.values.clock import FakeClock
    from fleetroll_server.store import Store, Tx

META = table_of(MetaRow)


async def keys(store: Store) -> list[str]:
    async with store.read() as connection:
        return list((await connection.scalars(sa.select(META.c.key).order_by(META.c.key))).all())


async def put(store: Store, key: str) -> None:
    async def job(tx: Tx) -> None:
        await tx.execute(sa.insert(META).values(key=key, value="x"))

    await store.writer.command(job)


async def test_a_reader_sees_one_snapshot_and_cannot_write(store: Store) -> None:
    await put(store, "before")
    async with store.read() as connection:
        assert (await connection.scalars(sa.select(META.c.key))).all() == ["before"]
        await put(store, "during")
        assert (await connection.scalars(sa.select(META.c.key))).all() == ["before"]
    with pytest.raises((sa.exc.DBAPIError, StoreError)):
        async with store.read() as connection:
            await connection.execute(sa.insert(META).values(key="w", value=""))
    assert await keys(store) == ["before", "during"]


async def test_readers_do_not_wait_for_the_writer(store: Store) -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    async def job(_tx: Tx) -> None:
        entered.set()
        await release.wait()

    holder = asyncio.create_task(store.writer.command(job))
    await entered.wait()
    async with asyncio.timeout(5):
        assert await keys(store) == []
    release.set()
    await holder


async def test_instants_come_back_aware_and_equal(store: Store, clock: FakeClock) -> None:
    fleet = table_of(FleetRow)

    async def job(tx: Tx) -> None:
        await tx.execute(sa.insert(fleet).values(id="f", name="f", created_at=tx.now))

    await store.writer.command(job)
    async with store.read() as connection:
        assert await connection.scalar(sa.select(fleet.c.created_at)) == clock.now()
