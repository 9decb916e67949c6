"""One fault beside a kill on a host with a shop, and what it may cost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.crash.real.beside import BESIDE
from tests.crash.real.host import FIRST, SUCCEEDED
from tests.crash.shop.offers import COURSE
from tests.crash.shop.world import ShopHost

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.real.beside import Case
    from tests.crash.real.host import Kit

QUIET_SECONDS = 0.5
WAITING = "WAITING"
"""The attempt tries again later; what is wanted next takes its place."""
ON_DISK = ("ENOSPC", "EIO", "read-only")
FAULTS = (*ON_DISK, *BESIDE)


async def run_case(kit: Kit, kind: str, folder: Path, case: Case) -> str:
    """Let it go wrong once; return what became of the attempt, nothing where the point did not come.

    Raises:
        AssertionError: something is not as it must be; the next update has to succeed as well.
    """
    async with ShopHost(kit, folder, case.act, kind=kind) as host:
        await host.until(lambda: host.plan.happened() or host.ended(FIRST), "the point")
        if not host.plan.happened():
            return ""
        if case.fault in BESIDE:
            await BESIDE[case.fault](host)
        await host.until(lambda: host.ended(FIRST) or (case.fault in ON_DISK and host.waits()), "the result, or a wait")
        first = host.result_of(FIRST) or WAITING
        assert first in allowed(case.fault), f"{first}\n{host.story()}"
        host.offer(COURSE[0] if first != SUCCEEDED else COURSE[2], retry_bad=True)
        await host.until(lambda: host.ended(host.assigned), "the second result")
        assert host.ended(host.assigned) == SUCCEEDED, host.story()
        await host.until(lambda: host.ended(FIRST), "the first result")
        await host.until(lambda: host.product_record().attempt is None, "the end")
        await asyncio.sleep(QUIET_SECONDS)
        await host.check_end()
        return first


def allowed(fault: str) -> frozenset[str]:
    """Return what may become of the attempt that was struck: a disk may cost it, a server and a clock may not."""
    first = COURSE[0].undisturbed
    lost = {WAITING, "FAILED", "FAILED unproven", "ROLLED_BACK unproven"}
    return frozenset({first, *lost}) if fault in ON_DISK else frozenset({first})
