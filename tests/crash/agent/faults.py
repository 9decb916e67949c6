"""What goes wrong with the agent's own update: as with any product, but that two processes can die, or both at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tests.crash.products.faults import CLOCKS, CRASH, OF_SERVER, ON_DISK, VICTIMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.crash.agent.host import Host


def kill(victims: frozenset[str], host: Host) -> None:
    """Kill processes; what they had begun on the disk stays as it is."""
    host.kill(victims)


KILLS: dict[str, Callable[[Host], None]] = {
    name: partial(kill, victims) for name, victims in VICTIMS.items() if name != CRASH
}
FAULTS: dict[str, Callable[[Any], None]] = {**KILLS, **ON_DISK, **CLOCKS, **OF_SERVER}
