"""What a virtual agent's crash leaves: its disk; and the wire's words by their names."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from google.protobuf.duration_pb2 import Duration

from fleetroll.v1 import reasons_pb2, types_pb2

if TYPE_CHECKING:
    from fleetroll.v1 import agent_stream_pb2 as stream_pb2
    from fleetroll_agent.identity.ratchet import Ratchet

PLATFORM = types_pb2.Platform(os="linux", arch="x86_64", abi="cp311")
PRODUCT = "agent"
State = types_pb2.AttemptState
ENDS = frozenset(
    {
        types_pb2.ATTEMPT_STATE_SUCCEEDED,
        types_pb2.ATTEMPT_STATE_FAILED,
        types_pb2.ATTEMPT_STATE_ROLLED_BACK,
        types_pb2.ATTEMPT_STATE_ROLLBACK_FAILED,
        types_pb2.ATTEMPT_STATE_CANCELLED,
    }
)


def code(name: str) -> reasons_pb2.ReasonCode.ValueType:
    """Return the wire's value of a code's name."""
    return reasons_pb2.ReasonCode.Value(f"REASON_CODE_{name}")


def code_name(value: reasons_pb2.ReasonCode.ValueType) -> str:
    """Return a code's name."""
    return reasons_pb2.ReasonCode.Name(value).removeprefix("REASON_CODE_")


def attempt_state(name: str) -> State.ValueType:
    """Return the wire's value of a state's name, such as "staged"."""
    return State.Value(f"ATTEMPT_STATE_{name.upper()}")


@dataclass
class Disk:
    """What survives a crash: identity, ratchet, what runs, the journal's counters, the open attempt."""

    agent_id: str
    seed: bytes
    ratchet: Ratchet
    name: str = ""
    version: str = "1.0.0"
    sha256: str = ""
    calls_itself: str = ""
    """Of the program that speaks; empty = as its slot is called."""
    previous: str = ""
    on_trial: bool = False
    healthy: bool = True
    highest: int = 0
    check_in_seconds: float = 0.0
    """How often it comes where it does not hold its stream; 0 = it holds it."""
    time_zone: str = ""
    """As its hellos tell it."""
    journal_id: str = "journal-1"
    sequence: int = 0
    attempt: dict[str, Any] | None = None
    receipt: stream_pb2.Receipt | None = None
    enrolment: tuple[bytes, bytes] | None = None
    """The enrolment's receipt and its MAC; nothing where the test has no need of them."""
    rotations: list[stream_pb2.KeyRotation] = field(default_factory=list)
    outcomes: list[stream_pb2.KeptOutcome] = field(default_factory=list)
    reports: list[stream_pb2.Report] = field(default_factory=list)
    """The whole journal."""
    files: dict[str, bytes] = field(default_factory=dict)
    """Signed metadata that it trusts, by name without version."""

    @property
    def check_in(self) -> Duration | None:
        """Return how often the host says that it comes; nothing where it holds its stream."""
        return Duration(seconds=int(self.check_in_seconds)) if self.check_in_seconds else None

    def copy(self) -> Disk:
        """Return the disk of a cloned machine."""
        return copy.deepcopy(self)
