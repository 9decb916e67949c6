"""What a host is told that is not let in: when to come back, where waiting mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_server.gateway import openings
from tests.faults.virtual_agent import RefusedError

if TYPE_CHECKING:
    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World


async def refused_hello(agent: VirtualAgent) -> tuple[str, float]:
    """Return code and wait of the refusal of a hello."""
    with pytest.raises(RefusedError) as caught:
        await agent.greet(await agent.open())
    return caught.value.code, caught.value.retry_after


def closed(real: Any) -> Any:
    """Return ``open`` of openings that are closed."""

    async def opened(self: openings.Openings, *arguments: Any) -> Any:
        self.close()
        return await real(self, *arguments)

    return opened


async def test_a_host_whose_hello_can_not_be_stored_is_told_when_to_come_back(world: World) -> None:
    async with world.broken_disk():
        assert await refused_hello(world.agent("host-1")) == ("STORE_FAILED", 10.0)
    await world.online("host-1")


async def test_a_host_whose_server_opens_no_more_sessions_is_told_when_to_come_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openings.Openings, "open", closed(openings.Openings.open))
    assert await refused_hello(world.agent("host-1")) == ("DRAINING", 10.0)


async def test_a_refusal_that_waiting_does_not_mend_names_no_time(world: World) -> None:
    agent = world.agent("host-1")
    with pytest.raises(RefusedError) as caught:
        await agent.greet(await agent.open(agent_id="agent-nobody"), agent_id="agent-nobody")
    assert caught.value.retry_after == 0
