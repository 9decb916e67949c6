"""When signed metadata are refreshed while a session is open, and who is told of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from fleetroll_agent.session.freshness import AGAIN_SECONDS, DAY_SECONDS, Freshness
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import TrustError
from tests.faults.anchored_agent import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_agent.session.link import Link
    from fleetroll_common.trust import TrustClient

HUGE = 2**62
AT_ONCE = replace(SETTINGS, reconnect_cap_seconds=0.0)


class Metadata:
    """What the repository has, as a host's trust client shows it.

    Attributes:
        newest: the timestamp that a refresh brings.
        timestamp_version: that the last refresh brought; 0 = none did.
        refreshes: how many were asked for.
        error: raised instead.
        meanwhile: done while a refresh runs.
    """

    def __init__(self) -> None:
        self.newest, self.timestamp_version, self.refreshes = 1, 0, 0
        self.error: TrustError | None = None
        self.meanwhile: Callable[[], None] | None = None

    def refresh(self) -> None:
        self.refreshes += 1
        if self.error is not None:
            raise self.error
        self.timestamp_version = self.newest
        if self.meanwhile is not None:
            self.meanwhile()


class Line:
    """An open session."""

    address = "server:1"


class World:
    """One host; turns are made by hand."""

    def __init__(self) -> None:
        self.trust, self.line, self.clock = Metadata(), Line(), FakeClock()
        link, trust = cast("Link", self.line), cast("TrustClient", self.trust)
        self.fresh = Freshness(trust, link, self.clock, AT_ONCE)
        self.told: list[str] = []
        self.failing: set[str] = set()
        self.fresh.told = [self._teller("first"), self._teller("second")]

    def _teller(self, name: str) -> Callable[[], asyncio.Future[None]]:
        async def tell() -> None:
            self.told.append(name)
            if name in self.failing:
                raise ValueError(name)

        return lambda: asyncio.ensure_future(tell())

    async def turns(self, count: int, seconds: float = 30.0) -> int:
        """Look so often, so far apart; return how many refreshes that made."""
        before = self.trust.refreshes
        for _ in range(count):
            await self.fresh.look()
            self.clock.advance(seconds)
        return self.trust.refreshes - before


@pytest.fixture
async def world() -> World:
    """A host with the timestamp 1, on which everybody was told of it."""
    world = World()
    world.fresh.noticed(1, opened=True)
    assert await world.turns(3) == 1
    assert world.told == ["first", "second"]
    world.told.clear()
    return world


async def test_a_notice_leads_to_one_refresh_and_everybody_is_told_once(world: World) -> None:
    world.trust.newest = 2
    world.fresh.noticed(2, opened=False)
    assert await world.turns(20) == 1
    assert world.told == ["first", "second"]


async def test_a_notice_of_what_is_there_leads_to_none(world: World) -> None:
    world.fresh.noticed(1, opened=False)
    assert await world.turns(20) == 0
    assert world.told == []


async def test_a_storm_of_notices_leads_to_one(world: World) -> None:
    world.trust.newest = 500
    for version in range(2, 501):
        world.fresh.noticed(version, opened=False)
    assert await world.turns(20) == 1


@pytest.mark.parametrize("named", [HUGE, -1])
async def test_a_server_that_names_what_there_is_not_causes_one_refresh(world: World, named: int) -> None:
    """Not one each half minute for ever, from every host."""
    world.fresh.noticed(named, opened=False)
    assert await world.turns(100) == 1


async def test_what_is_named_while_a_refresh_runs_is_another_notice(world: World) -> None:
    def published() -> None:
        world.trust.meanwhile = None
        world.trust.newest = 3
        world.fresh.noticed(3, opened=False)

    world.trust.newest, world.trust.meanwhile = 2, published
    world.fresh.noticed(2, opened=False)
    assert await world.turns(20) == 2
    assert world.trust.timestamp_version == 3


async def test_a_failure_is_tried_again_later(world: World) -> None:
    world.trust.error = TrustError("no", code=Code.METADATA_FREEZE, remedy="wait")
    world.fresh.noticed(2, opened=False)
    assert await world.turns(1) == 1
    assert await world.turns(9, AGAIN_SECONDS / 20) == 0
    world.clock.advance(2 * AGAIN_SECONDS)
    world.trust.error, world.trust.newest = None, 2
    assert await world.turns(20) == 1
    assert world.told == ["first", "second"]


async def test_a_new_session_tries_at_once(world: World) -> None:
    world.trust.error = TrustError("no", code=Code.METADATA_FREEZE, remedy="wait")
    world.fresh.noticed(2, opened=False)
    assert await world.turns(3, 1.0) == 1
    world.fresh.noticed(2, opened=False)
    assert await world.turns(3, 1.0) == 0
    world.fresh.noticed(2, opened=True)
    assert await world.turns(3, 1.0) == 1


async def test_once_a_day_without_a_notice(world: World) -> None:
    assert await world.turns(6, DAY_SECONDS / 10) == 0
    world.clock.advance(DAY_SECONDS)
    assert await world.turns(3) == 1


async def test_nothing_is_asked_without_a_session(world: World) -> None:
    world.line.address = ""
    world.fresh.noticed(2, opened=False)
    world.clock.advance(3 * DAY_SECONDS)
    assert await world.turns(3) == 0


async def test_a_refresh_that_something_else_asked_for_is_told(world: World) -> None:
    world.trust.timestamp_version = 7
    world.fresh.noticed(7, opened=False)
    assert await world.turns(3) == 0
    assert world.told == ["first", "second"]


async def test_who_fails_is_told_again_later_and_keeps_the_others_from_nothing(world: World) -> None:
    world.failing = {"first"}
    world.trust.newest = 2
    world.fresh.noticed(2, opened=False)
    assert await world.turns(9, AGAIN_SECONDS / 20) == 1
    assert world.told == ["first", "second"]
    world.clock.advance(AGAIN_SECONDS)
    world.failing.clear()
    assert await world.turns(40) == 0
    assert world.told == ["first", "second", "first"]


async def test_a_newer_one_is_told_to_everybody_at_once(world: World) -> None:
    world.failing = {"second"}
    for version in (2, 3):
        world.trust.newest = version
        world.fresh.noticed(version, opened=False)
        await world.turns(1)
    assert world.told == ["first", "second"] * 2


async def test_a_turn_s_work_is_done_at_every_turn_whatever_goes_wrong_with_it(world: World) -> None:
    done: list[int] = []

    async def work() -> None:
        done.append(len(done))
        await asyncio.sleep(0)
        raise AttributeError("a defect")

    world.fresh.each_turn = [work, work]
    assert await world.turns(3) == 0
    assert len(done) == 6


async def test_a_welcome_is_a_turn(world: World) -> None:
    done = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0)
        done.set()

    world.fresh.each_turn = [work]
    running = asyncio.create_task(world.fresh.run())
    world.fresh.noticed(1, opened=True)
    await asyncio.wait_for(done.wait(), 0.09)
    running.cancel()
