"""Every check, in the order in which a person would look: settings, agent, identity, server, files, products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_agent.doctor import agent, attempts, configuration, disk, identity, mirrors, places, records, server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fleetroll_agent.doctor.host import Host
    from fleetroll_agent.doctor.values import Finding

SECONDS = 30.0
"""Of one check: those that ask the network have limits of their own, well below."""
READING_SECONDS = 600.0
"""Of those that read every byte of what is installed."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        look: returns what it finds; it changes nothing.
        seconds: after which it counts as failed.
    """

    look: Callable[[Host], Iterable[Finding]]
    seconds: float = SECONDS

    @property
    def name(self) -> str:
        """Return what it is called where it fails itself."""
        return f"{self.look.__module__.rpartition('.')[2]}.{self.look.__name__}"


CHECKS = (
    Check(configuration.settings),
    Check(agent.runs),
    Check(agent.refuses),
    Check(agent.launcher),
    Check(agent.python, 60.0),  # it starts interpreters, which may take 10 s each
    Check(agent.release),
    Check(agent.service),
    Check(agent.left_behind),
    Check(identity.enrolled),
    Check(identity.anchored),
    Check(identity.private),
    Check(identity.key_age),
    Check(identity.authority),
    Check(server.reachable),
    Check(server.last_session),
    Check(server.quarantine),
    Check(server.clock),
    Check(mirrors.mirrors),
    Check(disk.writable),
    Check(disk.room),
    Check(records.boot),
    Check(records.products),
    Check(records.journal),
    Check(records.trust),
    Check(records.set_aside),
    Check(places.replaceable),
    Check(places.slots, READING_SECONDS),
    Check(places.kept_by_processes),
    Check(places.in_place, READING_SECONDS),
    Check(attempts.last_attempts),
    Check(attempts.holds),
)
