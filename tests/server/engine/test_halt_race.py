"""No Go is committed after the report that breaks the limit, however fast hosts ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.halting import AT_ONCE, HOSTS, race

if TYPE_CHECKING:
    from tests.faults.worlds import World


@pytest.mark.parametrize("run", range(5))
async def test_no_go_is_committed_after_a_halt(world: World, run: int) -> None:
    """More runs, and how long it takes: ``make bench-halt``."""
    del run
    how = await race(world)
    world.left_over["rollout"] = (0, 1)  # the host that went back, until a person decides
    assert how.gos_after == 0
    assert how.gos > HOSTS, "hosts asked while it happened"
    assert how.refused == HOSTS - 1 >= AT_ONCE, "each of the others was told that the rollout stands"
