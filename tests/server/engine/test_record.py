"""The record of availability, on SQLite and PostgreSQL: when a spell goes on, when it ends, who opens the next one."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fleetroll_server.domain.availability import KEPT, Span, closed_within
from fleetroll_server.door import Door
from fleetroll_server.engine import availability
from fleetroll_server.store import Store
from fleetroll_server.store.tables import SpellRow, table_of
from fleetroll_server.upkeep import spells as upkeep

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_common.values.clock import FakeClock
    from fleetroll_server.store import Tx

SPELL = table_of(SpellRow)


def server(store: Store, name: str) -> Any:
    """One server, as the record sees it."""
    return SimpleNamespace(store=store, server_id=name, door=Door())


async def tick(of: Any, *, refused: bool = False) -> Span | None:
    return await of.store.writer.report(lambda tx: availability.tick(tx, of, refused=refused))  # type: ignore[no-any-return]


async def end(of: Any) -> None:
    await of.store.writer.command(lambda tx: availability.end(tx, of))


async def closed(of: Any, clock: FakeClock, since: datetime) -> float:
    """Return how many seconds between ``since`` and now the record calls closed."""
    known = await of.store.writer.report(lambda tx: availability.spells_since(tx, of, since))
    spans = closed_within(known, since, clock.now())
    return sum((span.ended_at - span.began_at).total_seconds() for span in spans)


async def rows(store: Store) -> list[tuple[Any, ...]]:
    async with store.read() as connection:
        found = await connection.execute(sa.select(SPELL).order_by(SPELL.c.began_at, SPELL.c.server_id))
        return [tuple(row) for row in found]


@pytest.fixture
def one(store: Store) -> Any:
    return server(store, "server-1")


async def for_seconds(of: Any, clock: FakeClock, seconds: int) -> None:
    """Tick for a while."""
    for _ in range(seconds // 5):
        clock.advance(5)
        assert await tick(of) is None


async def test_ticks_make_one_row_that_covers_their_time(one: Any, store: Store, clock: FakeClock) -> None:
    began = clock.now()
    assert await tick(one) is None
    await for_seconds(one, clock, 60)
    assert await rows(store) == [("server-1", began, began + timedelta(seconds=60), False)]
    clock.advance(4)
    assert await closed(one, clock, began) == 0


async def test_one_missing_tick_is_none_and_two_are_a_gap(one: Any, store: Store, clock: FakeClock) -> None:
    began = clock.now()
    await tick(one)
    clock.advance(10)
    assert await tick(one) is None
    clock.advance(10.5)
    assert await tick(one) == Span(began + timedelta(seconds=10), clock.now())
    assert len(await rows(store)) == 2
    assert await closed(one, clock, began) == 10.5


async def test_a_refused_hello_closes_the_time_since_the_last_tick(one: Any, store: Store, clock: FakeClock) -> None:
    began = clock.now()
    await tick(one)
    await for_seconds(one, clock, 20)
    clock.advance(3)
    one.door.refuse()
    assert await closed(one, clock, began) == 3, "before the record is written as well"
    assert await tick(one, refused=True) == Span(began + timedelta(seconds=20), clock.now())
    one.door.recorded = one.door.refusals
    await for_seconds(one, clock, 20)
    assert await closed(one, clock, began) == 3
    assert len(await rows(store)) == 2


async def test_a_long_crowd_at_the_door_leaves_one_row(one: Any, store: Store, clock: FakeClock) -> None:
    began = clock.now()
    await tick(one)
    await for_seconds(one, clock, 10)
    for _ in range(50):
        clock.advance(1)
        assert await tick(one, refused=True) is not None
    assert len(await rows(store)) == 2
    assert await closed(one, clock, began) == 50


async def test_a_drain_ends_the_spell_however_soon_the_server_is_back(store: Store, clock: FakeClock) -> None:
    old, new = server(store, "server-1"), server(store, "server-2")
    began = clock.now()
    await tick(old)
    await for_seconds(old, clock, 20)
    old.door.shut()
    await end(old)
    assert await tick(old) is None, "who drains begins no spell"
    clock.advance(2)
    assert await tick(new) == Span(began + timedelta(seconds=20), clock.now())
    assert await closed(new, clock, began) == 2


async def test_a_killed_server_is_missed_once_no_other_can_live(store: Store, clock: FakeClock) -> None:
    old, new = server(store, "server-1"), server(store, "server-2")
    began = clock.now()
    await tick(old)
    clock.advance(11)
    assert await tick(new) == Span(began, clock.now())
    assert await closed(new, clock, began) == 11


async def test_time_in_which_another_server_accepts_hellos_is_open(store: Store, clock: FakeClock) -> None:
    if store.is_sqlite:
        return  # one server to a file
    first, second = server(store, "server-1"), server(store, "server-2")
    began = clock.now()
    await tick(first)
    await for_seconds(first, clock, 5)
    assert await tick(second) is None
    await for_seconds(second, clock, 60)
    assert await tick(first) is None, "its own gap closed nothing"
    first.door.refuse()
    clock.advance(4)
    assert await tick(first, refused=True) is None
    first.door.shut()
    await end(first)
    await for_seconds(second, clock, 5)
    assert await closed(second, clock, began) == 0


async def test_servers_that_all_refuse_hellos_find_the_whole_time_closed(store: Store, clock: FakeClock) -> None:
    if store.is_sqlite:
        return
    both = [server(store, "server-1"), server(store, "server-2")]
    for one in both:
        await tick(one)
    for one in both:
        await for_seconds(one, clock, 5)
    began, given_back = clock.now(), 0.0
    for _ in range(20):
        for one in both:
            clock.advance(2)
            if span := await tick(one, refused=True):
                given_back += (span.ended_at - span.began_at).total_seconds()
    assert given_back >= 80 - 2 - 10, "the first of them can't know of the other's refusals before its tick"
    assert await closed(both[0], clock, began) == 80


@pytest.mark.parametrize("clean", [False, True])
async def test_two_servers_that_come_up_together_find_the_same_closed_time_once(
    store: Store, database_url: str, clock: FakeClock, *, clean: bool
) -> None:
    if store.is_sqlite:
        return
    gone = server(store, "server-0")
    await tick(gone)
    if clean:
        await end(gone)
    clock.advance(3600)
    second = await Store.open(database_url, clock)
    try:
        found = await asyncio.gather(tick_slowly(server(store, "server-1")), tick_slowly(server(second, "server-2")))
    finally:
        await second.close()
    assert len([span for span in found if span is not None]) == 1


async def tick_slowly(of: Any) -> Span | None:
    """Tick, and leave the other server time before the commit."""

    async def job(tx: Tx) -> Span | None:
        closed = await availability.tick(tx, of, refused=False)
        await asyncio.sleep(0.3)
        return closed

    return await of.store.writer.report(job)  # type: ignore[no-any-return]


async def test_old_spells_go_but_for_the_last_one_before_the_young(
    one: Any, store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "PAGE_ROWS", 2)
    await short_spells(one, clock, 6)
    clock.advance(KEPT.total_seconds())
    since = clock.now() - KEPT + timedelta(days=1)
    assert await prune(store) == 3
    assert [row[3] for row in await rows(store)] == [False]
    await short_spells(one, clock, 1)
    before = await rows(store)
    assert await prune(store) == 1
    assert await rows(store) == before, "its end says since when the servers were away"
    assert await closed(one, clock, since) == (clock.now() - since).total_seconds() - 5


async def test_more_spells_than_are_kept_go_whatever_their_age(
    one: Any, store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "MAX_SPELLS", 3)
    began = clock.now()
    await short_spells(one, clock, 8)
    await prune(store)
    assert len(await rows(store)) == 3
    assert await closed(one, clock, began) == 3 * 60, "what was before is not known, and excuses nobody"


async def short_spells(of: Any, clock: FakeClock, number: int) -> None:
    """Let spells of 5 s pass, each with a minute behind it."""
    for _ in range(number):
        await tick(of)
        await for_seconds(of, clock, 5)
        clock.advance(60)


async def prune(store: Store) -> int:
    """Prune to the end; return how many transactions that took."""
    pages: Callable[[], Any] = lambda: store.writer.report(upkeep.prune_page)  # noqa: E731
    count = 1
    while await pages():
        count += 1
    return count
