"""What a hello says about the host, and how a stream ended, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetroll_agent.identity.facts import WelcomeReceipt
    from fleetroll_agent.jobs.overrides import Override
    from fleetroll_agent.jobs.summary import AttemptFact
    from fleetroll_common.values.codes import Code
    from fleetroll_common.values.platform import Platform


@dataclass(frozen=True, slots=True)
class ProductFacts:
    """One product as a hello lists it, with its attempts. Attributes as the contract's ProductState, digests in hex."""

    product: str
    version: str
    sha256: str
    highest_generation: int
    previous_version: str = ""
    on_trial: bool = False
    healthy: bool = True
    note: str = ""
    attempts: tuple[AttemptFact, ...] = ()
    override: Override | None = None


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The state of the host at one hello. Attributes as the contract's HelloPayload.

    ``agent_version`` empty: nothing is installed yet, and no product is listed.
    """

    host_name: str
    platform: Platform
    labels: dict[str, str]
    time_zone: str
    disk_free_bytes: int
    boot_id: str
    agent_version: str
    products: tuple[ProductFacts, ...]
    journal_id: str
    receipt: WelcomeReceipt | None
    timestamp_version: int
    container_marker: str = ""
    check_in_seconds: float | None = None
    """How often this host checks in; None = it holds its stream."""
    anchors_serial: int = 0


class End(str, Enum):
    """How a stream ended."""

    UNREACHABLE = "unreachable"
    """No connection, or no answer within its time."""
    REFUSED = "refused"
    """The server said no, with a code."""
    LOST = "lost"
    """An open session broke off."""
    DRAINED = "drained"
    """The server asked this host to come back later."""
    RENEWED = "renewed"
    """This host ends the stream to speak with its new key on the next one."""
    VISITED = "visited"
    """A host that does not hold its stream had nothing left to say or to do."""
    LEFT = "left"
    """This host said goodbye."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of one stream.

    Attributes:
        kind: how.
        code: the server's reason, where it gave one.
        message: in words, for the log.
        retry_after_seconds: not before that time has passed; None = the host's own back-off.
        opened: the session was open before.
    """

    kind: End
    code: Code | None = None
    message: str = field(default="", compare=False)
    retry_after_seconds: float | None = None
    opened: bool = False
