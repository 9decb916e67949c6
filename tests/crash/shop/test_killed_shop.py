"""SIGKILL of the real launcher and agent at the points of a real service's update, and whatever else goes wrong.

The shop is kept by a supervisor of its own; it is backed up, migrated, switched, restarted, soaked, and taken back with
its data. Whatever happens it has to answer again, with a whole version whose schema fits. The first tier kills a
product of kind ``slots`` once at each distinct point; the second knows all kinds, victims and faults.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.crash import counts as counting
from tests.crash.real import points
from tests.crash.real.beside import BESIDE, Case
from tests.crash.real.cases import run as run_cases
from tests.crash.real.host import FIRST
from tests.crash.real.hunting import hunt
from tests.crash.shop import faults, verdicts
from tests.crash.shop.world import SERVING, ShopHost
from tests.crash.shop.wrongs import WRONGS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.counts import Counts
    from tests.crash.real.kill import Kill
    from tests.crash.real.points import Distinct
    from tests.crash.shop.grounds import Grounds
    from tests.faults.plans import Chase

KINDS = ("slots", "file", "command")
KILLS_IN_A_LIFE = 14
SHARE = 0.1
"""Of the minutes of a sample, for the kills of one kind and for its other faults."""
MAX_LEFT, MIN_HAPPENED = 0.03, 0.9
"""Timing moves a few points from run to run; a proof in which more did not come proves nothing."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Take slots; in the second tier all kinds."""
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", KINDS if metafunc.config.getoption("--full") else KINDS[:1])


@pytest.mark.long
@pytest.mark.crash
@pytest.mark.timeout(86400)
async def test_a_kill_at_any_point_of_an_update_leaves_a_shop_that_answers(
    kind: str, grounds: Grounds, full: bool, counts: Counts
) -> None:
    seed, minutes = counting.seed(points.SEED), counting.minutes(SHARE) if full else 0.0
    known = points_of(kind, grounds, seed)
    assert {"create", "write", "fsync", "rename", "spawn", "send", "received"} <= {at.kind for at in known}
    wanted = points.every_victim(known) if full else points.one_each(known)

    def make(folder: Path, chase: Chase) -> ShopHost:
        return ShopHost(grounds.kit(kind), folder, hunt=chase, kind=kind)

    bag = await hunt(make, grounds.room / f"killed-{kind}", wanted, KILLS_IN_A_LIFE, minutes, seed)
    run = Counter(points.fault_of(kill.role, kill.do, kill.victim) for kill in bag.kills)
    exist = points.faults_of(points.every_victim(known))
    distinct = points.faults_of(points.every_victim(points.one_of_each_effect(known, seed)))
    counts.add("real", kind, run, exist, distinct)
    print(
        f"\nshop, {kind}: {len(known)} distinct points;"
        f" {len(bag.kills)} real SIGKILLs in the lives of {bag.lives} hosts, of {len(wanted)} wanted"
        f" ({len(bag.left)} did not come, at {bag.nobody} nobody was there to kill), seed {seed}"
        f"\n  by state: {points.counted(map(shown, bag.kills))}\n  the attempts then: {points.counted(bag.results)};"
        " after each kill the shop answered with a whole version, and each host ended on its newest"
    )
    assert not bag.faults, "\n\n".join(bag.faults)
    assert minutes or len(bag.left) <= MAX_LEFT * len(wanted), "\n".join(bag.left)


@pytest.mark.crash
@pytest.mark.timeout(86400)
async def test_what_goes_wrong_once_never_costs_more_than_the_attempt(
    kind: str, grounds: Grounds, full: bool, counts: Counts
) -> None:
    seed, minutes = counting.seed(points.SEED), counting.minutes(SHARE) if full else 0.0
    known = every_fault(points.distinct(grounds.trace(kind)[1], seed))
    chosen = points.mixed(known, seed)
    if not full:
        chosen = [next(case for case in chosen if case.fault == fault) for fault in faults.FAULTS]
    one = partial(faults.run_case, grounds.kit(kind), kind)
    tally = await run_cases(chosen, one, grounds.room / f"faulty-{kind}", minutes)
    counts.add("real", kind, Counter(case.fault for case in tally.run), Counter(case.fault for case in known))
    print(f"\nshop, {kind}: {len(tally.results)} faults; the attempt then: {points.counted(tally.results)}")
    assert not tally.faults, "\n\n".join(tally.faults)
    assert len(tally.results) >= MIN_HAPPENED * (len(tally.results) + len(tally.missed)), tally.missed


@pytest.mark.crash
@pytest.mark.timeout(600)
async def test_a_host_that_is_wrong_in_one_thing_does_not_pass(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "WHOLE_SECONDS", 0.5)
    async with ShopHost(grounds.kit("slots"), grounds.room / "wrong") as host:
        await host.until(lambda: host.ended(FIRST), "the result")
        await host.until(lambda: host.product_record().attempt is None, "the end")
        await asyncio.sleep(0.5)
        host.check_attempts()
        await host.check_end()
        for wrong in WRONGS:
            restore = wrong(host)
            with pytest.raises(AssertionError):
                await host.check_end()
            restore()
        await host.check_end()


def points_of(kind: str, grounds: Grounds, seed: int) -> list[Distinct]:
    """Return the distinct points: a process of an agent comes to most of them once in an update."""
    return [replace(at, nth=1) for at in points.distinct(grounds.trace(kind)[0], seed)]


def every_fault(known: list[Distinct]) -> list[Case]:
    """Return all cases of an attempt; only a disk that is asked can refuse."""
    mine = [at for at in known if at.point.role == SERVING]
    disk = [Case(at, fault) for at in points.on_disk(mine, {SERVING}) for fault in faults.ON_DISK]
    return [*disk, *(Case(at, fault) for at in mine for fault in BESIDE)]


def shown(kill: Kill) -> str:
    return f"{kill.role} {kill.state}".removesuffix(" False").removesuffix(" True")
