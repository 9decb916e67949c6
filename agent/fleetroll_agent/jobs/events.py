"""What the machine is told. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.values import ByHand

if TYPE_CHECKING:
    from fleetroll_agent.jobs.work import About, Child
    from fleetroll_agent.launcher.values import Record
    from fleetroll_common.values.codes import Code
    from fleetroll_common.values.product_policy import ProductPolicy


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
    override_local: bool = False
    automatic: bool = False


@dataclass(frozen=True, slots=True)
class StartedLocally:
    """A person on this host, or its own schedule, starts something.

    Attributes:
        version: to reach.
        actor: who.
        by_hand: what is asked for, where that is no update.
        soak_seconds: health that it must hold.
        lease_seconds: of a trial.
        retry_bad: a digest that failed here before may be tried again.
        source: where metadata and bytes come from; empty = the server.
        sha256: of what is on this disk already and is to be switched to; empty = it is to be found.
        backup_id: to restore; empty elsewhere.
        hold_seconds: how long the server's assignments wait afterwards; 0 = not at all.
        reason: in that person's words.
        automatic: the host's own schedule: no person asked.
        ticket: names this request, so that whoever made it knows whether it was taken.
    """

    version: str
    actor: str
    by_hand: ByHand = ByHand.NOTHING
    soak_seconds: float = 60.0
    lease_seconds: float = 300.0
    retry_bad: bool = False
    source: str = ""
    sha256: str = ""
    backup_id: str = ""
    hold_seconds: float = 0.0
    reason: str = ""
    automatic: bool = False
    ticket: str = ""


@dataclass(frozen=True, slots=True)
class CancelledLocally:
    """A person on this host ends what a person has started, while it can be ended for free."""


@dataclass(frozen=True, slots=True)
class HoldSet:
    """A person on this host lets the server's assignments wait ``until`` then (Unix seconds)."""

    actor: str
    until: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HoldEnded:
    """A person on this host lets them come again."""


@dataclass(frozen=True, slots=True)
class LockGiven:
    """The host's lock is this product's, for ask ``ask``."""

    ask: int


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
    """The server allows to keep the version of this attempt with this digest; ``local`` as in the attempt."""

    generation: int
    sha256: str
    local: int = 0


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
    """Something on this host is in the way: ask ``ask`` was not sent.

    Attributes:
        ask: that was meant.
        message: what is in the way, in words; empty = another product holds the job lock.
        counts: the host's own lock said no: that may put an update off only so often.
    """

    ask: int
    message: str = ""
    counts: bool = False


@dataclass(frozen=True, slots=True)
class TargetFound:
    """The signed metadata lists the version, with this digest, and says ``about`` it; ``note`` is for the journal.

    ``policy``: what the publisher rules about the product; None = nothing.
    """

    job: int
    sha256: str
    about: About | None = None
    note: str = ""
    policy: ProductPolicy | None = None


@dataclass(frozen=True, slots=True)
class Ruled:
    """The signed metadata was verified anew: what the publisher rules, and the digests of all that is listed.

    ``listed`` None = the source does not say: a bundle holds what was put into it.
    """

    policy: ProductPolicy | None = None
    listed: frozenset[str] | None = None


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
    """The launcher wrote the trial of the attempt."""

    generation: int
    local: int = 0


@dataclass(frozen=True, slots=True)
class ArmDropped:
    """The launcher refused the trial of the attempt; nothing changed."""

    generation: int
    code: Code
    local: int = 0


@dataclass(frozen=True, slots=True)
class LauncherTold:
    """The launcher's record, at start and after every change of it."""

    record: Record


@dataclass(frozen=True, slots=True)
class StepStarted:
    """The process of a step, or of a look, stands behind its gate: it runs nothing before it is written down."""

    job: int
    child: Child


@dataclass(frozen=True, slots=True)
class StepEnded:
    """A step of a managed product came to its end.

    Attributes:
        job: that ended.
        code: why it failed; None = it did what it is for.
        message: in words.
        output_tail: last lines of its output.
        value: what it is asked for: the backup's id, the version of the new program.
        by_itself: the release is to blame; False where the host may be.
    """

    job: int
    code: Code | None = None
    message: str = ""
    output_tail: str = ""
    value: str = ""
    by_itself: bool = True


@dataclass(frozen=True, slots=True)
class Probed:
    """One look at the health of a managed product; ``version`` as it says itself, empty where it does not."""

    job: int
    healthy: bool
    message: str = ""
    version: str = ""
    output_tail: str = ""


@dataclass(frozen=True, slots=True)
class ChildGone:
    """What an earlier process of this agent had started is over; ``gone`` False: it can't be ended yet."""

    job: int
    gone: bool = True


@dataclass(frozen=True, slots=True)
class Leaving:
    """This process ends in an orderly way: nothing begins any more, and what can't be begun twice comes to its end."""


@dataclass(frozen=True, slots=True)
class Timer:
    """The instant of ``next_deadline`` may have come."""


Event = (
    Assigned
    | StartedLocally
    | CancelledLocally
    | HoldSet
    | HoldEnded
    | LockGiven
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
    | Ruled
    | SlotReady
    | StagingFailed
    | SelfTested
    | Armed
    | ArmDropped
    | LauncherTold
    | StepStarted
    | StepEnded
    | Probed
    | ChildGone
    | Leaving
    | Timer
)
