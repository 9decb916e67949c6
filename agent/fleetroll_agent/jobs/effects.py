"""What the machine wants done, once its record is durable. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetroll_agent.jobs.values import Attempt
    from fleetroll_agent.jobs.work import Child


@dataclass(frozen=True, slots=True)
class FindTarget:
    """Refresh the signed metadata and look the version up; answered by TargetFound or StagingFailed.

    ``source`` empty = over the session; else what a person named on this host. ``by_host``: no person started it, so a
    mirror alone will do, and what was named for all times may be away just now.
    ``on_disk``: digest of the version before, where exactly that is wanted: it need not be listed any more.
    """

    job: int
    session: int
    generation: int
    version: str
    source: str = ""
    by_host: bool = False
    on_disk: str = ""


@dataclass(frozen=True, slots=True)
class FillSlot:
    """Fetch, verify and unpack; answered by SlotReady or StagingFailed. ``by_host`` as in FindTarget."""

    job: int
    session: int
    generation: int
    version: str
    sha256: str
    source: str = ""
    by_host: bool = False


@dataclass(frozen=True, slots=True)
class CancelJob:
    """End what runs as ``job``; verified bytes stay. No answer."""

    job: int


@dataclass(frozen=True, slots=True)
class AskGo:
    """Take the job lock, then send RequestGo in ``session``; LockBusy when it is taken."""

    session: int
    generation: int
    ask: int
    sha256: str


@dataclass(frozen=True, slots=True)
class AskLock:
    """Take the job lock for a local attempt; answered by LockGiven or LockBusy.

    ``by_host``: no person started it, so what puts the server's attempts off puts it off as well.
    """

    ask: int
    by_host: bool = False


@dataclass(frozen=True, slots=True)
class ReleaseLock:
    """Give the job lock back, if it is held."""


@dataclass(frozen=True, slots=True)
class RunSelfTest:
    """Run the new program's self-test in its slot; answered by SelfTested within its time limit."""

    job: int
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Arm:
    """Ask the launcher for the trial; answered by Armed or ArmDropped.

    ``by_host``: the host itself may keep the version, without the server; only for a person's attempt.
    """

    generation: int
    version: str
    sha256: str
    soak_seconds: float
    lease_seconds: float
    retry_bad: bool = False
    local: int = 0
    by_host: bool = False


@dataclass(frozen=True, slots=True)
class PassPromote:
    """Pass the Promote on to the launcher."""

    generation: int
    sha256: str
    local: int = 0


@dataclass(frozen=True, slots=True)
class PassRecall:
    """Ask the launcher for the way back out of the trial; ``local`` as in the attempt."""

    generation: int
    local: int = 0


@dataclass(frozen=True, slots=True)
class PassExcuse:
    """Ask the launcher not to count the last unproven way back of this digest before ``generation``."""

    generation: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ExtendLease:
    """Ask the launcher for more time."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Leave:
    """Say goodbye to the server and the launcher, and end so that the launcher starts what its record says."""

    reason: str


@dataclass(frozen=True, slots=True)
class HoldLock:
    """Take the job lock for an attempt that an earlier process left past Go."""


@dataclass(frozen=True, slots=True)
class RunStep:
    """Do the step of ``attempt``; answered by StepStarted where it is a command, and by StepEnded."""

    job: int
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class OpenGate:
    """Let the process run: it is written down."""

    job: int


@dataclass(frozen=True, slots=True)
class Probe:
    """Look at the product's health once, within the probe's time limit; answered by Probed.

    Before that by StepStarted, for each command of agent.toml that is run for it.
    """

    job: int
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class EndChild:
    """End what an earlier process of this agent had started, and all that it started; answered by ChildGone."""

    job: int
    child: Child


@dataclass(frozen=True, slots=True)
class Tidy:
    """Remove slots and downloads that nothing needs any more."""


Effect = (
    FindTarget
    | FillSlot
    | CancelJob
    | AskGo
    | AskLock
    | ReleaseLock
    | RunSelfTest
    | Arm
    | PassPromote
    | PassRecall
    | PassExcuse
    | ExtendLease
    | Leave
    | HoldLock
    | RunStep
    | OpenGate
    | Probe
    | EndChild
    | Tidy
)
Effects = tuple[Effect, ...]
