"""What tests of the writer share: what it wrote, and a command that occupies it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.store.tables import MetaRow, table_of

if TYPE_CHECKING:
    from fleetroll_server.store import Store, Tx

META = table_of(MetaRow)


async def keys(store: Store) -> list[str]:
    async with store.read() as connection:
        return list((await connection.scalars(sa.select(META.c.key).order_by(META.c.key))).all())


async def held(store: Store) -> tuple[asyncio.Task[None], asyncio.Event]:
    """Occupy the writer with a command until the returned event is set."""
    entered, release = asyncio.Event(), asyncio.Event()

    async def job(tx: Tx) -> None:
        entered.set()
        await release.wait()

    task = asyncio.create_task(store.writer.command(job))
    await entered.wait()
    return task, release
