"""A late host that does not move holds the others up for a day, whoever comes and goes, whatever was closed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from fleetroll_server.domain.late import STUCK

if TYPE_CHECKING:
    from tests.faults.worlds import World

DAY, HOUR = int(STUCK / timedelta(seconds=1)), 3600


@pytest.fixture
async def late(world: World) -> str:
    """A completed rollout with host-2 staged in it since now, and host-3 off."""
    await world.online("host-1")
    rollout = await world.roll("host-1", "host-2", "host-3")
    await world.update("host-1")
    await world.online("host-2")
    await world.staged("host-2")
    return rollout


async def is_stuck(world: World, rollout: str) -> bool:
    """Tell whether late hosts were stopped since nothing moved."""
    shown = (await world.show(rollout)).late
    return shown.HasField("stopped") and "nothing moved" in shown.stopped.reason


@pytest.mark.parametrize("outage", [False, True], ids=["open", "outage"])
async def test_time_in_which_no_hello_was_accepted_is_no_time_without_a_move(
    world: World, late: str, *, outage: bool
) -> None:
    await world.sweep(DAY - HOUR)
    if outage:
        world.clock.advance(2 * HOUR)
        await world.engine.sweep()
    else:
        await world.sweep(2 * HOUR)
    assert await is_stuck(world, late) is not outage
    if outage:
        await world.sweep(HOUR - 1)
        assert not await is_stuck(world, late), "one second of the day is left"
        await world.sweep(1)
        assert await is_stuck(world, late)


async def test_late_hosts_that_come_and_go_do_not_let_a_stuck_one_hold_them_up(world: World, late: str) -> None:
    for hours in (8, 8):
        await world.sweep(hours * HOUR)
        await world.online("host-3")
        await world.drop("host-3")
    await world.sweep(8 * HOUR - 1)
    assert not await is_stuck(world, late)
    await world.sweep(1)
    assert await is_stuck(world, late)
    assert await world.states("host-2", "host-3") == ["cancelled", "cancelled"]
