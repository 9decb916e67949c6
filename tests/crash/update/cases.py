"""Updates beside which one thing goes wrong, each on a host of its own."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tests.crash.real.beside import BESIDE
from tests.crash.real.host import FIRST, SUCCEEDED
from tests.crash.real.points import of_roles
from tests.crash.update.verdicts import check_end
from tests.crash.update.world import NEW, UpdatingHost

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.real.beside import Case
    from tests.crash.real.host import Kit
    from tests.crash.real.points import Seen

QUIET_SECONDS = 1.0
"""After the result, for what follows it: hints, tidying, the last acknowledgements."""
LATE_SECONDS = 3.0
"""For a point that comes after the result."""


async def traced(kit: Kit, folder: Path) -> list[Seen]:
    """Return the points of an undisturbed update, from the launcher's start to the quiet after the result."""
    async with UpdatingHost(kit, folder) as host:
        await host.until(lambda: host.ended(FIRST), "the result")
        await asyncio.sleep(QUIET_SECONDS)
        assert host.ended(FIRST) == SUCCEEDED
        check_end(host, NEW)
        return of_roles(host.lines(), host.records)


async def disturb(kit: Kit, folder: Path, case: Case) -> str:
    """Let it go wrong once; return what became of the attempt before it was superseded, nothing where it did not come.

    Raises:
        AssertionError: something is not as it must be; a disk may cost the attempt, a server and a clock may not.
    """
    async with UpdatingHost(kit, folder, case.act) as host:
        if case.fault in BESIDE:
            if not await happened(host):
                return ""
            await BESIDE[case.fault](host)
            await host.until(lambda: host.ended(FIRST), "the result")
            assert host.result_of(FIRST) == SUCCEEDED, f"{host.result_of(FIRST)}\n{host.story()}"
        else:
            await host.until(lambda: host.ended(FIRST) or host.waits(), "a result, or a wait")
            if not await happened(host):
                return ""
        first = host.ended(FIRST) or "WAITING"
        second = await again(host, first)
        assert second == ("CANCELLED" if first == SUCCEEDED else SUCCEEDED), (first, second)
        check_end(host, NEW)
        return first


async def happened(host: UpdatingHost) -> bool:
    """Tell whether what was to go wrong does; points behind the result get a moment."""
    await host.until(lambda: host.plan.happened() or host.ended(FIRST), "the point")
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
