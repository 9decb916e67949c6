"""The three state machines as data: a host's attempt, a wave, a rollout.

Each table maps (state, trigger) to the next state. What is not in it is illegal: :func:`transition` raises.
"""

from __future__ import annotations

from enum import StrEnum, auto
from typing import TYPE_CHECKING, TypeVar

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping


class AttemptState(StrEnum):
    """Where one host stands in a rollout."""

    PENDING = auto()
    OFFERED = auto()
    DOWNLOADING = auto()
    STAGED = auto()
    GRANTED = auto()
    APPLYING = auto()
    TRIAL = auto()
    PROMOTED = auto()
    SOAKING = auto()
    SUCCEEDED = auto()
    FAILED = auto()
    ROLLED_BACK = auto()
    ROLLBACK_FAILED = auto()
    CANCELLED = auto()
    SKIPPED = auto()
    EXPIRED = auto()
    LOST = auto()


class Trigger(StrEnum):
    """What moves an attempt. Who may pull it: the server, the host's word, or both."""

    OFFER = auto()
    WITHDRAW = auto()
    DOWNLOAD = auto()
    STAGE = auto()
    GRANT = auto()
    APPLY = auto()
    TRY = auto()
    PROMOTE = auto()
    SOAK = auto()
    COMMIT = auto()
    FAIL = auto()
    ROLL_BACK = auto()
    ROLL_BACK_FAIL = auto()
    CANCEL = auto()
    END_BY_HOST = auto()
    REQUEUE = auto()
    SKIP = auto()
    EXPIRE = auto()
    LOSE = auto()
    RETURN = auto()
    """Contact with a host that had succeeded before it was lost."""
    RETRY = auto()
    """A person lets a host that went bad try again."""


class WaveState(StrEnum):
    """Where a wave stands."""

    PENDING = auto()
    AWAITING_APPROVAL = auto()
    OPEN = auto()
    BAKING = auto()
    PASSED = auto()
    FAILED = auto()


class WaveTrigger(StrEnum):
    """What moves a wave."""

    AWAIT = auto()
    OPEN = auto()
    BAKE = auto()
    PASS = auto()
    FAIL = auto()
    REOPEN = auto()


class RolloutState(StrEnum):
    """Where a rollout stands."""

    DRAFT = auto()
    AWAITING_APPROVAL = auto()
    SCHEDULED = auto()
    RUNNING = auto()
    PAUSED = auto()
    HALTED = auto()
    COMPLETED = auto()
    CANCELLED = auto()
    SUPERSEDED = auto()
    ROLLING_BACK = auto()
    ROLLED_BACK = auto()


class RolloutTrigger(StrEnum):
    """What moves a rollout."""

    START = auto()
    SCHEDULE = auto()
    PAUSE = auto()
    RESUME = auto()
    HALT = auto()
    COMPLETE = auto()
    CANCEL = auto()
    SUPERSEDE = auto()
    """A newer rollout takes its hosts over."""
    ROLL_BACK = auto()
    """Another rollout takes it back."""
    BACK = auto()
    """That one has completed."""
    GIVE_UP = auto()
    """That one was ended before it had."""


class RolloutKind(StrEnum):
    """What a rollout is for."""

    UPDATE = auto()
    """It brings a release to hosts."""
    REVERT = auto()
    """It takes another rollout back: each host to the version that it had before."""
    DIRECT = auto()
    """A person means one host, now."""


BEFORE_GO = frozenset({AttemptState.PENDING, AttemptState.OFFERED, AttemptState.DOWNLOADING, AttemptState.STAGED})
"""Nothing was spent: the server may end these by itself."""
PAST_GO = frozenset(
    {
        AttemptState.GRANTED,
        AttemptState.APPLYING,
        AttemptState.TRIAL,
        AttemptState.PROMOTED,
        AttemptState.SOAKING,
        AttemptState.LOST,
    }
)
"""From here on only the host's word decides."""
FINAL = frozenset(
    {
        AttemptState.SUCCEEDED,
        AttemptState.FAILED,
        AttemptState.ROLLED_BACK,
        AttemptState.ROLLBACK_FAILED,
        AttemptState.CANCELLED,
        AttemptState.SKIPPED,
        AttemptState.EXPIRED,
    }
)
"""Exactly one of these ends an attempt. LOST is none: contact turns it into a result.

A host that succeeded and falls silent while its wave is judged is LOST until its next word, and then SUCCEEDED again.
"""
BAD = frozenset({AttemptState.FAILED, AttemptState.ROLLED_BACK, AttemptState.ROLLBACK_FAILED, AttemptState.LOST})
"""What gates count."""
ENDED_ROLLOUT = frozenset(
    {RolloutState.COMPLETED, RolloutState.CANCELLED, RolloutState.SUPERSEDED, RolloutState.ROLLED_BACK}
)

_A, _T = AttemptState, Trigger

_BEFORE_GO_ENDS = {
    _T.FAIL: _A.FAILED,
    _T.CANCEL: _A.CANCELLED,
    _T.END_BY_HOST: _A.CANCELLED,
    _T.SKIP: _A.SKIPPED,
    _T.EXPIRE: _A.EXPIRED,
    _T.REQUEUE: _A.PENDING,
    _T.APPLY: _A.APPLYING,
    _T.TRY: _A.TRIAL,
    _T.SOAK: _A.SOAKING,
}
"""A host that shows itself past Go without a grant is believed, charged, and an alert."""
_PAST_GO_ENDS = {
    _T.COMMIT: _A.SUCCEEDED,
    _T.FAIL: _A.FAILED,
    _T.ROLL_BACK: _A.ROLLED_BACK,
    _T.ROLL_BACK_FAIL: _A.ROLLBACK_FAILED,
    _T.END_BY_HOST: _A.CANCELLED,
    _T.REQUEUE: _A.PENDING,
}

ATTEMPT_TRANSITIONS: Mapping[AttemptState, Mapping[Trigger, AttemptState]] = {
    _A.PENDING: {_T.OFFER: _A.OFFERED, _T.DOWNLOAD: _A.DOWNLOADING, _T.STAGE: _A.STAGED, **_BEFORE_GO_ENDS},
    _A.OFFERED: {_T.WITHDRAW: _A.PENDING, _T.DOWNLOAD: _A.DOWNLOADING, _T.STAGE: _A.STAGED, **_BEFORE_GO_ENDS},
    _A.DOWNLOADING: {_T.OFFER: _A.OFFERED, _T.DOWNLOAD: _A.DOWNLOADING, _T.STAGE: _A.STAGED, **_BEFORE_GO_ENDS},
    _A.STAGED: {
        _T.OFFER: _A.OFFERED,
        _T.DOWNLOAD: _A.DOWNLOADING,
        _T.STAGE: _A.STAGED,
        _T.GRANT: _A.GRANTED,
        **_BEFORE_GO_ENDS,
    },
    _A.GRANTED: {
        _T.DOWNLOAD: _A.DOWNLOADING,
        _T.STAGE: _A.STAGED,
        _T.GRANT: _A.GRANTED,
        _T.APPLY: _A.APPLYING,
        _T.TRY: _A.TRIAL,
        _T.SOAK: _A.SOAKING,
        _T.LOSE: _A.LOST,
        **_PAST_GO_ENDS,
    },
    _A.APPLYING: {
        _T.APPLY: _A.APPLYING,
        _T.TRY: _A.TRIAL,
        _T.SOAK: _A.SOAKING,
        _T.LOSE: _A.LOST,
        **_PAST_GO_ENDS,
    },
    _A.TRIAL: {_T.TRY: _A.TRIAL, _T.PROMOTE: _A.PROMOTED, _T.LOSE: _A.LOST, **_PAST_GO_ENDS},
    _A.PROMOTED: {_T.TRY: _A.PROMOTED, _T.PROMOTE: _A.PROMOTED, _T.LOSE: _A.LOST, **_PAST_GO_ENDS},
    _A.SOAKING: {_T.SOAK: _A.SOAKING, _T.LOSE: _A.LOST, **_PAST_GO_ENDS},
    _A.LOST: {
        _T.DOWNLOAD: _A.DOWNLOADING,
        _T.STAGE: _A.STAGED,
        _T.APPLY: _A.APPLYING,
        _T.TRY: _A.TRIAL,
        _T.SOAK: _A.SOAKING,
        _T.RETURN: _A.SUCCEEDED,
        **_PAST_GO_ENDS,
    },
    _A.SUCCEEDED: {_T.ROLL_BACK: _A.ROLLED_BACK, _T.LOSE: _A.LOST},
    _A.FAILED: {_T.RETRY: _A.PENDING},
    _A.ROLLED_BACK: {_T.RETRY: _A.PENDING},
    _A.ROLLBACK_FAILED: {_T.RETRY: _A.PENDING},
    _A.CANCELLED: {},
    _A.SKIPPED: {},
    _A.EXPIRED: {},
}

_W, _WT = WaveState, WaveTrigger
WAVE_TRANSITIONS: Mapping[WaveState, Mapping[WaveTrigger, WaveState]] = {
    _W.PENDING: {_WT.AWAIT: _W.AWAITING_APPROVAL, _WT.OPEN: _W.OPEN},
    _W.AWAITING_APPROVAL: {_WT.OPEN: _W.OPEN},
    _W.OPEN: {_WT.BAKE: _W.BAKING, _WT.PASS: _W.PASSED, _WT.FAIL: _W.FAILED},
    _W.BAKING: {_WT.PASS: _W.PASSED, _WT.FAIL: _W.FAILED, _WT.REOPEN: _W.OPEN},
    _W.PASSED: {},
    _W.FAILED: {_WT.REOPEN: _W.OPEN},
}

_R, _RT = RolloutState, RolloutTrigger
_STOPPABLE = {_RT.CANCEL: _R.CANCELLED}
ROLLOUT_TRANSITIONS: Mapping[RolloutState, Mapping[RolloutTrigger, RolloutState]] = {
    _R.DRAFT: {_RT.START: _R.RUNNING, **_STOPPABLE},
    _R.AWAITING_APPROVAL: {_RT.START: _R.RUNNING, _RT.SCHEDULE: _R.SCHEDULED, **_STOPPABLE},
    _R.SCHEDULED: {_RT.START: _R.RUNNING, _RT.PAUSE: _R.PAUSED, **_STOPPABLE},
    _R.RUNNING: {
        _RT.PAUSE: _R.PAUSED,
        _RT.HALT: _R.HALTED,
        _RT.COMPLETE: _R.COMPLETED,
        _RT.ROLL_BACK: _R.ROLLING_BACK,
        **_STOPPABLE,
    },
    _R.PAUSED: {
        _RT.PAUSE: _R.PAUSED,
        _RT.RESUME: _R.RUNNING,
        _RT.HALT: _R.HALTED,
        _RT.SUPERSEDE: _R.SUPERSEDED,
        _RT.ROLL_BACK: _R.ROLLING_BACK,
        **_STOPPABLE,
    },
    _R.HALTED: {
        _RT.RESUME: _R.RUNNING,
        _RT.SUPERSEDE: _R.SUPERSEDED,
        _RT.ROLL_BACK: _R.ROLLING_BACK,
        **_STOPPABLE,
    },
    _R.COMPLETED: {_RT.ROLL_BACK: _R.ROLLING_BACK},
    _R.CANCELLED: {},
    _R.SUPERSEDED: {},
    _R.ROLLING_BACK: {_RT.BACK: _R.ROLLED_BACK, _RT.GIVE_UP: _R.HALTED},
    _R.ROLLED_BACK: {},
}

S = TypeVar("S", bound=StrEnum)
T = TypeVar("T", bound=StrEnum)


class IllegalTransitionError(RequestError):
    """The machine knows no such step.

    Attributes:
        state: where it stands.
        trigger: what was tried.
    """

    def __init__(self, state: StrEnum, trigger: StrEnum) -> None:
        """Name both."""
        super().__init__(
            f"{trigger} is not possible while {state}",
            code=Code.ROLLOUT_STATE,
            remedy="read the state again",
            state=str(state),
            trigger=str(trigger),
        )
        self.state = state
        self.trigger = trigger


def transition(table: Mapping[S, Mapping[T, S]], state: S, trigger: T) -> S:
    """Return the next state.

    Raises:
        IllegalTransitionError: the table has no such step.
    """
    try:
        return table[state][trigger]
    except KeyError:
        raise IllegalTransitionError(state, trigger) from None
