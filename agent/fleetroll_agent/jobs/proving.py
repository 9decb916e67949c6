"""What the launcher's record says about an attempt past Go: trial, commit, way back. Nothing is inferred.

The launcher writes how each trial ended, with the attempt's id; the agent takes every such outcome over once. An
attempt past Go that the record knows nothing of was never armed: nothing changed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs.applying import RESTART, past_switch
from fleetroll_agent.jobs.effects import Effects, Leave, PassPromote, PassRecall, Tidy
from fleetroll_agent.jobs.state import (
    Result,
    State,
    add_outcome,
    boot_record,
    end_attempt,
    join,
    say_stage,
    with_attempt,
)
from fleetroll_agent.jobs.values import Attempt, Moment, Outcome, Said, Stage, Step, Stop
from fleetroll_agent.launcher.values import Attempt as LauncherAttempt
from fleetroll_agent.launcher.values import Ended, Origin, Reason
from fleetroll_agent.launcher.values import Outcome as Word
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from fleetroll_agent.jobs.events import LauncherTold, Promoted

MAX_SETTLED = 16
"""More than the outcomes that a launcher keeps (five)."""


def on_launcher_told(state: State, event: LauncherTold, moment: Moment) -> Result:
    """Take over what the record says about attempts that ended."""
    return settle(replace(state, launcher=event.record), moment)


def settle(state: State, moment: Moment) -> Result:
    """Take over every outcome of the launcher that is new, oldest first."""
    record = boot_record(state)
    words = [*reversed(record.earlier), *(() if record.last is None else (record.last,))]
    effects: Effects = ()
    for word in words:
        if _key(word) not in state.record.settled:
            state, more = _take_over(state, word, moment)
            effects = (*effects, *more)
    return state, effects


def resolve(state: State, moment: Moment) -> Result:
    """Find out, at the start of a process, where an attempt past Go stands."""
    state, effects = settle(_adopt(state), moment)
    attempt = state.record.attempt
    if attempt is None or not (attempt.past_go or _was_armed(state, attempt)):
        return state, effects
    return join(effects, _resolve(state, attempt, moment))


def on_promoted(state: State, event: Promoted, _moment: Moment) -> Result:
    """Write a Promote for exactly this attempt and digest down, then pass it on; any other is dropped."""
    attempt = state.record.attempt
    if attempt is None or attempt.stage is not Stage.TRIAL:
        return state, ()
    if (attempt.generation, attempt.local, attempt.sha256) != (event.generation, event.local, event.sha256):
        return state, ()
    return with_attempt(state, promoted=True), (PassPromote(event.generation, event.sha256, event.local),)


def _adopt(state: State) -> State:
    """Take a trial over of which this record knows nothing (its file was lost): it runs, so it is an attempt.

    Also: what the launcher armed is never below the highest generation that was taken.
    """
    record, launcher = state.record, boot_record(state)
    record = replace(
        record,
        highest=max(record.highest, launcher.highest(Origin.SERVER)),
        locals=max(record.locals, launcher.highest(Origin.LOCAL)),
    )
    trial, known = launcher.trial, record.attempt
    if trial is None or (known and _is_mine(trial.attempt, known)):
        return replace(state, record=record)
    is_local = trial.attempt.origin is Origin.LOCAL
    adopted = Attempt(
        0 if is_local else trial.attempt.generation,
        trial.slot.version,
        trial.soak_seconds,
        trial.lease_seconds,
        stage=Stage.APPLYING,
        sha256=trial.slot.digest,
        local=trial.attempt.generation if is_local else 0,
    )
    waits = known is not None and known.generation > adopted.generation
    return replace(state, record=replace(record, attempt=adopted, waiting=known if waits else record.waiting))


def _resolve(state: State, attempt: Attempt, moment: Moment) -> Result:
    trial = boot_record(state).trial
    if trial is not None and _is_mine(trial.attempt, attempt):
        if trial.slot.digest == state.running.sha256:
            return _in_trial(state, attempt, moment, launcher_has_it=trial.promoted)
        return replace(state, leaving=True), (Leave(RESTART),)
    if not _was_armed(state, attempt):
        return _never_armed(state, attempt, moment)
    current = boot_record(state).current
    if _is_mine(current.attempt, attempt) or (boot_record(state).recovered and current.digest == attempt.sha256):
        return end_attempt(state, moment, Said.SUCCEEDED, running_version=current.version)
    text = "the launcher's record was rebuilt and says nothing about this attempt"
    return _rolled_back(state, moment, code=Code.UNPROVEN, message=text, unproven=True)


def _in_trial(state: State, attempt: Attempt, moment: Moment, *, launcher_has_it: bool) -> Result:
    """Be the version on trial: report that once, and repeat to the launcher what it may not have got."""
    if attempt.stage is not Stage.TRIAL:
        state = say_stage(with_attempt(state, stage=Stage.TRIAL, step=None), moment)
    effects: Effects = ()
    if attempt.stop is Stop.RECALL:
        effects = (PassRecall(attempt.generation, attempt.local),)
    elif attempt.promoted and not launcher_has_it:
        effects = (PassPromote(attempt.generation, attempt.sha256, attempt.local),)
    return state, effects


def _never_armed(state: State, attempt: Attempt, moment: Moment) -> Result:
    if attempt.stop is not Stop.NOTHING:
        facts: dict[str, Any] = {"code": attempt.stop_code, "running_version": state.running.version}
        return end_attempt(state, moment, Said.CANCELLED, message="stopped before the switch", **facts)
    text = "the agent was started anew between its permit and the switch; nothing was changed"
    return end_attempt(state, moment, Said.FAILED, code=Code.STEP_FAILED, message=text, unproven=True)


def _take_over(state: State, word: Word, moment: Moment) -> Result:
    """Turn one outcome of the launcher into one of the attempt that it names."""
    settled = (*state.record.settled, _key(word))[-MAX_SETTLED:]
    state = replace(state, record=replace(state.record, settled=settled))
    if word.attempt is None:
        return state, ()
    said, facts = _meaning(state, word)
    attempt = state.record.attempt
    if attempt is not None and _is_mine(word.attempt, attempt):
        state = with_attempt(state, sha256=word.digest)
        return end_attempt(state, moment, said, output_tail=word.tail, **facts)
    is_local = word.attempt.origin is Origin.LOCAL
    number = word.attempt.generation
    outcome = Outcome(0, 0 if is_local else number, word.version, said, word.digest, **facts)
    outcome = replace(outcome, local=number if is_local else 0)
    return add_outcome(state, moment, outcome, word.tail), (Tidy(),)


def _meaning(state: State, word: Word) -> tuple[Said, dict[str, Any]]:
    """Return the result that the launcher's words stand for."""
    running = boot_record(state).current.version
    if word.ended is not Ended.ROLLED_BACK:
        locally = word.ended is Ended.COMMITTED_LOCALLY
        return Said.SUCCEEDED, {"running_version": word.version, "committed_locally": locally}
    facts: dict[str, Any] = {"code": _code(word.code), "message": word.detail, "running_version": running}
    if word.reason is not Reason.RECALLED:
        return Said.ROLLED_BACK, {**facts, "unproven": word.reason is Reason.UNPROVEN}
    attempt = state.record.attempt
    if attempt is not None and _is_mine(word.attempt, attempt) and attempt.stop_code is not None:
        facts["code"] = attempt.stop_code
    return Said.CANCELLED, facts


def _rolled_back(state: State, moment: Moment, **facts: Any) -> Result:  # noqa: ANN401 (fields of Outcome)
    return end_attempt(state, moment, Said.ROLLED_BACK, running_version=boot_record(state).current.version, **facts)


def _was_armed(state: State, attempt: Attempt) -> bool:
    """Tell whether the launcher armed the attempt; a record that was rebuilt forgot it, so then the asking counts."""
    mine = _own_id(attempt)
    armed = boot_record(state).highest(mine.origin) >= mine.generation or past_switch(attempt)
    return armed or (boot_record(state).recovered and attempt.step is Step.ARM)


def _is_mine(named: LauncherAttempt | None, attempt: Attempt) -> bool:
    return named == _own_id(attempt)


def _own_id(attempt: Attempt) -> LauncherAttempt:
    """Return the attempt's id as the launcher knows it."""
    if attempt.local:
        return LauncherAttempt(Origin.LOCAL, attempt.local)
    return LauncherAttempt(Origin.SERVER, attempt.generation)


def _key(word: Word) -> str:
    """Name an outcome of the launcher: the same attempt can end twice, kept and later put back."""
    return f"{word.attempt or word.digest[:16]} {word.ended.value} {word.reason.value}".strip()


def _code(text: str) -> Code:
    """Return the launcher's code; one of a newer launcher is STEP_FAILED, its sentence says the rest."""
    return Code(text) if text in Code.__members__ else Code.STEP_FAILED
