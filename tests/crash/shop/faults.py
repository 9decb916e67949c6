"""What goes wrong on a host with a shop beside a kill, at one point of an agent: its disk, its server, its clock.

A disk refuses by itself, as the shim was told. For the others the agent stands at the point until the test has cut the
line, stopped the server, or set the clock.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.crash.real.host import FIRST, SUCCEEDED
from tests.crash.shop.offers import COURSE
from tests.crash.shop.world import ShopHost
from tests.faults.shim_points import CALL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.crash.real.host import Kit
    from tests.crash.real.points import Distinct
    from tests.faults.plans import Act

TEN_YEARS_SECONDS = 3653 * 86400.0
GONE_SECONDS, SILENT_SECONDS, WRONG_SECONDS = 2.0, 6.0, 5.0
QUIET_SECONDS = 0.5
WAITING = "WAITING"
"""The attempt tries again later; what is wanted next takes its place."""
ON_DISK = {"ENOSPC": "enospc", "EIO": "eio", "read-only": "erofs"}


async def gone(host: ShopHost) -> None:
    """Let the server be away for a while."""
    host.line.refusing = True
    host.line.cut()
    host.answer()
    await asyncio.sleep(GONE_SECONDS)
    host.line.refusing = False


async def black_hole(host: ShopHost) -> None:
    """Let everything that is sent be lost, both ways, and no connection end."""
    host.line.black_hole()
    host.answer()
    await asyncio.sleep(SILENT_SECONDS)
    host.line.heal()


async def restarted(host: ShopHost) -> None:
    """Start the server anew: every session ends, and what is wanted is said again in the next one."""
    await host.restart_server()
    host.answer()


async def future(host: ShopHost) -> None:
    """Set the clock ten years ahead."""
    await _wrong(host, TEN_YEARS_SECONDS)


async def past(host: ShopHost) -> None:
    """Set the clock ten years back."""
    await _wrong(host, -TEN_YEARS_SECONDS)


BESIDE: dict[str, Callable[[ShopHost], Awaitable[None]]] = {
    "clock +10 years": future,
    "clock -10 years": past,
    "server gone": gone,
    "server silent": black_hole,
    "server restarted": restarted,
}
FAULTS = (*ON_DISK, *BESIDE)


@dataclass(frozen=True)
class Case:
    """One fault at one point."""

    at: Distinct
    fault: str

    @property
    def act(self) -> Act:
        """Return what the shim does."""
        return self.at.point.act(ON_DISK.get(self.fault, CALL), sticky=self.fault in ("ENOSPC", "read-only"))

    def __str__(self) -> str:
        """Return a name for people."""
        return f"{self.fault} at {self.at.point} in state {self.at.state!r}"


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
        await host.until(lambda: host.shop_record().attempt is None, "the end")
        await asyncio.sleep(QUIET_SECONDS)
        await host.check_end()
        return first


async def _wrong(host: ShopHost, seconds: float) -> None:
    """Set the clock wrong for a while; in sessions that begin meanwhile nothing may start, and the shop runs on."""
    (host.plan.folder / "clock").write_text(str(seconds))
    host.line.cut()
    before = len(host.server.sessions)
    host.answer()
    await asyncio.sleep(WRONG_SECONDS)
    heard = [message for session in host.server.sessions[before:] for message in session.heard]
    assert not any(message.HasField("request_go") for message in heard), "it asks for Go under a wrong clock"
    await host.check_serving()
    (host.plan.folder / "clock").unlink()
    host.line.cut()


def allowed(fault: str) -> frozenset[str]:
    """Return what may become of the attempt that was struck: a disk may cost it, a server and a clock may not."""
    first = COURSE[0].undisturbed
    lost = {WAITING, "FAILED", "FAILED unproven", "ROLLED_BACK unproven"}
    return frozenset({first, *lost}) if fault in ON_DISK else frozenset({first})
