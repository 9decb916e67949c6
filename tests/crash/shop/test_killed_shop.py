"""SIGKILL of the real launcher and the real agent at the points of a real service's update, of kind ``slots``.

The shop is kept by a supervisor of its own; it is backed up, migrated, switched, restarted, soaked, and taken back with
its data. After every kill it has to answer, with a whole version whose schema fits.
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
from tests.crash.real.host import FIRST, LAUNCHER
from tests.crash.real.hunting import hunt
from tests.crash.shop import verdicts
from tests.crash.shop.world import SERVING, STARTING, ShopHost
from tests.crash.shop.wrongs import WRONGS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.counts import Counts
    from tests.crash.real.host import Kit
    from tests.crash.real.kill import Kill
    from tests.crash.real.points import Distinct, Seen

KILLS_IN_A_LIFE = 14
SHARE = 0.2
"""Of the minutes of a sample."""
MAX_LEFT = 0.03
"""Timing moves a few points from run to run; a proof in which more did not come proves nothing."""
_SHARED_STATES = ("none", "accepted", "downloading")


@pytest.mark.crash
@pytest.mark.timeout(86400)
async def test_a_kill_at_any_point_of_an_update_leaves_a_shop_that_answers(
    kit: Kit, trace: list[Seen], room: Path, full: bool, counts: Counts
) -> None:
    seed, minutes = counting.seed(points.SEED), counting.minutes(SHARE) if full else 0.0
    known = [replace(at, nth=1) for at in points.distinct(trace, seed)]
    mine = points.one_of_each_effect(filter(is_of_products, known), seed)
    assert {"create", "write", "fsync", "rename", "spawn", "send", "received"} <= {at.kind for at in known}
    wanted = points.every_victim(known) if full else points.one_each(mine)
    make = partial(ShopHost, kit)
    bag = await hunt(
        lambda folder, chase: make(folder, hunt=chase), room / "killed", wanted, KILLS_IN_A_LIFE, minutes, seed
    )
    run = Counter(points.fault_of(kill.role, kill.do, kill.victim) for kill in bag.kills)
    exist = points.faults_of(points.every_victim(known))
    distinct = points.faults_of(points.every_victim(points.one_of_each_effect(known, seed)))
    counts.add("real", "slots", run, exist, distinct)
    print(
        f"\nshop, slots: {len(trace)} points in the trace, {len(known)} distinct, {len(mine)} before another effect of"
        f" a product; {len(bag.kills)} real SIGKILLs in the lives of {bag.lives} hosts, of {len(wanted)} wanted"
        f" ({len(bag.left)} did not come, at {bag.nobody} nobody was there to kill), seed {seed}"
        f"\n  by kind: {points.counted(map(shown, bag.kills))}\n  the attempts then: {points.counted(bag.results)};"
        " after each kill the shop answered with a whole version, and each host ended on its newest"
    )
    assert not bag.faults, "\n\n".join(bag.faults)
    assert minutes or len(bag.left) <= MAX_LEFT * len(wanted), "\n".join(bag.left)


@pytest.mark.crash
async def test_a_host_that_is_wrong_in_one_thing_does_not_pass(
    kit: Kit, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "WHOLE_SECONDS", 0.5)
    async with ShopHost(kit, room / "wrong") as host:
        await host.until(lambda: host.ended(FIRST), "the result")
        await host.until(lambda: host.shop_record().attempt is None, "the end")
        await asyncio.sleep(0.5)
        host.check_attempts()
        await host.check_end()
        for wrong in WRONGS:
            restore = wrong(host)
            with pytest.raises(AssertionError):
                await host.check_end()
            restore()
        await host.check_end()


def is_of_products(at: Distinct) -> bool:
    """Tell whether the point is one of a product's update alone: how the agent starts, and how it fetches, it has in
    common with its own update, whose first tier kills it there.
    """
    return at.point.role not in (LAUNCHER, STARTING) and not at.state.startswith(_SHARED_STATES)


def shown(kill: Kill) -> str:
    return f"{kill.victim} at {kill.role}'s {kill.state if kill.role == SERVING else ''}"
