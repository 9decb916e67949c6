"""What a host says, in the domain's terms: of itself in a hello, of an attempt in a hello or a report, when it asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from fleetroll_common.values.codes import Code
    from fleetroll_server.domain.states import AttemptState


@dataclass(frozen=True, slots=True)
class Said:
    """One statement about an attempt; texts are no longer than the contract allows.

    Attributes:
        product: the product.
        generation: of the assignment; 0 for an attempt that was started on the host.
        state: that the attempt is in.
        code: why it ended or waits.
        message: in words, at most 2000 characters.
        step: within APPLYING.
        output_tail: last lines of the program that did not live, at most 4000 characters.
        time_limit: what the host allows itself until its next word.
        running_version: what runs after this step; empty where it changes nothing.
        sha256: of the target artefact, hex; empty until known.
        unproven: a way back, or a failure before the switch, that nobody proved to be the version's fault.
        retry_at: not before this time, by the host's own rules.
        local: number of an attempt that was started on the host; 0 for one of the server.
    """

    product: str
    generation: int
    state: AttemptState
    code: Code | None = None
    message: str = ""
    step: str = ""
    output_tail: str = ""
    time_limit: timedelta | None = None
    running_version: str = ""
    sha256: str = ""
    unproven: bool = False
    retry_at: datetime | None = None
    local: int = 0


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One report of a journal.

    Attributes:
        sequence: in the journal, from 1.
        product: the product.
        generation: of the assignment.
        said: what it says; nothing when it can't be understood.
        code: as said, by name; empty for none.
        payload: the report as received.
    """

    sequence: int
    product: str
    generation: int
    said: Said | None
    code: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """Reports of one journal in their order."""

    journal_id: str
    lines: tuple[ReportLine, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """A host asks for Go: it has staged the artefact ``sha256`` (hex). ``ask`` counts up within the session."""

    product: str
    generation: int
    ask: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ProductSaid:
    """One product as it stands on the host."""

    product: str
    version: str
    sha256: str
    previous_version: str
    on_trial: bool
    healthy: bool
    note: str
    highest_generation: int


@dataclass(frozen=True, slots=True)
class HostSaid:
    """What a hello says of the host; texts are no longer than the contract allows."""

    os: str
    arch: str
    abi: str
    time_zone: str
    disk_free_bytes: int
    container_marker: str
    boot_id: str
    agent_version: str
    launcher_version: str
    journal_id: str
    products: tuple[ProductSaid, ...]
    attempts: tuple[Said, ...]
    check_in: timedelta | None = None
    """How often the host comes that does not hold its stream; None = it holds it."""
    anchors_serial: int = 0
    """Of the anchors that the host goes by; 0 = by what it got at enrolment."""

    @property
    def is_visit(self) -> bool:
        """Tell whether nothing runs there: ``enroll`` installs a first version, or repairs, and takes no assignment."""
        return not any(product.version for product in self.products)
