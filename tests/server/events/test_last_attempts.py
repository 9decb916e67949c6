"""What watchers are told of a host's attempts is the beginning of the whole list, whatever their numbers are."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fleetroll_server.hosts.attempts import Attempt, last_attempts, newest_attempts
from fleetroll_server.store.tables import AttemptHistoryRow, table_of
from tests.faults.stocks import FLEET, NEW, NEWER
from tests.faults.virtual_disk import PRODUCT, code

if TYPE_CHECKING:
    from tests.faults.worlds import World

HISTORY = table_of(AttemptHistoryRow)


def first_of(attempts: tuple[Attempt, ...]) -> list[Attempt]:
    """Return the newest attempt and the newest that ended."""
    ended = [attempt for attempt in attempts if attempt.ended_at is not None]
    return [attempts[0], *(ended[:1] if ended[:1] != [attempts[0]] else [])]


@pytest.mark.parametrize("seed", range(3))
async def test_they_are_the_newest_in_time(world_on_each: World, seed: int) -> None:
    world, draw = world_on_each, random.Random(seed)
    await world.online("host-1", "host-2")
    await world.roll("host-1", "host-2", limits={"max_concurrent": 2})
    await world.update("host-1", NEW)
    await world.update("host-2", NEW)
    rollout = await world.roll("host-1", version=NEWER)
    if seed:
        await world.fail("host-1", NEWER, code=code("START_FAILED"))
        world.left_over[f"rollout/{rollout}"] = (0, 1)
    agents = [world.agent(name).disk.agent_id for name in ("host-1", "host-2")]
    rows: list[dict[str, Any]] = [
        AttemptHistoryRow(
            agent_id=draw.choice(agents), product=PRODUCT, generation=draw.choice((0, 2**62)) + number + 100,
            fleet_id=FLEET, rollout_id=rollout, state="rolled_back", to_version=NEW,
            offered_at=world.clock.now() + timedelta(seconds=draw.randint(-9000, 9000)),
            ended_at=draw.choice((None, world.clock.now())),
        ).model_dump()
        for number in range(6)
    ]  # fmt: skip
    await world.services.store.writer.command(lambda tx: tx.execute(sa.insert(HISTORY), rows))
    async with world.services.store.read() as connection:
        every = await newest_attempts(connection, agents, [FLEET])
        last = await last_attempts(connection, agents, [FLEET])
    assert set(last) == set(agents)
    for agent in agents:
        assert list(last[agent]) == first_of(every[agent]), agent
