"""What the machine is told (events) and what it wants done (effects). Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetroll_agent.launcher.values import Record
    from fleetroll_common.values.codes import Code


@dataclass(frozen=True, slots=True)
class Assigned:
    """The server's desired state. ``version`` empty = none is desired."""

    generation: int
    version: str
    soak_seconds: float = 60.0
    lease_seconds: float = 300.0
    recall: bool = False
    stop_before_switch: bool = False
    retry_bad: bool = False
    excused: bool = False
    max_attempts: int = 0


@dataclass(frozen=True, slots=True)
class HelloBuilt:
    """A hello's payload is about to be built: the older session, and every permit of it, is dead from here on."""


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """The Welcome of session ``session`` (its epoch, >= 1) came, and the ratchet is written."""

    session: int
    suspended: frozenset[str] = frozenset()
    skewed: bool = False


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """The stream of ``session`` has ended, for whatever reason."""

    session: int


@dataclass(frozen=True, slots=True)
class GoGiven:
    """The permit to apply, heard in ``session``."""

    session: int
    generation: int
    ask: int


@dataclass(frozen=True, slots=True)
class GoRefused:
    """No permit now; ``retry_after_seconds`` None leaves the time of the next ask to the host."""

    session: int
    generation: int
    ask: int
    code: Code | None = None
    message: str = ""
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class AskAgain:
    """What stood in the way of a permit is gone."""

    session: int
    generation: int


@dataclass(frozen=True, slots=True)
class Suspended:
    """The kill switch of ``scope`` was pressed, or lifted."""

    scope: str
    active: bool


@dataclass(frozen=True, slots=True)
class Promoted:
    """The server allows to keep the version of this attempt with this digest."""

    generation: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ServerBusy:
    """The server asks to come back in ``seconds``: a trial must not die of that."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Acked:
    """The server holds all reports up to ``number`` durably."""

    number: int


@dataclass(frozen=True, slots=True)
class LockBusy:
    """The job lock of the host is another product's: ask ``ask`` was not sent."""

    ask: int


@dataclass(frozen=True, slots=True)
class TargetFound:
    """The signed metadata lists the version, with this digest."""

    job: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SlotReady:
    """The artefact is verified and its slot is complete."""

    job: int


@dataclass(frozen=True, slots=True)
class StagingFailed:
    """Finding, fetching or unpacking failed.

    Attributes:
        job: that failed.
        code: why.
        message: in words.
        transient: another try may succeed by itself.
        session: over which the bytes were to come.
    """

    job: int
    code: Code
    message: str
    transient: bool = False
    session: int = 0


@dataclass(frozen=True, slots=True)
class SelfTested:
    """The new program was run once; ``code`` None = it is what its release says.

    ``by_itself``: it ran and ended by itself; False where the host may be to blame for ``code``.
    """

    job: int
    code: Code | None = None
    message: str = ""
    output_tail: str = ""
    by_itself: bool = True


@dataclass(frozen=True, slots=True)
class Armed:
    """The launcher wrote the trial of ``generation``."""

    generation: int


@dataclass(frozen=True, slots=True)
class ArmDropped:
    """The launcher refused the trial of ``generation``; nothing changed."""

    generation: int
    code: Code


@dataclass(frozen=True, slots=True)
class LauncherTold:
    """The launcher's record, at start and after every change of it."""

    record: Record


@dataclass(frozen=True, slots=True)
class Timer:
    """The instant of ``next_deadline`` may have come."""


Event = (
    Assigned
    | HelloBuilt
    | SessionOpened
    | SessionClosed
    | GoGiven
    | GoRefused
    | AskAgain
    | Suspended
    | Promoted
    | ServerBusy
    | Acked
    | LockBusy
    | TargetFound
    | SlotReady
    | StagingFailed
    | SelfTested
    | Armed
    | ArmDropped
    | LauncherTold
    | Timer
)


@dataclass(frozen=True, slots=True)
class FindTarget:
    """Refresh the signed metadata and look the version up; answered by TargetFound or StagingFailed."""

    job: int
    session: int
    generation: int
    version: str


@dataclass(frozen=True, slots=True)
class FillSlot:
    """Fetch, verify and unpack; answered by SlotReady or StagingFailed."""

    job: int
    session: int
    generation: int
    version: str
    sha256: str


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
    """Ask the launcher for the trial; answered by Armed or ArmDropped."""

    generation: int
    version: str
    sha256: str
    soak_seconds: float
    lease_seconds: float
    retry_bad: bool = False


@dataclass(frozen=True, slots=True)
class PassPromote:
    """Pass the Promote on to the launcher."""

    generation: int
    sha256: str


@dataclass(frozen=True, slots=True)
class PassRecall:
    """Ask the launcher for the way back out of the trial."""

    generation: int


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
class Tidy:
    """Remove slots and downloads that nothing needs any more."""


Effect = (
    FindTarget
    | FillSlot
    | CancelJob
    | AskGo
    | ReleaseLock
    | RunSelfTest
    | Arm
    | PassPromote
    | PassRecall
    | PassExcuse
    | ExtendLease
    | Leave
    | Tidy
)
Effects = tuple[Effect, ...]
