"""How long a halt takes: from the report that breaks the limit to the last Go, and whether one was given after it.

Run by ``make bench-halt`` (RUNS=200). Each run is a whole server on SQLite (``synchronous=FULL``) and eight hosts over
real streams; seven of them ask for Go without a pause while the eighth reports that it went back.

Ends with one line of JSON: permits given before the halts and after them (there must be none), and in milliseconds,
from the report's being sent, when the halt was there to be read and when the last permit had arrived. ``baseline`` is
another host's report on the same server that halts nothing: its acknowledgement.
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
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.ids import SystemIds
from fleetroll_server.engine import engine
from fleetroll_server.engine.probing import prober
from fleetroll_server.init import InitRequest, initialise
from tests.faults.halting import Race, race
from tests.faults.stocking import stock_up
from tests.faults.worlds import World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.stocks import Stock

RUNS = 200


async def once(stock: Stock, folder: Path) -> tuple[Race, float]:
    """Run one race on a server of its own; return it, and how long an ordinary report took."""
    world = World(stock.copy(folder))
    await world.start()
    try:
        how = await race(world)
        began = time.monotonic()
        await world.agent("host-2").report("staged")
        return how, time.monotonic() - began
    finally:
        await world.stop()


async def run(runs: int, folder: Path) -> dict[str, object]:
    """Run all races, one after the other."""
    engine.SWEEP_SECONDS, prober.LOOK_SECONDS = 3600.0, 3600.0
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    request = InitRequest(data=folder / "data", root_keys=folder / "root-keys", demo=True)
    made = await asyncio.to_thread(initialise, request, SystemClock(), SystemIds())
    stock = await stock_up(folder / "data", made.admin_token, folder / "spare")
    found = [await once(stock, folder / str(number)) for number in range(runs)]
    races = [how for how, _ in found]
    commits = _milliseconds([how.commit_seconds for how in races])
    return {
        "runs": runs,
        "gos": sum(how.gos for how in races),
        "gos_after": sum(how.gos_after for how in races),
        "commit_ms": commits,
        "last_go_ms": _milliseconds([how.last_go_seconds for how in races]),
        "baseline_ms": (baseline := _milliseconds([seconds for _, seconds in found])),
        "ratio": round(commits["median"] / baseline["median"], 2),
    }


def _milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(1000 * one for one in seconds)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return {"median": round(statistics.median(ordered), 2), "p99": round(p99, 2), "most": round(ordered[-1], 2)}


def main() -> int:
    """Measure, print, and fail when a Go was committed after a halt."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    with tempfile.TemporaryDirectory() as name:
        figures = asyncio.run(run(parser.parse_args().runs, Path(name)))
    sys.stdout.write(f"{json.dumps(figures)}\n")
    return 1 if figures["gos_after"] else 0


if __name__ == "__main__":
    sys.exit(main())
