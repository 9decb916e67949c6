"""What goes wrong, each at one point: the process, the disk, the clock, the server."""

from __future__ import annotations

import errno
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.crash.products import points
from tests.crash.products.points import ALONE, full, read_only
from tests.crash.products.releases import NEXT
from tests.crash.products.upstream import DEAF_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from tests.crash.products.host import Host
    from tests.crash.products.points import Points
    from tests.crash.products.upstream import Server
    from tests.crash.products.virtual import VirtualClock, VirtualLoop

    class Struck(Protocol):
        """What a fault strikes, whatever the model has on it."""

        @property
        def loop(self) -> VirtualLoop:
            """Its time."""

        @property
        def clock(self) -> VirtualClock:
            """Its clocks."""

        @property
        def server(self) -> Server:
            """Its server."""

        @property
        def points(self) -> Points:
            """Its effects and messages."""

        @property
        def wrong_seconds(self) -> float:
            """How long its clock is wrong; in the middle of it the server wants something new."""

        def wish(self, generation: int, version: str) -> None:
            """Let the server want something else."""


DISK_SECONDS = 30.0
"""How long a disk is full, or read-only."""
GONE_SECONDS, SILENT_SECONDS = 300.0, 90.0
TEN_YEARS = timedelta(days=3653)
LATER = 8
"""Generation of what is wanted meanwhile."""


def crash(host: Host) -> None:
    """Kill the agent; what it had begun on the disk stays as it is."""
    host.die()


def enospc(host: Struck) -> None:
    """Let the disk be full for a while."""
    _refuse_for(host, full)


def erofs(host: Struck) -> None:
    """Let the file system be read-only for a while."""
    _refuse_for(host, read_only)


def eio(host: Struck) -> None:
    """Let the next change of the disk fail, once."""

    def once(_kind: str) -> int:
        host.points.refusal = _nothing
        return errno.EIO

    host.points.refusal = once


def future(host: Struck) -> None:
    """Set the clock ten years ahead."""
    _set_clock(host, TEN_YEARS)


def past(host: Struck) -> None:
    """Set the clock ten years back."""
    _set_clock(host, -TEN_YEARS)


def gone(host: Struck) -> None:
    """Let the server go away."""
    host.server.away_until = host.loop.at + GONE_SECONDS
    host.server.close()


def black_hole(host: Struck) -> None:
    """Let every message be lost, both ways, and no connection end; the agent gives up by itself."""
    host.server.silent_until = host.loop.at + SILENT_SECONDS
    host.loop.call_later(DEAF_SECONDS, host.server.close)


def restarted(host: Struck) -> None:
    """Start the server anew: the session ends, and what is wanted is said again in the next one."""
    host.server.away_until = host.loop.at + 1.0
    host.server.close()


CRASH, FULL = "crash", "ENOSPC"
AGENT, LAUNCHER = "agent", "launcher"
VICTIMS = {
    CRASH: frozenset({ALONE}),
    "agent killed": frozenset({AGENT}),
    "launcher killed": frozenset({LAUNCHER}),
    "both killed": frozenset({AGENT, LAUNCHER}),
}
"""Which processes end by a fault."""
DISK_KINDS, NEEDS_ROOM = points.ON_DISK, points.NEEDS_ROOM
ON_DISK: dict[str, Callable[[Struck], None]] = {FULL: enospc, "EIO": eio, "read-only": erofs}
CLOCKS: dict[str, Callable[[Struck], None]] = {"clock +10 years": future, "clock -10 years": past}
OF_SERVER: dict[str, Callable[[Struck], None]] = {
    "server gone": gone,
    "server silent": black_hole,
    "server restarted": restarted,
}
FAULTS: dict[str, Callable[[Host], None]] = {CRASH: crash, **ON_DISK, **CLOCKS, **OF_SERVER}


def _nothing(_kind: str) -> int:
    return 0


def _refuse_for(host: Struck, refusal: Callable[[str], int]) -> None:
    end = host.loop.at + DISK_SECONDS
    host.points.refusal = lambda kind: refusal(kind) if host.loop.at < end else 0


def _set_clock(host: Struck, by: timedelta) -> None:
    """Set the clock wrong; the next session notices, and one begins."""
    host.clock.wrong_by = by
    host.server.close()
    if host.server.wants is not None:
        host.loop.call_later(host.wrong_seconds / 2, host.wish, LATER, NEXT)
    host.loop.call_later(host.wrong_seconds, _set_right, host)


def _set_right(host: Struck) -> None:
    host.clock.wrong_by = timedelta()
    host.server.close()
