"""Cases that have a host of their own each: some at a time; every failure is told with its case."""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

C = TypeVar("C")
AT_ONCE = 5


@dataclass
class Tally(Generic[C]):
    """What came of the cases."""

    run: list[C] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


async def run(
    cases: Sequence[C], one: Callable[[Path, C], Awaitable[str]], room: Path, minutes: float = 0.0
) -> Tally[C]:
    """Run ``cases``, ``AT_ONCE`` at a time, and none begins after ``minutes`` (0 = all of them).

    Args:
        cases: in the order in which they begin.
        one: runs one of them in a new folder; returns what became of it, nothing where it did not come about.
        room: for the folders.
        minutes: until no other begins.
    """
    tally, places = Tally[C](), asyncio.Semaphore(AT_ONCE)
    end = time.monotonic() + minutes * 60 if minutes else float("inf")

    async def place(number: int, case: C) -> None:
        async with places:
            if time.monotonic() > end:
                return
            folder = room / f"host-{number}"
            tally.run.append(case)
            try:
                result = await one(folder, case)
            except AssertionError as error:
                tally.faults.append(f"{case}: {error}")
            else:
                (tally.results if result else tally.missed).append(result or str(case))
            finally:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async with asyncio.TaskGroup() as group:
        for number, case in enumerate(cases):
            group.create_task(place(number, case))
    return tally
