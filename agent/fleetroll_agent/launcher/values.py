"""The values of the boot record. Times are seconds of this boot's monotonic clock unless a name says otherwise."""

from enum import Enum
from typing import Any, Dict, NamedTuple, Optional, Tuple

MAX_BAD = 256
"""Bad digests that are remembered, newest last; with 67 bytes each the record still fits into one pipe message."""
MAX_UNPROVEN = 64
"""Digests whose unproven trials are counted."""
MAX_EARLIER = 4
"""Outcomes kept beside ``last``: an agent that crashed before it read one still finds it."""
TAIL_BYTES = 4096
"""Last output of a trial that went back, as JSON text."""


class Origin(str, Enum):
    """Who numbers an attempt: the server (a generation) or the host itself."""

    SERVER = "server"
    LOCAL = "local"


class Authority(str, Enum):
    """Whose word keeps a new version. Fixed when the trial is armed."""

    SERVER = "server"
    LOCAL = "local"


class Ended(str, Enum):
    """How an attempt ended."""

    COMMITTED = "committed"
    COMMITTED_LOCALLY = "committed_locally"
    ROLLED_BACK = "rolled_back"


class Reason(str, Enum):
    """Which kind of way back it was. Only BAD and LATE put the digest on the bad list."""

    NONE = ""
    BAD = "bad"
    UNPROVEN = "unproven"
    LATE = "late"
    RECALLED = "recalled"


class Attempt(NamedTuple):
    """One attempt to change the agent's version. Attempts of one origin are ordered by generation, others are not."""

    origin: Origin
    generation: int

    def __str__(self) -> str:
        """Return ``server:7`` or ``local:3``."""
        return "{}:{}".format(self.origin.value, self.generation)


class SlotRef(NamedTuple):
    """A slot and the Python that runs it.

    Attributes:
        name: the folder's name below ``slots/agent``; never a path.
        version: the release's version, for people and logs.
        digest: SHA-256 of the artefact, 64 lower-case hex digits.
        python: absolute path of the interpreter; empty = look one up by ``abi``.
        abi: such as ``cp311``.
        attempt: the attempt that committed it; None for the first one of a host.
    """

    name: str
    version: str
    digest: str
    python: str
    abi: str
    attempt: Optional[Attempt] = None


class Trial(NamedTuple):
    """A version that must still prove itself.

    Attributes:
        slot: what is tried.
        attempt: for whom.
        authority: SERVER needs hello, soak and Promote; LOCAL needs the soak.
        soak_seconds: health that MUST be held in full, from the child's first healthy beat.
        lease_seconds: time to the Promote, from the same beat; >= ``soak_seconds``.
        armed_at: instant of the arming; a clock that shows less is another clock.
        trial_end: instant at which the trial ends as unproven, whatever restarts happened.
        tries_left: starts that are still allowed.
        starts: starts so far; 0 = the new code never ran as a service.
        gives: tries given back for orderly stops, at most twice.
        extended_seconds: what was added to lease and trial_end, at most ten minutes in all.
        promoted: a Promote for this attempt and digest is in the record.
        stopped: the launcher was stopped in an orderly way and has not started the trial since.
    """

    slot: SlotRef
    attempt: Attempt
    authority: Authority
    soak_seconds: float
    lease_seconds: float
    armed_at: float
    trial_end: float
    tries_left: int
    starts: int = 0
    gives: int = 0
    extended_seconds: float = 0.0
    promoted: bool = False
    stopped: bool = False


class Outcome(NamedTuple):
    """How an attempt ended; the agent reports exactly this and infers nothing.

    Attributes:
        attempt: None only for the late way back from a version whose attempt is not known.
        version: of the slot that was tried.
        digest: of the slot that was tried.
        ended: committed or rolled back.
        reason: the kind of way back.
        code: a code of the project's table, as text; empty when committed.
        counted: an unproven end that speaks against the digest (see ``Record.unproven``).
        detail: one sentence for people.
        tail: last output of the version that went back.
    """

    attempt: Optional[Attempt]
    version: str
    digest: str
    ended: Ended
    reason: Reason = Reason.NONE
    code: str = ""
    counted: bool = False
    detail: str = ""
    tail: str = ""


class Record(NamedTuple):
    """The boot record: the one place that decides which version of the agent runs.

    Attributes:
        seq: grows with every write.
        current: the committed version.
        previous: where a late way back leads; None when there is none.
        trial: the version on trial.
        last: outcome of the latest attempt that ended.
        earlier: outcomes before ``last``, newest first, at most ``MAX_EARLIER``.
        highest_server: highest generation of the server that was ever armed.
        highest_local: the same for attempts of the host itself.
        boot_id: of the boot in which the record's instants are meant.
        bad: digests that are never armed again.
        unproven: digest to number of counted unproven trials; see ``excusing``.
        crashes: instants of the latest crashes outside of a trial.
        recovered: rebuilt from slots; attempts armed before are ended by the agent and never armed again.
        extra: fields of a newer launcher, kept as they are.
    """

    seq: int
    current: SlotRef
    previous: Optional[SlotRef] = None
    trial: Optional[Trial] = None
    last: Optional[Outcome] = None
    earlier: Tuple[Outcome, ...] = ()
    highest_server: int = 0
    highest_local: int = 0
    boot_id: str = ""
    bad: Tuple[str, ...] = ()
    unproven: Tuple[Tuple[str, int], ...] = ()
    crashes: Tuple[float, ...] = ()
    recovered: bool = False
    extra: Tuple[Tuple[str, Any], ...] = ()

    def highest(self, origin: Origin) -> int:
        """Return the highest generation of ``origin`` that was ever armed; 0 = none."""
        return self.highest_server if origin is Origin.SERVER else self.highest_local

    def unproven_counts(self) -> Dict[str, int]:
        """Return the counted unproven trials by digest."""
        return dict(self.unproven)
