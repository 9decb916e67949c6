"""SIGKILL of the real launcher and the real agents at the points of a self-update: a verified version always comes up.

The points come from the trace of an undisturbed run, never from a list.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from tests.crash.update import cases, points
from tests.crash.update.cases import Case

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.update.world import Kit
    from tests.faults.plans import Point

KILLS = 44
"""In the first tier: what two cores can do in a minute and a half. A fixed choice, every role and kind among them."""
REFUSALS = 12
EVERY_AFTER = 6
"""One in so many kills comes after the call, not before it."""
MIN_HAPPENED = 0.9
"""Timing moves a few points from run to run; a proof in which many did not come proves nothing."""


@pytest.mark.crash
@pytest.mark.timeout(7200)
async def test_a_kill_at_any_point_of_an_update_leaves_a_host_that_runs_and_can_be_updated(
    kit: Kit, trace: list[Point], room: Path, full: bool
) -> None:
    seed, minutes = int(os.environ.get("SEED", points.SEED)), float(os.environ.get("MINUTES", "60"))
    known = points.distinct(trace, seed)
    assert {"create", "write", "fsync", "rename", "spawn", "message", "send", "received"} <= set(
        map(points.kind, known)
    )
    if full:
        wanted = [
            Case(point, do, victim)
            for point in points.sample(known, len(known), seed)
            for do in ("kill-before", "kill-after")
            for victim in points.VICTIMS
        ]
        random.Random(seed).shuffle(wanted)
    else:
        chosen = points.sample(known, KILLS)
        wanted = [Case(at, "kill-before" if number % EVERY_AFTER else "kill-after") for number, at in enumerate(chosen)]
    tally = await cases.run(wanted, cases.kill, kit, room, minutes if full else 0)
    print(
        f"\nself-update: {len(trace)} points in the trace, {len(known)} distinct; {len(tally.results)} real SIGKILLs"
        f" of {len(wanted)} chosen ({len(tally.missed)} did not come), seed {seed}"
        f"\n  by kind: {points.counted(tally.kinds)}\n  the attempt then: {points.counted(tally.results)};"
        " each time a verified version ran, and the next attempt ended on 1.1.0"
    )
    assert not tally.faults, "\n\n".join(tally.faults)
    assert len(tally.results) >= MIN_HAPPENED * (len(tally.results) + len(tally.missed)), tally.missed


@pytest.mark.crash
@pytest.mark.timeout(7200)
async def test_a_disk_that_refuses_the_agent_once_never_costs_more_than_the_attempt(
    kit: Kit, trace: list[Point], room: Path, full: bool
) -> None:
    seed, minutes = int(os.environ.get("SEED", points.SEED)), float(os.environ.get("MINUTES", "60"))
    known = points.on_disk(points.distinct(trace, seed))
    chosen = points.sample(known, len(known) if full else REFUSALS, seed)
    errors = ("enospc", "eio")
    wanted = [
        Case(at, do) for number, at in enumerate(chosen) for do in (errors if full else (errors[number % len(errors)],))
    ]
    tally = await cases.run(wanted, cases.refuse, kit, room, minutes if full else 0)
    print(
        f"\nself-update: {len(known)} distinct points of the agent on its disk; {len(tally.results)} ENOSPC or EIO of"
        f" {len(wanted)} chosen; the attempt then: {points.counted(tally.results)}"
    )
    assert not tally.faults, "\n\n".join(tally.faults)
    assert len(tally.results) >= MIN_HAPPENED * (len(tally.results) + len(tally.missed)), tally.missed
