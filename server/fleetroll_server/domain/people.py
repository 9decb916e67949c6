"""Decisions of people: stopping needs no revision, spreading is refused on an older one than the newest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.decide import gate
from fleetroll_server.domain.gates import Verdict
from fleetroll_server.domain.states import (
    ENDED_ROLLOUT,
    ROLLOUT_TRANSITIONS,
    RolloutState,
    RolloutTrigger,
    WaveState,
    transition,
)

if TYPE_CHECKING:
    from fleetroll_server.domain.decide import Summary, WaveSummary


def require_revision(given: int, current: int, what_changed: str) -> None:
    """Refuse a decision that was drawn from something that is no longer so.

    Raises:
        RequestError: REVISION without one, STALE_DECISION for an older one; it says what changed (caller's fault).
    """
    if given <= 0:
        message = "decision_revision: it is missing"
        raise RequestError(message, code=Code.REVISION, remedy="read the rollout and decide on what it shows")
    if given != current:
        message = f"decision_revision: {given} is not the newest, {current}: {what_changed}"
        raise RequestError(
            message, code=Code.STALE_DECISION, remedy="read the rollout again and decide anew", current=str(current)
        )


def resume(state: RolloutState) -> RolloutState:
    """Return the state after a resume.

    Raises:
        IllegalTransitionError: it is neither paused nor halted (caller's fault).
    """
    return transition(ROLLOUT_TRANSITIONS, state, RolloutTrigger.RESUME)


def require_waiting_wave(summary: Summary) -> WaveSummary:
    """Return the wave about which a person decides: one that waits to be opened, or whose gate could not tell.

    Raises:
        RequestError: ROLLOUT_STATE or WAVE_NOT_PASSED (caller's fault).
    """
    wave = summary.wave
    if summary.state is RolloutState.PAUSED and wave is not None and _cannot_tell(summary):
        return wave
    if summary.state is not RolloutState.RUNNING:
        message = f"the rollout is {summary.state}, not running"
        raise RequestError(message, code=Code.ROLLOUT_STATE, remedy="resume it first")
    if wave is None or wave.state is not WaveState.AWAITING_APPROVAL:
        number = wave.number if wave else 0
        message = f"wave {number} has not passed its gate: no wave waits for a person"
        raise RequestError(message, code=Code.WAVE_NOT_PASSED, remedy="wait for the gate, or cancel")
    return wave


def require_advance(summary: Summary) -> None:
    """Refuse to advance to a wave that a second person must approve; that a gate can't tell is anybody's to decide.

    Raises:
        RequestError: NOT_ALLOWED (caller's fault).
    """
    if summary.state is RolloutState.RUNNING and summary.wave_approval:
        message = "each wave of this rollout is approved by another token than the one that started it"
        raise RequestError(message, code=Code.NOT_ALLOWED, remedy="approve it: fleetroll rollout approve")


def _cannot_tell(summary: Summary) -> bool:
    """Tell whether the gate of the current wave lacks data."""
    result = gate(summary)
    return result is not None and result.verdict is Verdict.INCONCLUSIVE


def stop(state: RolloutState, trigger: RolloutTrigger) -> RolloutState:
    """Return the state after a pause or a cancel; ending twice is no error, it stays as it ended.

    Raises:
        IllegalTransitionError: the state knows no such stop (caller's fault).
    """
    if state in ENDED_ROLLOUT and trigger is RolloutTrigger.CANCEL and state is RolloutState.CANCELLED:
        return state
    return transition(ROLLOUT_TRANSITIONS, state, trigger)
