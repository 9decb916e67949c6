"""All wanted kills of one proof, spread over the lives of some hosts that run at the same time.

Each host is killed at the first point it comes to that nobody was killed at yet, is judged when it has come up again,
and goes on to the next; after some kills it is left alone and must end on a new version. The first points of a fresh
host come once in its life, so there are about as many hosts as there are of those.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.crash.real.lives import Life
from tests.faults.plans import Chase
from tests.faults.shim_hunt import NOBODY, numbers_had

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.crash.real.host import RealHost
    from tests.crash.real.kill import Kill

AT_ONCE = 5
CHOSEN_AT_ONCE = 60
"""So many of a lot are hunted by the same hosts: few enough that a host comes far before it is killed."""
NTH = 3
"""Where the arrival stands in a quarry's words."""
IN_VAIN = 2
"""Lives without a kill, in a row: then what is left does not come."""


@dataclass
class Bag:
    """What came of a hunt.

    Attributes:
        kills: that happened and were judged.
        nobody: quarries at which the victim did not exist.
        results: of all attempts.
        lives: hosts that lived to their end.
        left: quarries that did not come.
        faults: what was wrong with a host.
    """

    kills: list[Kill] = field(default_factory=list)
    nobody: int = 0
    results: list[str] = field(default_factory=list)
    lives: int = 0
    left: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def add(self, other: Bag) -> None:
        """Take what came of another hunt as well."""
        for name in ("kills", "results", "left", "faults"):
            getattr(self, name).extend(getattr(other, name))
        self.nobody += other.nobody
        self.lives += other.lives


async def hunt(
    make: Callable[[Path, Chase], RealHost],
    room: Path,
    quarries: Sequence[list[object]],
    most: int,
    minutes: float = 0.0,
    seed: int = 0,
) -> Bag:
    """Hunt all ``quarries`` in the new folder ``room``, or in so many minutes what a lot by ``seed`` chooses."""
    if not minutes:
        return await HuntingGround(make, room, quarries, most).run()
    room.mkdir()
    mixed = random.Random(seed).sample(list(quarries), len(quarries))
    bag, end = Bag(), time.monotonic() + minutes * 60
    for start in range(0, len(mixed), CHOSEN_AT_ONCE):
        seconds = end - time.monotonic()
        if seconds <= 0:
            break
        ground = HuntingGround(make, room / str(start), mixed[start : start + CHOSEN_AT_ONCE], most)
        bag.add(await ground.run(seconds))
    return bag


class HuntingGround:
    """Runs hosts until every quarry was had, no more come, or the time is over."""

    def __init__(
        self, make: Callable[[Path, Chase], RealHost], room: Path, quarries: Sequence[list[object]], most: int
    ) -> None:
        """Hunt in the new folder ``room``; at most ``most`` kills in one life of a host that ``make`` makes."""
        self._make = make
        self._room = room
        self._quarries = quarries
        self._most = most
        room.mkdir()
        self._chase = Chase(room / "wanted.json", room / "had")
        self._chase.had.touch()
        self._write(any_arrival=False)
        self._vain = 0
        self._started = 0
        self.bag = Bag()

    async def run(self, seconds: float = float("inf")) -> Bag:
        """Hunt; what did not come at the arrival that the lot chose is then taken at any."""
        end = time.monotonic() + seconds
        await self._round(end)
        if any(self._quarries[number][NTH] != 1 for number in self._left()):
            self._write(any_arrival=True)
            await self._round(end)
        self.bag.nobody = sum(how == NOBODY for how in self._had().values())
        self.bag.left = [str(self._quarries[number]) for number in self._left()]
        return self.bag

    async def _round(self, end: float) -> None:
        """Let hosts live, never more at a time than there are quarries left."""
        self._vain = 0
        living: set[asyncio.Task[None]] = set()
        while True:
            if len(living) < min(AT_ONCE, len(self._left())) and self._vain < IN_VAIN and time.monotonic() < end:
                self._started += 1
                living.add(asyncio.create_task(self._live(self._room / f"host-{self._started}", end)))
            elif living:
                ended, living = await asyncio.wait(living, return_when=asyncio.FIRST_COMPLETED)
                for life in ended:
                    life.result()
            else:
                return

    async def _live(self, folder: Path, end: float) -> None:
        bag = self.bag
        host = self._make(folder, self._chase)
        life = Life(host, self._most, end, lambda: bool(self._left()))
        try:
            async with host:
                bag.results += await life.run()
        except AssertionError as error:
            bag.faults.append(f"{folder.name}: {error}\n{host.story()}")
        kills = host.kills()
        self._give_back(host.claims() - {kill.number for kill in kills})
        bag.kills += kills
        bag.lives += 1
        self._vain = 0 if kills else self._vain + 1
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _give_back(self, numbers: set[int]) -> None:
        """Let quarries be wanted again whose process ended by itself before it was killed."""
        with self._chase.had.open("a") as had:
            had.writelines(f"{number} back\n" for number in sorted(numbers))

    def _had(self) -> dict[int, str]:
        return numbers_had(self._chase.had.read_text())

    def _left(self) -> list[int]:
        had = self._had()
        return [number for number in range(len(self._quarries)) if number not in had]

    def _write(self, *, any_arrival: bool) -> None:
        quarries = [[*words[:NTH], 1 if any_arrival else words[NTH], *words[NTH + 1 :]] for words in self._quarries]
        self._chase.wanted.write_text(json.dumps(quarries))
