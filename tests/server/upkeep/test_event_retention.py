"""The log of events is bounded by age, loses its oldest end alone, and keeps counting where it was."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_server.events import log
from fleetroll_server.store import EventFact, Store
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.upkeep import events, retention
from fleetroll_server.upkeep.retention import Retention

if TYPE_CHECKING:
    import pytest

    from fleetroll_common.values.clock import FakeClock

AGE = timedelta(days=90)


async def emit(store: Store, number: int) -> None:
    async def job(tx: object) -> None:
        for _ in range(number):
            tx.emit(EventFact(fleet_id="f", kind="test", actor_kind="engine", actor_id="x"))  # type: ignore[attr-defined]

    await store.writer.report(job)


async def left(store: Store) -> list[int]:
    query = every_fleet(sa.select(log.EVENT.c.sequence).order_by(log.EVENT.c.sequence), "a test counts")
    async with store.read() as connection:
        return list((await connection.scalars(query)).all())


async def test_old_events_go_page_by_page_and_the_place_in_the_log_stays(
    store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "PAGE_ROWS", 3)
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0.0)
    await emit(store, 8)
    clock.advance(timedelta(days=60).total_seconds())
    await emit(store, 2)
    keeper = Retention(store, AGE, AGE)
    await keeper.prune_events()
    assert await left(store) == list(range(1, 11)), "none is old enough"
    clock.advance(timedelta(days=31).total_seconds())
    await keeper.prune_events()
    assert await left(store) == [9, 10]
    clock.advance(timedelta(days=60).total_seconds())
    await keeper.prune_events()
    assert await left(store) == []
    async with store.read() as connection:
        assert await log.position(connection) == 10
        assert not await log.reaches_back_to(connection, 9)
        assert await log.reaches_back_to(connection, 10)
    await emit(store, 1)
    assert await left(store) == [11]


async def test_an_event_of_a_clock_that_was_set_back_keeps_what_follows(
    store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0.0)
    await emit(store, 1)
    clock.advance(-timedelta(days=200).total_seconds())
    await emit(store, 1)
    clock.advance(timedelta(days=200).total_seconds())
    await Retention(store, AGE, AGE).prune_events()
    assert await left(store) == [1, 2], "the older one stands behind a newer one: there must be no gap"
