"""One race of a halt: hosts that ask for Go without a pause, and the report that breaks the limit."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll_server.store.tables import EventRow
from tests.faults.virtual_disk import code, code_name

if TYPE_CHECKING:
    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World

HOSTS = 8
AT_ONCE = 5
"""Past Go at the same time: who has it asks again and gets it again, who has not is refused for want of room."""


@dataclass(frozen=True, slots=True)
class Race:
    """How it went.

    Attributes:
        gos: permits that were given before the halt.
        gos_after: permits that were committed after it: there must be none.
        refused: hosts that were told that the rollout stands.
        commit_seconds: from the report's being sent to the commit of the halt, as far as its reader sees it.
        last_go_seconds: from the report's being sent to the last permit's arrival; below zero when it was before.
    """

    gos: int
    gos_after: int
    refused: int
    commit_seconds: float
    last_go_seconds: float


async def race(world: World) -> Race:
    """Halt a rollout under hosts that ask for Go; the world must be fresh.

    Raises:
        TimeoutError: it does not halt, or a host is not told.
    """
    names = [f"host-{number}" for number in range(1, HOSTS + 1)]
    await world.online(*names)
    rollout = await world.roll(*names, limits={"max_concurrent": AT_ONCE})
    for name in names:
        await world.staged(name)
    first, *others = (world.agent(name) for name in names)
    await first.granted()
    await first.report("applying", step="restart")
    arrivals: list[float] = []
    asking = [asyncio.create_task(_ask_on(agent, arrivals)) for agent in others]
    while len(arrivals) < HOSTS:  # the race is on
        await asyncio.sleep(0.001)
    halted: list[float] = []
    watching = asyncio.create_task(_when_halted(world, rollout, halted))
    sent = time.monotonic()
    await first.report("rolled_back", code=code("HEALTH_FAILED"))
    async with asyncio.timeout(20):
        told = await asyncio.gather(*asking)
        await watching
    gos, after = await _order(world, rollout)
    return Race(gos, after, sum(told), halted[0] - sent, max(arrivals) - sent)


async def _ask_on(agent: VirtualAgent, arrivals: list[float]) -> bool:
    """Ask until the answer is that the rollout stands."""
    while True:
        answer = await agent.ask()
        if isinstance(answer, stream_pb2.Go):
            arrivals.append(time.monotonic())
        elif code_name(answer.code) != "BUDGET":
            return code_name(answer.code) == "PAUSED"


async def _when_halted(world: World, rollout: str, halted: list[float]) -> None:
    while await world.state(rollout) != "HALTED":
        await asyncio.sleep(0)
    halted.append(time.monotonic())


async def _order(world: World, rollout: str) -> tuple[int, int]:
    """Return how many permits were committed before the halt, and how many after it, by the order of the log."""
    facts = await world.rows(EventRow, rollout_id=rollout)
    (halt,) = (row["sequence"] for row in facts if row["kind"] == "rollout.state" and row["message"] == "halted")
    gos = [row["sequence"] for row in facts if row["attempt_state"] == "granted"]
    return sum(one < halt for one in gos), sum(one > halt for one in gos)
