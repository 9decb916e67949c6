"""The values of a product's record. Immutable; times of day are Unix seconds, everything else says its unit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetroll_agent.jobs.failures import Failure
    from fleetroll_agent.jobs.overrides import Override
    from fleetroll_agent.jobs.work import About, Ban, Installed, Work
    from fleetroll_common.values.codes import Code

PRODUCT = "agent"
"""The agent itself: a product like others, but for its launcher."""
KEEP_ACKED_SECONDS = 30 * 86400
"""Outcomes are kept for so long after the server's acknowledgement: a restored server asks for them (names.md)."""
MAX_OUTCOMES = 200
"""That a record keeps: above it the oldest that the server acknowledged go, then the oldest of this host's own, whose
reports are in the journal. A server's result that it has not acknowledged never goes."""
MAX_UNHELD = 1000
"""Results of the server's assignments that it has not acknowledged; with as many the host takes no assignment of a
version: so the record stays below 3 MB, and nothing is lost. An honest server acknowledges before it assigns again."""
MAX_BAD = 256
MAX_MESSAGE_CHARS = 2000
MAX_TAIL_CHARS = 4000


class Stage(str, Enum):
    """Where an attempt stands on the host. From APPLYING on it is past the point of no return."""

    ACCEPTED = "accepted"
    DOWNLOADING = "downloading"
    STAGED = "staged"
    APPLYING = "applying"
    TRIAL = "trial"
    SOAKING = "soaking"
    """A managed product holds its health; the agent has its trial instead."""


class Step(str, Enum):
    """The steps past Go. The agent has the first two and ``restart``; a managed product some of the others."""

    SELF_TEST = "self_test"
    ARM = "arm"
    CHECK = "check"
    BACKUP = "backup"
    PULL = "pull"
    MIGRATE = "migrate"
    SMOKE = "smoke"
    SWITCH = "switch"
    RESTART = "restart"
    HEALTH = "health"
    SWITCH_BACK = "switch_back"
    ROLLBACK = "rollback"
    RESTORE = "restore"
    RESTART_BACK = "restart_back"
    HEALTH_BACK = "health_back"


class Stop(str, Enum):
    """What a newer generation, or the kill switch, asks of an attempt that is past Go."""

    NOTHING = ""
    BEFORE_SWITCH = "before_switch"
    """Go back at the next step's boundary, unless the switch was made."""
    RECALL = "recall"
    """Go back, out of the trial as well."""


class ByHand(str, Enum):
    """What a person on this host asked for otherwise than an update."""

    NOTHING = ""
    ROLLBACK = "rollback"
    """The version before, and its data where a migration had begun."""
    RESTORE = "restore"
    """The data of a backup, under the version that runs."""


class Said(str, Enum):
    """The states of the contract that a host reports; the names are the contract's."""

    OFFERED = "OFFERED"
    DOWNLOADING = "DOWNLOADING"
    STAGED = "STAGED"
    APPLYING = "APPLYING"
    TRIAL = "TRIAL"
    SOAKING = "SOAKING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ROLLED_BACK = "ROLLED_BACK"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"


SAID_OF_STAGE = {
    Stage.ACCEPTED: Said.OFFERED,
    Stage.DOWNLOADING: Said.DOWNLOADING,
    Stage.STAGED: Said.STAGED,
    Stage.APPLYING: Said.APPLYING,
    Stage.TRIAL: Said.TRIAL,
    Stage.SOAKING: Said.SOAKING,
}


@dataclass(frozen=True, slots=True)
class Moment:
    """The circumstances of one step.

    Attributes:
        boot_seconds: of the clock that counts suspend: a permit must not outlive a closed lid.
        monotonic_seconds: of the clock that the launcher's instants are meant on.
        wall_seconds: Unix time, for reports and for how long outcomes are kept.
        random01: a random number in [0, 1), spreads asks and tries.
    """

    boot_seconds: float
    monotonic_seconds: float = 0.0
    wall_seconds: float = 0.0
    random01: float = 0.5


@dataclass(frozen=True, slots=True)
class Attempt:
    """One assignment that the host has taken and not ended.

    Attributes:
        generation: >= 1, the attempt's only id beside host and product.
        version: to reach.
        soak_seconds: health that the new version must hold, on the launcher's clock.
        lease_seconds: how long a trial may wait for contact and promotion.
        retry_bad: a digest that failed here before may be tried again.
        excused: the last unproven way back of this digest was the server's fault.
        max_attempts: tries before Go that the rollout allows; 0 = the host's default.
        stage: where it stands.
        step: within APPLYING; None elsewhere.
        sha256: of the artefact, hex; empty until the signed metadata was read.
        tries: downloads that failed so far.
        stop: what was asked for after Go.
        stop_code: who asked: the code of the end that follows.
        promoted: the server's Promote for exactly this attempt and digest was written down.
        local: number of an attempt that was started on this host, whose generation is 0; 0 = it is the server's.
        by_hand: what a person on this host asked for, where that is no update.
        source: where its metadata and bytes come from, as a person named it; empty = the server.
        backup_id: to restore by hand; empty elsewhere.
        reason: in that person's words.
        hold_seconds: how long the server's assignments wait after it; 0 = not at all.
        ticket: names the request that started it on this host.
        override_local: the assignment ends a person's decision on this host.
        automatic: no person asked for it, neither here nor at the server; with ``local`` this host began it by itself.
        actor: who started it on this host; empty = the server, or an earlier version did not write it down.
        refused: why the server gave it no permit when it was last asked; None = it was not asked, or did not refuse.
        about: what the signed metadata said; None until it was read, and for the agent.
        work: how far it went past Go, and before it which process asks the host's own lock; None for the agent.
    """

    generation: int
    version: str
    soak_seconds: float = 60.0
    lease_seconds: float = 300.0
    retry_bad: bool = False
    excused: bool = False
    max_attempts: int = 0
    stage: Stage = Stage.ACCEPTED
    step: Step | None = None
    sha256: str = ""
    tries: int = 0
    stop: Stop = Stop.NOTHING
    stop_code: Code | None = None
    promoted: bool = False
    local: int = 0
    by_hand: ByHand = ByHand.NOTHING
    source: str = ""
    backup_id: str = ""
    reason: str = ""
    hold_seconds: float = 0.0
    ticket: str = ""
    override_local: bool = False
    automatic: bool = False
    actor: str = ""
    refused: Code | None = None
    about: About | None = None
    work: Work | None = None

    @property
    def past_go(self) -> bool:
        """Tell whether Go was used: nothing ends the attempt any more but its own rules."""
        return self.stage in (Stage.APPLYING, Stage.TRIAL, Stage.SOAKING)


@dataclass(frozen=True, slots=True)
class Report:
    """One thing that happened, as it is journaled and sent.

    Attributes:
        number: counts the product's reports from 1: a report is journaled once, whatever crashes.
        occurred_at: Unix seconds of the host's clock.
        generation: of the attempt.
        said: the state that the attempt entered.
        step: within APPLYING.
        code: why it ended or waits.
        message: in words, bounded.
        output_tail: last lines of the program that did not start, bounded.
        time_limit_seconds: how long the host allows itself until the next report; None = the default.
        running_version: what runs after this; empty where nothing changed.
        sha256: of the artefact, hex; empty until known.
        retry_at: Unix seconds before which the host does not try again; None = it does not wait.
        unproven: a way back that nobody proved to be the version's fault.
        committed_locally: kept by the host's own authority.
        local: number of an attempt that was started on this host; its generation is 0.
    """

    number: int
    occurred_at: float
    generation: int
    said: Said
    step: str = ""
    code: Code | None = None
    message: str = ""
    output_tail: str = ""
    time_limit_seconds: float | None = None
    running_version: str = ""
    sha256: str = ""
    retry_at: float | None = None
    unproven: bool = False
    committed_locally: bool = False
    local: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        number: of the report that says so.
        generation: of the attempt.
        version: that it aimed at.
        said: the result.
        sha256: of the artefact, hex; empty when it was never known.
        code: why.
        message: in words.
        running_version: what runs since; empty when nothing changed.
        unproven: as in :class:`Report`.
        committed_locally: as in :class:`Report`.
        ended_at: Unix seconds.
        acked_at: when the server acknowledged it; None = not yet.
        local: as in :class:`Report`.
        actor: as in :class:`Attempt`.
        ticket: as in :class:`Attempt`.
    """

    number: int
    generation: int
    version: str
    said: Said
    sha256: str = ""
    code: Code | None = None
    message: str = ""
    running_version: str = ""
    unproven: bool = False
    committed_locally: bool = False
    ended_at: float = 0.0
    acked_at: float | None = None
    local: int = 0
    actor: str = ""
    ticket: str = ""


@dataclass(frozen=True, slots=True)
class ProductRecord:
    """All that is durable about a product's attempts; replaced in one write.

    Attributes:
        product: its name.
        highest: the highest generation that was taken; lower ones are ignored, the same one starts nothing.
        attempt: what is going on.
        waiting: a newer generation that waits for the end of an attempt past Go.
        outcomes: oldest first.
        bad: digests that failed their self-test here.
        settled: the launcher's outcomes that were taken over, newest last: none is taken twice.
        reports: number of the newest report.
        outbox: the reports of the newest write; the journal takes over those that it lacks.
        current: what is installed of a managed product; None = nothing that is known.
        previous: what was before, and is there still.
        started_at: when the last attempt used its Go, in Unix seconds; None = never.
        locals: attempts that were started on this host so far.
        override: a person's own decision on this host; None = none, or it has ended.
        broken: a way back failed, and nothing has ended well since: a person is needed.
        suspended: scopes whose kill switch is pressed, as far as this host heard, in order.
        failures: versions that this host tried by itself, without success, oldest first.
        committed_at: when the version that runs was kept, in Unix seconds; None = nobody knows.
        floor: no server lets this host install anything below, also without a policy; empty = none.
        policy_floor: of the newest policy that was verified here; empty = none.
        revoked: digests of what this host has that the policy revokes.
    """

    product: str = PRODUCT
    highest: int = 0
    attempt: Attempt | None = None
    waiting: Attempt | None = None
    outcomes: tuple[Outcome, ...] = ()
    bad: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    reports: int = 0
    outbox: tuple[Report, ...] = ()
    current: Installed | None = None
    previous: Installed | None = None
    started_at: float | None = None
    locals: int = 0
    override: Override | None = None
    broken: bool = False
    suspended: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    committed_at: float | None = None
    floor: str = ""
    policy_floor: str = ""
    revoked: tuple[Ban, ...] = ()

    def banned(self, sha256: str) -> str | None:
        """Return why a digest was revoked; None when it was not, as far as this host has seen."""
        return next((ban.reason for ban in self.revoked if ban.sha256 == sha256), None)

    def outcome(self, generation: int) -> Outcome | None:
        """Return the newest outcome of ``generation``."""
        return next((known for known in reversed(self.outcomes) if known.generation == generation), None)
