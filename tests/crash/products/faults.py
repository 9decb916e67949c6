"""What goes wrong, each at one point: the process, the disk, the clock, the server."""

from __future__ import annotations

import errno
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.crash.products import points
from tests.crash.products.points import full, read_only
from tests.crash.products.releases import NEXT
from tests.crash.products.upstream import DEAF_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.crash.products.host import Host

DISK_SECONDS = 30.0
"""How long a disk is full, or read-only."""
GONE_SECONDS, SILENT_SECONDS = 300.0, 90.0
WRONG_SECONDS = 3600.0
"""How long the clock is wrong; in the middle of it the server wants something new."""
TEN_YEARS = timedelta(days=3653)
LATER = 8
"""Generation of what is wanted meanwhile."""


def crash(host: Host) -> None:
    """Kill the agent; what it had begun on the disk stays as it is."""
    host.die()


def enospc(host: Host) -> None:
    """Let the disk be full for a while."""
    _refuse_for(host, full)


def erofs(host: Host) -> None:
    """Let the file system be read-only for a while."""
    _refuse_for(host, read_only)


def eio(host: Host) -> None:
    """Let the next change of the disk fail, once."""

    def once(_kind: str) -> int:
        host.points.refusal = _nothing
        return errno.EIO

    host.points.refusal = once


def future(host: Host) -> None:
    """Set the clock ten years ahead."""
    _set_clock(host, TEN_YEARS)


def past(host: Host) -> None:
    """Set the clock ten years back."""
    _set_clock(host, -TEN_YEARS)


def gone(host: Host) -> None:
    """Let the server go away."""
    host.server.away_until = host.loop.at + GONE_SECONDS
    host.server.close()


def black_hole(host: Host) -> None:
    """Let every message be lost, both ways, and no connection end; the agent gives up by itself."""
    host.server.silent_until = host.loop.at + SILENT_SECONDS
    host.loop.call_later(DEAF_SECONDS, host.server.close)


def restarted(host: Host) -> None:
    """Start the server anew: the session ends, and what is wanted is said again in the next one."""
    host.server.away_until = host.loop.at + 1.0
    host.server.close()


CRASH, FULL = "crash", "ENOSPC"
DISK_KINDS, NEEDS_ROOM = points.ON_DISK, points.NEEDS_ROOM
ON_DISK: dict[str, Callable[[Host], None]] = {FULL: enospc, "EIO": eio, "read-only": erofs}
CLOCKS: dict[str, Callable[[Host], None]] = {"clock +10 years": future, "clock -10 years": past}
OF_SERVER: dict[str, Callable[[Host], None]] = {
    "server gone": gone,
    "server silent": black_hole,
    "server restarted": restarted,
}
FAULTS: dict[str, Callable[[Host], None]] = {CRASH: crash, **ON_DISK, **CLOCKS, **OF_SERVER}


def _nothing(_kind: str) -> int:
    return 0


def _refuse_for(host: Host, refusal: Callable[[str], int]) -> None:
    end = host.loop.at + DISK_SECONDS
    host.points.refusal = lambda kind: refusal(kind) if host.loop.at < end else 0


def _set_clock(host: Host, by: timedelta) -> None:
    """Set the clock wrong; the next session notices, and one begins."""
    host.clock.wrong_by = by
    host.server.close()
    if not host.scenario.by_hand:
        host.loop.call_later(WRONG_SECONDS / 2, host.wish, LATER, NEXT)
    host.loop.call_later(WRONG_SECONDS, _set_right, host)


def _set_right(host: Host) -> None:
    host.clock.wrong_by = timedelta()
    host.server.close()
