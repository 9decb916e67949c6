"""What watching costs the server: processor time and delay, beside the same changes with nobody watching.

Run by ``make bench-events``. A store in a temporary folder is filled with hosts; then events that touch random hosts
are committed at a steady rate, first without a watcher, then with some. Each number is of this process alone, writer
included; ratios are to the run without watchers beside it. Two sizes of the fleet show that the work does not grow with
it.

Ends with one line of JSON: rates in changes per second, ``cpu`` in seconds of processor per second, ``lag`` in seconds
from a commit until a watcher has the message in its hands, ``missed`` what a watcher that was too slow is not told.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll_common.values.clock import SystemClock
from fleetroll_server.events.hub import Hub
from fleetroll_server.events.inbox import TooSlowError
from fleetroll_server.events.standing import pages
from fleetroll_server.events.watched import Subject, Watched
from fleetroll_server.rpc.convert_events import changes_to_wire, snapshot_to_wire
from fleetroll_server.store import EventFact, Store
from fleetroll_server.store.tables import AgentRow, AssignmentRow, FleetRow, HostProductRow, table_of

if TYPE_CHECKING:
    from fleetroll_server.store import Tx

FLEET = "default"
EVERY_SECONDS = 0.01
"""Between two groups of changes, as a busy server commits them."""


async def fill(store: Store, hosts: int) -> None:
    """Make a fleet."""
    now = SystemClock().now()
    agent, product, assignment = table_of(AgentRow), table_of(HostProductRow), table_of(AssignmentRow)

    async def job(tx: Tx, first: int, last: int) -> None:
        names = [f"agent-{number:06}" for number in range(first, last)]
        rows = [
            AgentRow(
                id=name, fleet_id=FLEET, name=name, os="linux", arch="x86_64", abi="cp311", labels={"site": "ams"},
                public_key=name.encode(), acked=b"a", enrolled_at=now,
            ).model_dump()
            for name in names
        ]  # fmt: skip
        await tx.execute(sa.insert(agent), rows)
        running = [HostProductRow(agent_id=n, product="agent", fleet_id=FLEET, version="1.0.0") for n in names]
        await tx.execute(sa.insert(product), [row.model_dump() for row in running])
        wanted = [
            AssignmentRow(
                agent_id=n, product="agent", fleet_id=FLEET, generation=1, version="1.0.0",
                actor_kind="engine", actor_id="bench", decided_at=now,
            )
            for n in names
        ]  # fmt: skip
        await tx.execute(sa.insert(assignment), [row.model_dump() for row in wanted])

    made = sa.insert(table_of(FleetRow)).values(id=FLEET, name=FLEET, created_at=now)
    exists = sa.select(table_of(FleetRow).c.id)
    async with store.read() as connection:
        known = (await connection.scalars(exists)).all()
    if FLEET not in known:
        await store.writer.command(lambda tx: tx.execute(made))
    for first in range(0, hosts, 2000):
        await store.writer.command(partial(job, first=first, last=min(first + 2000, hosts)))


class Reader:
    """A watcher that takes all that comes and notes how late it was."""

    def __init__(self) -> None:
        """Know nothing."""
        self.lags: list[float] = []
        self.events = 0
        self.bytes = 0
        self.dropped = 0

    async def run(self, hub: Hub, committed: dict[str, float]) -> None:
        """Read until cancelled."""
        watched = Watched(frozenset({FLEET}), all_fleets=True, subjects=frozenset({Subject.EVENTS, Subject.AGENTS}))
        inbox = hub.join(watched)
        await hub.follow(inbox)
        while True:
            try:
                batch = await inbox.next(10)
            except TooSlowError:
                self.dropped += 1
                inbox.open()
                continue
            if batch is None:
                continue
            for _, changes in changes_to_wire(batch, watched, batch.after):
                self.bytes += len(changes.SerializeToString())
                now = time.monotonic()
                self.events += len(changes.events)
                self.lags += [now - committed[e.message] for e in changes.events if e.message in committed]


async def measure(store: Store, *, hosts: int, rate: int, watchers: int, seconds: float) -> dict[str, Any]:
    """Commit changes for a while with so many watchers; return what it cost."""
    hub, readers = Hub(store, SystemClock()), [Reader() for _ in range(watchers)]
    await hub.start()
    committed: dict[str, float] = {}
    tasks = [asyncio.create_task(reader.run(hub, committed)) for reader in readers]
    await asyncio.sleep(0.5)
    draw, number, began, used = random.Random(1), 0, time.monotonic(), _cpu()
    while (gone := time.monotonic() - began) < seconds:
        due = int(gone * rate) - number
        if due > 0:
            picked = [f"agent-{draw.randrange(hosts):06}" for _ in range(due)]
            name = f"g{number}-{watchers}"

            async def job(tx: Tx, picked: list[str] = picked, name: str = name) -> None:
                for agent in picked:
                    tx.emit(EventFact(FLEET, "agent.online", "engine", "bench", agent_id=agent, message=name))

            await store.writer.report(job)
            committed[name] = time.monotonic()
            number += due
        await asyncio.sleep(EVERY_SECONDS)
    await asyncio.sleep(1.0)
    took, cpu = time.monotonic() - began, _cpu() - used
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await hub.stop()
    lags = sorted(lag for reader in readers for lag in reader.lags)
    missed = sum(number - reader.events for reader in readers)
    return {
        "hosts": hosts,
        "watchers": watchers,
        "changes_per_second": round(number / seconds),
        "cpu": round(cpu / took, 3),
        "lag_p50": _at(lags, 0.5),
        "lag_p99": _at(lags, 0.99),
        "missed": missed,
    }


async def snapshot(store: Store) -> dict[str, Any]:
    """Read one whole snapshot; return what it cost."""
    watched = Watched(frozenset({FLEET}), all_fleets=True, subjects=frozenset({Subject.AGENTS}))
    began, used, size, hosts = time.monotonic(), _cpu(), 0, 0
    async with store.read() as connection:
        async for state in pages(connection, watched, SystemClock().now()):
            for page in snapshot_to_wire(state):
                size += page.ByteSize()
                hosts += len(page.agents)
    return {
        "snapshot_hosts": hosts,
        "seconds": round(time.monotonic() - began, 2),
        "cpu_seconds": round(_cpu() - used, 2),
        "megabytes": round(size / 1e6, 1),
    }


def _at(lags: list[float], share: float) -> float | None:
    """Return the delay that this share of the messages did not exceed."""
    return round(lags[int(len(lags) * share)], 3) if lags else None


def _cpu() -> float:
    """Return the processor time of this process so far."""
    mine = resource.getrusage(resource.RUSAGE_SELF)
    return mine.ru_utime + mine.ru_stime


async def main(rate: int, seconds: float, sizes: list[int]) -> None:
    """Measure fleets of each size."""
    found: dict[str, Any] = {"rate": rate, "runs": [], "snapshots": []}
    for hosts in sizes:
        with tempfile.TemporaryDirectory(prefix="fleetroll-bench-") as folder:
            store = await Store.open(f"sqlite+aiosqlite:///{Path(folder) / 'bench.db'}", SystemClock())
            try:
                await fill(store, hosts)
                alone = 0.0
                for watchers in (0, 1, 8):
                    run = await measure(store, hosts=hosts, rate=rate, watchers=watchers, seconds=seconds)
                    alone = alone or run["cpu"]
                    run["ratio"] = round(run["cpu"] / alone, 2)
                    found["runs"].append(run)
                    sys.stdout.write(
                        f"{hosts:7} hosts, {run['changes_per_second']:5} changes/s, {watchers} watching: "
                        f"{run['cpu']:.2f} of a core ({run['ratio']} x nobody), "
                        f"lag p50 {run['lag_p50']} s, p99 {run['lag_p99']} s, {run['missed']} missed\n"
                    )
                found["snapshots"].append(await snapshot(store))
            finally:
                await store.close()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rate", type=int, default=1000, help="changes per second (1000)")
    options.add_argument("--seconds", type=float, default=10.0, help="of each run (10)")
    options.add_argument("--hosts", type=int, nargs="+", default=[1000, 50_000], help="sizes of the fleet")
    given = options.parse_args()
    asyncio.run(main(given.rate, given.seconds, given.hosts))
