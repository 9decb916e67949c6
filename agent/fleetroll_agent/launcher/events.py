"""What the core is told (events) and what it wants done (actions). Values only."""

from enum import Enum
from typing import Any, Dict, NamedTuple, Tuple, Union

from fleetroll_agent.launcher.values import Attempt, Authority, Record, SlotRef


class Moment(NamedTuple):
    """The circumstances of one step.

    Attributes:
        at: monotonic seconds.
        random01: a random number in [0, 1) for back-off.
        tail: last output of the child, bounded.
    """

    at: float
    random01: float = 0.5
    tail: str = ""


class Candidate(NamedTuple):
    """A complete slot for which an interpreter of its abi is present.

    Attributes:
        slot: with the path of that interpreter.
        good: the record's number at its commit; -1 = never committed here.
        bad: a BAD file lies in it.
    """

    slot: SlotRef
    good: int
    bad: bool = False


class Beat(NamedTuple):
    """The child lives."""

    healthy: bool


class Hello(NamedTuple):
    """The child got its first Welcome over its own stream, in this process."""


class Heard(NamedTuple):
    """The child read a message of its server after a Welcome. It says why a Promote is missing, and no more."""


class Arm(NamedTuple):
    """The child asks for a trial.

    ``obstacle``: why the slot can't be started, as the shell saw it; empty = nothing. ``retry_bad``: a person decided
    that a digest that was rolled back as bad here may be tried again.
    """

    attempt: Attempt
    slot: SlotRef
    authority: Authority
    soak_seconds: float
    lease_seconds: float
    obstacle: str = "ENTRY_MISSING"
    retry_bad: bool = False


class Promote(NamedTuple):
    """The server keeps the version: for this attempt and digest, no other."""

    attempt: Attempt
    digest: str


class Recall(NamedTuple):
    """A newer generation asked for the way back."""

    attempt: Attempt


class Extend(NamedTuple):
    """More time: for the lease, when the server is busy; for the orderly end, when a command has to come to its own."""

    seconds: float


class Excuse(NamedTuple):
    """The server could not be reached when this digest went back unproven before ``attempt``: that does not count."""

    attempt: Attempt
    digest: str


class Goodbye(NamedTuple):
    """The child ends on purpose."""


class ChildExited(NamedTuple):
    """The child and everything it started are gone.

    ``detail`` says how, for people. ``host_refuses``: it ended with ``pipe.HOST_REFUSES_EXIT``; ``wrong_name``: with
    ``pipe.WRONG_NAME_EXIT``.
    """

    detail: str
    host_refuses: bool = False
    wrong_name: bool = False


class SpawnFailed(NamedTuple):
    """A Spawn did not happen. ``code``: NO_INTERPRETER, ENTRY_MISSING or START_FAILED."""

    code: str
    detail: str
    candidates: Tuple[Candidate, ...] = ()


class Purpose(str, Enum):
    """Why the record is written; decides what follows when that fails."""

    BEGIN = "begin"
    ARM = "arm"
    TRY = "try"
    COMMIT = "commit"
    BACK = "back"
    STOP = "stop"
    NOTE = "note"


class PersistFailed(NamedTuple):
    """The record could not be made durable; the actions after the write were not done."""

    purpose: Purpose
    detail: str


class Stop(NamedTuple):
    """SIGTERM or SIGINT."""


class Tick(NamedTuple):
    """A deadline of ``core.next_deadline`` may have come."""


class Persist(NamedTuple):
    """Make ``record`` durable. Actions after it are done only when it is."""

    record: Record
    purpose: Purpose


class Spawn(NamedTuple):
    """Start the slot. There is no child when this is asked."""

    slot: SlotRef


class Send(NamedTuple):
    """Write one message to the child; a child that does not read is no error here, its beats will show it."""

    message: Dict[str, Any]


class Terminate(NamedTuple):
    """Ask the child to end (SIGTERM); Kill follows when it does not."""


class Kill(NamedTuple):
    """SIGKILL to the child's whole tree."""


class MarkGood(NamedTuple):
    """Remove BAD, write GOOD with ``seq``; nothing when it is there already."""

    slot: SlotRef
    seq: int


class UnmarkGood(NamedTuple):
    """Remove GOOD, durably."""

    slot: SlotRef


class MarkBad(NamedTuple):
    """In every slot with one of these digests: remove GOOD, then write BAD, durably; nothing where that is so."""

    digests: Tuple[str, ...]


class Exit(NamedTuple):
    """End the launcher."""


Event = Union[
    Beat,
    Hello,
    Heard,
    Arm,
    Promote,
    Recall,
    Extend,
    Excuse,
    Goodbye,
    ChildExited,
    SpawnFailed,
    PersistFailed,
    Stop,
    Tick,
]
Action = Union[Persist, Spawn, Send, Terminate, Kill, MarkGood, UnmarkGood, MarkBad, Exit]
Actions = Tuple[Action, ...]
