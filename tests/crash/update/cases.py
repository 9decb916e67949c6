"""Updates whose disk refuses once, each on a host of its own."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.crash.real.host import FIRST
from tests.crash.real.points import of_roles
from tests.crash.update.verdicts import check_end
from tests.crash.update.world import NEW, UpdatingHost

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.real.host import Kit
    from tests.crash.real.points import Distinct, Seen

QUIET_SECONDS = 1.0
"""After the result, for what follows it: hints, tidying, the last acknowledgements."""
LATE_SECONDS = 3.0
"""For a point that comes after the result."""


@dataclass(frozen=True)
class Case:
    """One disturbance: how the disk refuses where."""

    at: Distinct
    do: str

    def __str__(self) -> str:
        """Return a name for people."""
        return f"{self.do} at {self.at.point}"


async def traced(kit: Kit, folder: Path) -> list[Seen]:
    """Return the points of an undisturbed update, from the launcher's start to the quiet after the result."""
    async with UpdatingHost(kit, folder) as host:
        await host.until(lambda: host.ended(FIRST), "the result")
        await asyncio.sleep(QUIET_SECONDS)
        assert host.ended(FIRST) == "SUCCEEDED"
        check_end(host, NEW)
        return of_roles(host.lines(), host.records)


async def refuse(kit: Kit, folder: Path, case: Case) -> str:
    """Let the disk refuse once at one point; return what became of the attempt before it was superseded."""
    async with UpdatingHost(kit, folder, case.at.point.act(case.do)) as host:
        await host.until(lambda: host.ended(FIRST) or host.waits(), "a result, or a wait")
        if not await happened(host):
            return ""
        first = host.ended(FIRST) or "WAITING"
        second = await again(host, first)
        assert second == ("CANCELLED" if first == "SUCCEEDED" else "SUCCEEDED"), (first, second)
        check_end(host, NEW)
        return first


async def happened(host: UpdatingHost) -> bool:
    """Tell whether what was to go wrong did; points behind the result get a moment."""
    end = time.monotonic() + LATE_SECONDS
    while not host.plan.happened() and time.monotonic() < end:
        await asyncio.sleep(0.05)
    return host.plan.happened()


async def again(host: UpdatingHost, first: str) -> str:
    """Assign the same version once more, with a person's consent to a digest that was put back; return the result."""
    host.assign(FIRST + 1, retry_bad=first in ("ROLLED_BACK", "FAILED"))
    await host.until(lambda: host.ended(FIRST + 1), "the second result")
    await host.until(lambda: host.ended(FIRST), "the first result")
    await host.until(lambda: len(host.living()) == 1, "one agent")
    return host.ended(FIRST + 1)
