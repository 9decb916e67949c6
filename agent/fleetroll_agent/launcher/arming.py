"""What the child asks for: arm, promote, recall, excuse. Each request is compared with the record, never believed."""

from typing import Optional

from fleetroll_agent.launcher.events import Arm, Excuse, Moment, Promote, Purpose, Recall, Send
from fleetroll_agent.launcher.excusing import excuse, is_bad
from fleetroll_agent.launcher.limits import MAX_LEASE_SECONDS, TRIES
from fleetroll_agent.launcher.record import attempt_to_json
from fleetroll_agent.launcher.state import Phase, State, Step, join, persist, tell_record
from fleetroll_agent.launcher.trial import back, commit_if_due
from fleetroll_agent.launcher.values import Attempt, Authority, Origin, Reason, Record, Trial


def on_arm(state: State, arm: Arm, moment: Moment) -> Step:
    """Write the trial and say so, or drop the request with the reason."""
    code = refusal(state, arm)
    if code is not None:
        return state, (dropped("arm", arm.attempt, code),)
    limits = state.limits
    trial = Trial(
        slot=arm.slot,
        attempt=arm.attempt,
        authority=arm.authority,
        soak_seconds=arm.soak_seconds,
        lease_seconds=arm.lease_seconds,
        armed_at=moment.at,
        trial_end=moment.at + TRIES * limits.start + arm.lease_seconds,
        tries_left=TRIES,
    )
    record = _with_highest(state.record._replace(trial=trial, recovered=False), arm.attempt)
    state, write = persist(state, record, Purpose.ARM)
    state = state._replace(armed_at=moment.at)
    armed = Send({"type": "armed", "attempt": attempt_to_json(arm.attempt)})
    return state, (write, *tell_record(state), armed)


def refusal(state: State, arm: Arm) -> Optional[str]:
    """Return the code for which the request is dropped; None = it may be armed.

    A request whose attempt is not newer than every armed one is old: arming twice made hosts flap for ever.
    """
    record = state.record
    for refused, code in (
        (state.phase is not Phase.RUNNING, "UNAVAILABLE"),
        (arm.attempt.generation <= record.highest(arm.attempt.origin), "SUPERSEDED"),
        (record.trial is not None, "UPDATE_IN_PROGRESS"),
        (arm.attempt.origin is Origin.SERVER and arm.authority is not Authority.SERVER, "NOT_ALLOWED"),
        (not 0 <= arm.soak_seconds <= arm.lease_seconds <= MAX_LEASE_SECONDS, "INVALID_ARGUMENT"),
        (is_bad(record, arm.slot.digest) and not arm.retry_bad, "BAD_DIGEST"),
        (arm.slot.digest == record.current.digest, "ALREADY_AT_TARGET"),
        (arm.obstacle != "", arm.obstacle),
    ):
        if refused:
            return code
    return None


def arm_failed(state: State) -> Step:
    """Drop a request whose record could not be written; the disk may hold it, so the old one is written again."""
    trial = state.record.trial
    record = state.fallback._replace(seq=state.record.seq)
    state = state._replace(record=record, armed_at=None)
    if trial is None:
        return state, ()
    return state, (dropped("arm", trial.attempt, "STORE_FAILED"),)


def on_promote(state: State, promote: Promote, _moment: Moment) -> Step:
    """Journal a Promote for exactly this attempt and digest; the soak is held in full before it commits."""
    trial = state.record.trial
    if not state.on_trial or trial is None or (trial.attempt, trial.slot.digest) != (promote.attempt, promote.digest):
        return state, (dropped("promote", promote.attempt, "CONFLICT"),)
    if not trial.promoted:
        if state.soak_held and state.hello:
            return commit_if_due(_promoted(state, trial))
        state, write = persist(state, _promoted(state, trial).record, Purpose.NOTE)
        return join((write,), (state, tell_record(state)))
    return commit_if_due(state)


def _promoted(state: State, trial: Trial) -> State:
    return state._replace(record=state.record._replace(trial=trial._replace(promoted=True)))


def on_recall(state: State, recall: Recall, moment: Moment) -> Step:
    """Go back because a newer generation asked for it; says nothing about the digest."""
    trial = state.record.trial
    if trial is None or trial.attempt != recall.attempt:
        return state, (dropped("recall", recall.attempt, "CONFLICT"),)
    return back(state, moment, Reason.RECALLED, "RECALLED", "a newer generation asked for the way back")


def on_excuse(state: State, request: Excuse, _moment: Moment) -> Step:
    """Take one unproven way back from the count; a request that comes again, or means none, changes nothing."""
    record = excuse(state.record, request.attempt, request.digest)
    if record is state.record:
        return state, ()
    state, write = persist(state, record, Purpose.NOTE)
    return state, (write, *tell_record(state))


def dropped(request: str, attempt: Attempt, code: str) -> Send:
    """Return the answer to a request that changes nothing."""
    return Send({"type": "dropped", "request": request, "attempt": attempt_to_json(attempt), "reason": code})


def _with_highest(record: Record, attempt: Attempt) -> Record:
    if attempt.origin is Origin.SERVER:
        return record._replace(highest_server=attempt.generation)
    return record._replace(highest_local=attempt.generation)
