"""SIGKILL of the real launcher and the real agents at the points of a self-update, and whatever else goes wrong beside
it: a verified version always comes up.

The points come from the trace of an undisturbed run, never from a list.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.crash import counts as counting
from tests.crash.real import points
from tests.crash.real.beside import BESIDE, ON_DISK, Case
from tests.crash.real.cases import run as run_cases
from tests.crash.real.host import SUCCEEDED
from tests.crash.real.hunting import hunt
from tests.crash.update.cases import disturb
from tests.crash.update.world import OLD_AGENT, UpdatingHost

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.counts import Counts
    from tests.crash.real.host import Kit
    from tests.crash.real.kill import Kill
    from tests.crash.real.points import Distinct, Seen

KILLS_IN_A_LIFE = 14
REFUSALS = 3
"""Of each sort in which a disk refuses once."""
SHARE_OF_KILLS, SHARE_OF_FAULTS = 0.15, 0.05
"""Of the minutes of a sample."""
MAX_LEFT = 0.03
"""Timing moves a few points from run to run; a proof in which more did not come proves nothing."""
MIN_HAPPENED = 0.9


@pytest.mark.long
@pytest.mark.crash
@pytest.mark.timeout(86400)
async def test_a_kill_at_any_point_of_an_update_leaves_a_host_that_runs_and_can_be_updated(
    kit: Kit, trace: list[Seen], room: Path, full: bool, counts: Counts
) -> None:
    seed = counting.seed(points.SEED)
    minutes = counting.minutes(SHARE_OF_KILLS) if full else 0.0
    known = points.distinct(trace, seed)
    assert {"create", "write", "fsync", "rename", "spawn", "message", "send", "received"} <= {at.kind for at in known}
    effects = points.one_of_each_effect(known, seed)
    own = [at for at in effects if not is_of_products_too(at)]
    wanted = points.every_victim(known) if full else points.one_each(own)
    make = partial(UpdatingHost, kit)
    bag = await hunt(
        lambda folder, chase: make(folder, hunt=chase), room / "killed", wanted, KILLS_IN_A_LIFE, minutes, seed
    )
    run = Counter(points.fault_of(kill.role, kill.do, kill.victim) for kill in bag.kills)
    exist, distinct = (points.faults_of(points.every_victim(some)) for some in (known, effects))
    counts.add("real", "agent", run, exist, distinct)
    print(
        f"\nself-update: {len(trace)} points in the trace, {len(known)} distinct, {len(effects)} before"
        f" another effect, {len(own)} of them the agent's alone; {len(bag.kills)} real SIGKILLs"
        f" in the lives of {bag.lives} hosts, of {len(wanted)} wanted ({len(bag.left)} did not come,"
        f" at {bag.nobody} nobody was there to kill), seed {seed}"
        f"\n  by kind: {points.counted(map(shown, bag.kills))}\n  the attempts then: {points.counted(bag.results)};"
        " after each kill a verified version came up, and each host ended on 1.1.0"
    )
    assert not bag.faults, "\n\n".join(bag.faults)
    assert minutes or len(bag.left) <= MAX_LEFT * len(wanted), "\n".join(bag.left)


def is_of_products_too(at: Distinct) -> bool:
    """Tell whether a product comes to the point as well, until its slot is staged: the first tier kills it there."""
    return at.point.role == OLD_AGENT and at.state.startswith(("none", "accepted", "downloading"))


def shown(kill: Kill) -> str:
    return f"{kill.victim} at {kill.role}'s {kill.point.partition(':')[0]}"


@pytest.mark.crash
@pytest.mark.timeout(86400)
async def test_what_goes_wrong_once_beside_it_never_costs_more_than_the_attempt(
    kit: Kit, trace: list[Seen], room: Path, full: bool, counts: Counts
) -> None:
    seed = counting.seed(points.SEED)
    minutes = counting.minutes(SHARE_OF_FAULTS) if full else 0.0
    known = every_fault(points.distinct(trace, seed), seed)
    chosen = points.mixed(known, seed) if full else one_of_each(known)
    tally = await run_cases(chosen, partial(disturb, kit), room, minutes)
    counts.add("real", "agent", Counter(case.fault for case in tally.run), Counter(case.fault for case in known))
    print(f"\nself-update: {len(tally.results)} faults; the attempt then: {points.counted(tally.results)}")
    assert not tally.faults, "\n\n".join(tally.faults)
    assert len(tally.results) >= MIN_HAPPENED * (len(tally.results) + len(tally.missed)), tally.missed


def every_fault(known: list[Distinct], seed: int) -> list[Case]:
    """Return all cases, by fault, every role and kind of point in turn; only a disk that is asked can refuse."""
    roles = UpdatingHost.agents_roles
    disk = points.on_disk(known, roles)
    mine = [at for at in known if at.point.role in roles and SUCCEEDED not in at.state]
    where = {**dict.fromkeys(ON_DISK, disk), **dict.fromkeys(BESIDE, mine)}
    return [
        Case(at, fault)
        for number, (fault, places) in enumerate(where.items())
        for at in points.sample(places, len(places), seed + number)
    ]


def one_of_each(known: list[Case]) -> list[Case]:
    """Return one case of each fault, and more of a disk that refuses once: they cost no waiting."""
    most = {"ENOSPC once": REFUSALS, "EIO": REFUSALS}
    return [case for fault in dict.fromkeys(one.fault for one in known) for case in _first(known, fault, most)]


def _first(known: list[Case], fault: str, most: dict[str, int]) -> list[Case]:
    return [case for case in known if case.fault == fault][: most.get(fault, 1)]
