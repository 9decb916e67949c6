"""Old reports go, and nothing that is still needed: on SQLite and PostgreSQL, page by page."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import StoreError
from fleetroll_server.store.tables import AttemptHistoryRow, ReportRow, RolloutHostRow, RolloutRow, table_of
from fleetroll_server.upkeep import reports, retention
from fleetroll_server.upkeep.retention import Retention

if TYPE_CHECKING:
    from fleetroll_common.values.clock import FakeClock
    from fleetroll_server.store import Store
    from fleetroll_server.store.tx import Tx

AGE = timedelta(days=30)
ACTOR = {"actor_kind": "user", "actor_id": "token-1"}


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "PAGE_ROWS", 3)
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0.0)


async def insert(store: Store, model: Any, *rows: dict[str, Any]) -> None:
    async def job(tx: Tx) -> None:
        await tx.execute(sa.insert(table_of(model)), [{"fleet_id": "fleet-1", **row} for row in rows])

    await store.writer.command(job)


async def say(store: Store, clock: FakeClock, agent: str, *sequences: int, **facts: Any) -> None:
    """Store reports that are received now."""
    common = {"journal_id": "j-1", "product": "app", "generation": 1, "status": "accepted", "payload": b"x"}
    names = {**common, "agent_id": agent, "received_at": clock.now(), "code": "", **facts}
    await insert(store, ReportRow, *[{**names, "sequence": sequence} for sequence in sequences])


async def rollout(store: Store, clock: FakeClock, name: str, *, ended: bool) -> None:
    now = clock.now()
    row: dict[str, Any] = {
        "id": name,
        "product": "app",
        "version": "1.0.0",
        "release_id": "release-1",
        "state": "running",
        **ACTOR,
    }
    row |= {"state_actor_kind": "user", "state_actor_id": "token-1", "state_changed_at": now, "idempotency_key": name}
    row |= {"limits": {}, "selection": {}, "created_at": now, "not_after": now, "ended_at": now if ended else None}
    await insert(store, RolloutRow, row)


async def place_host(store: Store, clock: FakeClock, name: str, agent: str, generation: int) -> None:
    row = {"rollout_id": name, "agent_id": agent, "product": "app", "name": agent, "wave": 1, "position": 1}
    await insert(store, RolloutHostRow, {**row, "state": "staged", "generation": generation, "changed_at": clock.now()})


async def left(store: Store) -> list[tuple[str, str, int]]:
    table = table_of(ReportRow)
    key = (table.c.agent_id, table.c.journal_id, table.c.sequence)
    async with store.read() as connection:
        return [tuple(row) for row in await connection.execute(sa.select(*key).order_by(*key))]


async def test_old_reports_go_and_young_ones_stay(store: Store, clock: FakeClock) -> None:
    await say(store, clock, "agent-1", 1, 2, 3, 4, 5)
    clock.advance(AGE.total_seconds())
    await say(store, clock, "agent-1", 6, 7)
    await Retention(store, AGE, AGE).walk()
    assert len(await left(store)) == 7
    clock.advance(1)
    await Retention(store, AGE, AGE).walk()
    assert await left(store) == [("agent-1", "j-1", 6), ("agent-1", "j-1", 7)]


async def test_the_highest_report_of_every_journal_stays_for_ever(store: Store, clock: FakeClock) -> None:
    for agent in ("agent-1", "agent-2"):
        await say(store, clock, agent, 1, 2, 3, 4)
        await say(store, clock, agent, 7, 8, journal_id="j-2")
    await say(store, clock, "agent-3", 1)
    clock.advance(10 * AGE.total_seconds())
    for _ in range(2):
        await Retention(store, AGE, AGE).walk()
        highest = [(agent, *end) for agent in ("agent-1", "agent-2") for end in (("j-1", 4), ("j-2", 8))]
        assert await left(store) == [*highest, ("agent-3", "j-1", 1)]


async def test_reports_of_a_rollout_that_has_not_ended_stay(store: Store, clock: FakeClock) -> None:
    await rollout(store, clock, "open", ended=False)
    await rollout(store, clock, "ended", ended=True)
    await place_host(store, clock, "open", "agent-1", 5)
    await place_host(store, clock, "ended", "agent-1", 4)
    former = {"agent_id": "agent-1", "product": "app", "generation": 3, "rollout_id": "open", "state": "failed"}
    await insert(store, AttemptHistoryRow, {**former, "to_version": "1.0.0"})
    for sequence, generation in ((1, 3), (2, 4), (3, 5), (4, 9)):
        await say(store, clock, "agent-1", sequence, generation=generation)
    await say(store, clock, "agent-1", 5, generation=5, product="other")
    await say(store, clock, "agent-1", 6, generation=0)
    await say(store, clock, "agent-2", 1, 2, generation=5)
    clock.advance(2 * AGE.total_seconds())
    await Retention(store, AGE, AGE).walk()
    assert await left(store) == [*[("agent-1", "j-1", n) for n in (1, 3, 6)], ("agent-2", "j-1", 2)]


async def test_one_transaction_looks_at_a_page_and_no_more(store: Store, clock: FakeClock) -> None:
    await say(store, clock, "agent-1", *range(1, 9))
    clock.advance(2 * AGE.total_seconds())
    place: reports.Place | None = reports.START
    seen = []
    while place is not None:
        place = await store.writer.report(partial(reports.prune_page, after=place, age=AGE))
        seen.append(len(await left(store)))
    assert seen == [5, 2, 1]


async def test_a_walk_that_was_broken_off_goes_on_where_it_was(
    store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await say(store, clock, "agent-1", *range(1, 9))
    clock.advance(2 * AGE.total_seconds())
    walker, real = Retention(store, AGE, AGE), reports.prune_page
    pages: list[int] = []

    async def page(tx: Tx, after: reports.Place, age: timedelta) -> reports.Place | None:
        pages.append(after.sequence)
        if len(pages) == 2:
            raise StoreError("the disk is full", code=Code.STORE_FAILED)
        return await real(tx, after, age)

    monkeypatch.setattr(reports, "prune_page", page)
    monkeypatch.setattr(retention, "REST_SECONDS", 0.005)
    with capture_logs() as logs:
        await walker.start()
        async with asyncio.timeout(10):
            while await left(store) != [("agent-1", "j-1", 8)]:
                await asyncio.sleep(0.005)
        await walker.drain()
        await walker.stop()
    assert pages[:4] == [0, 3, 3, 6]
    assert [line["event"] for line in logs] == ["old_rows_not_pruned"]
