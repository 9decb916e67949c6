"""What counts as evidence for a wave: its own hosts, and never the harm that an earlier one turned out to have done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.stocks import NEW
from tests.faults.virtual_disk import code

if TYPE_CHECKING:
    from tests.faults.worlds import World

HOSTS = tuple(f"host-{number}" for number in range(1, 6))


async def test_hosts_that_go_back_behind_a_wave_are_no_sample_of_it(world: World) -> None:
    await world.online("host-1", "host-2", "host-3")
    limits = {"max_failed": 3, "failure_limit": 1.0, "min_sample": 3, "max_concurrent": 3}
    rollout = await world.roll(*HOSTS, waves=[2, 0], limits=limits)
    for name in ("host-1", "host-2"):
        await world.update(name)
    assert await world.waves(rollout) == ["PASSED", "OPEN"]
    for name in ("host-1", "host-2"):
        agent = world.agent(name)
        agent.disk.attempt = {"generation": agent.disk.highest, "version": NEW}
        await agent.back("rolled_back", code=code("HEALTH_FAILED"))
    await world.update("host-3")
    await world.watch(70)
    assert await world.states(*HOSTS[2:]) == ["succeeded", "pending", "pending"]
    assert await world.waves(rollout) == ["PASSED", "OPEN"], "one host of three is no sample of three"
    await world.cancel(rollout)
