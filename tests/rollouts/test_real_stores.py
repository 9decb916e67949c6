"""The same walks on real stores: one server on a file, and two that race on one PostgreSQL."""

from __future__ import annotations

import asyncio
import random
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.values.clock import FakeClock
from fleetroll_server.store import Store
from tests.faults.fleet_guard import fleets_named
from tests.rollouts import people
from tests.rollouts.walks import DECIDED, DECISIONS, LINES, ONWARD, WORK, Walk, told

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from tests.rollouts.agents import Host

WALKS, STEPS = 3, 200
RACES, ROUNDS = 3, 300


class Race(Walk):
    """Two hosts, or a host and a person, at the same moment, each with a server of its own as it happens."""

    async def stride(self) -> None:
        fleet, chance = self.fleet, self.fleet.chance
        hosts = chance.sample(list(fleet.hosts.values()), min(2, len(fleet.hosts)))
        kind = chance.random()
        if kind < 0.8:
            doing: list[Awaitable[bool]] = [self._first(host) for host in hosts]
            if kind > 0.7 or not self._is_busy():
                name = chance.choices(list(DECISIONS), DECIDED if self._is_busy() else ONWARD)[0]
                doing.append(DECISIONS[name](fleet))
            done = sum(await asyncio.gather(*doing))
            self.steps += done
            self.done["steps"] += done
            await fleet.observe()
        elif kind < 0.86:
            await self._odd(hosts[0])
        else:
            await self.act("time", fleet.pass_time(chance.choice((1.0, 5.0, 20.0, 61.0))))

    async def _odd(self, host: Host) -> None:
        acts: Any = (self.fleet.cut, self.fleet.notice, self.fleet.goodbye, self.fleet.lose_ack)
        await self.act("odd", self.fleet.chance.choice(acts)(host), host)

    async def _first(self, host: Host) -> bool:
        """Let a host do the first thing that is to be done; who does it beside others is judged with them."""
        for line in LINES.values():
            if await line(self.fleet, host):
                return True
        for product in host.products.values():
            for work in WORK.values():
                if await work(self.fleet, host, product):
                    return True
        return False


async def test_walks_on_a_file_stay_sound(sqlite_template: Path, tmp_path: Path, *, full: bool) -> None:
    done = None
    for seed in range(9000, 9000 + WALKS * (20 if full else 1)):
        shutil.copyfile(sqlite_template, tmp_path / f"{seed}.db")
        clock = FakeClock()
        store = await Store.open(f"sqlite+aiosqlite:///{tmp_path / f'{seed}.db'}", clock)
        walk = Walk(seed, clock, store)
        try:
            with fleets_named():
                await walk.go(STEPS, settling=False)
        finally:
            await store.close()
        done = walk.done if done is None else done + walk.done
    assert done is not None
    print(f"\nrollouts on a file: {told(done)}")
    assert done["steps"] >= WALKS * STEPS
    assert done["Gos"] > 0


@pytest.mark.timeout(24 * 3600)
async def test_two_servers_that_race_on_one_database_stay_sound(postgres: Any, *, full: bool) -> None:
    seeds = (
        [random.SystemRandom().randrange(10**6, 10**9) for _ in range(20 * RACES)]
        if full
        else range(9500, 9500 + RACES)
    )
    done = None
    for seed in seeds:
        url, clock = postgres.fresh(), FakeClock()
        stores = [await Store.open(url, clock), await Store.open(url, clock)]
        race = Race(seed, clock, *stores)
        race.fleet.judge.racing = True
        try:
            await race.go(ROUNDS, settling=False)
            await people.start(race.fleet)
        finally:
            for store in stores:
                await store.close()
        done = race.done if done is None else done + race.done
    assert done is not None
    print(f"\nrollouts of two servers: {told(done)}")
    assert done["steps"] >= RACES * ROUNDS
    assert done["Gos"] > 0
