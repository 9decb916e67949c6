"""What one report costs the server, in a rollout of 1,000 hosts and in one of 100,000.

Run by ``make bench-engine``. A whole server on SQLite (``synchronous=FULL``), eight hosts over real streams, and so
many others in the same rollout that wait offline. Every job of the writer that one of the eight brings about, from its
offer to its success, is counted: statements, steps of the database's own machine (they do not depend on what else this
computer does), and time. The last job completes the rollout: once, it reads the hosts that are left.

Ends with one line of JSON: the medians of each, and the ratios of the large fleet to the small one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog

from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.ids import SystemIds
from fleetroll_server.domain.states import AttemptState
from fleetroll_server.domain.summary import HostView, count
from fleetroll_server.engine import engine
from fleetroll_server.engine.probing import prober
from fleetroll_server.init import InitRequest, initialise
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, RolloutHostRow, WaveRow, table_of
from fleetroll_server.store.tx import Tx
from tests.faults.stocking import stock_up
from tests.faults.stocks import HOSTS
from tests.faults.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.stocks import Stock

SIZES = (1_000, 100_000)
AT_ONCE = 2_000
STEPS_EACH = 10
"""The database tells of its steps in tens."""
WHY = "a measurement"
HOST, AGENT, WAVE = table_of(RolloutHostRow), table_of(AgentRow), table_of(WaveRow)


@dataclass
class Costs:
    """What each job of the writer cost."""

    statements: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def medians(self) -> dict[str, float]:
        """Return the medians, the time in milliseconds."""
        return {
            "jobs": len(self.steps),
            "statements": statistics.median(self.statements),
            "steps": statistics.median(self.steps),
            "steps_most": max(self.steps),
            "milliseconds": round(1000 * statistics.median(self.seconds), 3),
        }


class Meter:
    """Counts what the writer's jobs do while it is on."""

    def __init__(self, world: World) -> None:
        """Stand between the writer and its database."""
        self.costs, self.on = Costs(), False
        self._statements, self._steps = 0, 0
        self._transactions = world.services.store.writer._transactions  # noqa: SLF001 (where jobs run)
        self._run, self._execute = self._transactions._run_job, Tx.execute  # noqa: SLF001
        self._transactions._run_job = self._job  # noqa: SLF001
        meter = self

        async def counted(tx: Tx, statement: Any, parameters: Any = None) -> Any:  # noqa: ANN401 (passed on)
            meter._statements += 1
            return await meter._execute(tx, statement, parameters)

        Tx.execute = counted  # type: ignore[assignment,method-assign]  # put back by close

    def close(self) -> None:
        """Stand in between no longer."""
        Tx.execute = self._execute  # type: ignore[method-assign]

    def _step(self) -> int:
        self._steps += 1
        return 0

    async def _job(self, connection: Any, request: Any, job_seconds: float) -> Any:  # noqa: ANN401 (passed on)
        raw = (await connection.get_raw_connection()).driver_connection
        await raw.set_progress_handler(self._step, STEPS_EACH)
        self._statements, self._steps, began = 0, 0, time.perf_counter()
        outcome = await self._run(connection, request, job_seconds)
        if self.on:
            self.costs.seconds.append(time.perf_counter() - began)
            self.costs.statements.append(self._statements)
            self.costs.steps.append(STEPS_EACH * self._steps)
        return outcome


def _parts(hosts: int) -> Iterator[range]:
    for first in range(0, hosts, AT_ONCE):
        yield range(first, min(first + AT_ONCE, hosts))


async def crowd(world: World, rollout: str, hosts: int) -> None:
    """Put offline hosts into the first wave of a rollout, as its start and their turn would have."""
    like = (await world.rows(RolloutHostRow, rollout_id=rollout))[0]
    (agent,) = await world.rows(AgentRow, id=like["agent_id"])
    fresh = {"state": AttemptState.PENDING.value, "waiting": "HOST_OFFLINE", "generation": None, "deadline": None}
    for numbers in _parts(hosts):
        names = [f"crowd-{number:06}" for number in numbers]
        agents = [{**agent, "server_id": "", "id": n, "name": n, "public_key": n.encode().ljust(32)} for n in names]
        rows = [
            {**like, **fresh, "agent_id": n, "name": n, "position": HOSTS + at}
            for n, at in zip(names, numbers, strict=True)
        ]

        async def write(tx: Tx, agents: list[Any] = agents, rows: list[Any] = rows) -> None:
            await tx.execute(sa.insert(AGENT), agents)
            await tx.execute(sa.insert(HOST), rows)

        await world.services.store.writer.command(write)

    async def counted(tx: Tx) -> None:
        query = every_fleet(sa.select(HOST).where(HOST.c.rollout_id == rollout), WHY)
        found = (await tx.execute(query)).mappings()
        views = (HostView(AttemptState(row["state"]), row["waiting"] == "HOST_OFFLINE") for row in found)
        change = sa.update(WAVE).where(WAVE.c.rollout_id == rollout)
        await tx.execute(every_fleet(change.values(counters=count(views).to_json(), planned=hosts + HOSTS), WHY))

    await world.services.store.writer.command(counted)


async def measure(stock: Stock, folder: Path, hosts: int) -> Costs:
    """Update eight hosts in a rollout of so many."""
    world = World(stock.copy(folder))
    await world.start()
    meter = Meter(world)
    try:
        names = [f"host-{number}" for number in range(1, HOSTS + 1)]
        await world.online(*names)
        rollout = await world.roll(*names, limits={"max_concurrent": 1})
        await crowd(world, rollout, hosts - HOSTS)
        meter.on = True
        for name in names:
            await world.update(name)
        meter.on = False
    finally:
        meter.close()
        await world.stop()
    return meter.costs


async def run(sizes: tuple[int, ...], folder: Path) -> list[dict[str, float]]:
    """Measure each size on a copy of the same installation."""
    engine.SWEEP_SECONDS, prober.LOOK_SECONDS = 3600.0, 3600.0
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    request = InitRequest(data=folder / "data", root_keys=folder / "root-keys", demo=True)
    made = await asyncio.to_thread(initialise, request, SystemClock(), SystemIds())
    stock = await stock_up(folder / "data", made.admin_token, folder / "spare")
    found = []
    for size in sizes:
        medians = (await measure(stock, folder / str(size), size)).medians()
        sys.stdout.write(
            f"{size:>7,} hosts: " + ", ".join(f"{name} {value:g}" for name, value in medians.items()) + "\n"
        )
        sys.stdout.flush()
        found.append(medians)
    return found


def main() -> int:
    """Measure, print, and fail when a report costs twice as much in the large fleet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, nargs=2, default=SIZES, help="sizes of the two fleets")
    parser.add_argument("--folder", type=Path, help="where the databases lie; default: below the temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        small, large = asyncio.run(run(tuple(arguments.hosts), Path(name)))
    ratios = {name: round(large[name] / small[name], 3) for name in ("statements", "steps", "milliseconds")}
    sys.stdout.write(
        json.dumps({"hosts": list(arguments.hosts), "small": small, "large": large, "ratios": ratios}) + "\n"
    )
    return 0 if max(ratios["statements"], ratios["steps"]) < 2 else 1  # noqa: PLR2004 (the promise)


if __name__ == "__main__":
    sys.exit(main())
