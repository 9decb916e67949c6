"""From Go to the restart: self-test, arming, leaving. Each step is written down before it begins."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.effects import Arm, Leave, PassRecall
from fleetroll_agent.jobs.state import (
    Result,
    State,
    end_attempt,
    remember_bad,
    running_attempt,
    say_stage,
    with_attempt,
)
from fleetroll_agent.jobs.values import Attempt, Moment, Said, Stage, Step, Stop
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from fleetroll_agent.jobs.events import ArmDropped, Armed, SelfTested

RESTART = "restart into the trial"
NO_ANSWER = "the launcher did not answer; its record decides"

_PROVES = frozenset({Code.SELF_TEST_FAILED, Code.VERSION_MISMATCH})
"""What the program itself has shown. A disk, a slot that changed, or a defect of this program say nothing about it."""


def on_self_tested(state: State, event: SelfTested, moment: Moment) -> Result:
    """Go on to arming, or end with nothing changed."""
    if event.job != state.job:
        return state, ()
    state = replace(state, job=None)
    attempt = running_attempt(state)
    if event.code is not None:
        proven = event.by_itself and event.code in _PROVES
        state = remember_bad(state, attempt.sha256) if proven else state
        facts = {"code": event.code, "message": event.message, "output_tail": event.output_tail}
        return end_attempt(state, moment, Said.FAILED, unproven=not proven, **facts)
    if attempt.stop is not Stop.NOTHING:
        return _stopped(state, attempt, moment)
    state = with_attempt(state, step=Step.ARM)
    state = replace(say_stage(state, moment), arm_until=moment.boot_seconds + state.rules.arm)
    return state, (
        *state.course.excuses(state),
        Arm(
            attempt.generation,
            attempt.version,
            attempt.sha256,
            attempt.soak_seconds,
            attempt.lease_seconds,
            attempt.retry_bad,
            attempt.local,
            # A person's update is kept by the server where there is one: it must not cut the host off from it.
            by_host=bool(attempt.local) and not state.session,
        ),
    )


def on_armed(state: State, event: Armed, moment: Moment) -> Result:
    """Leave for the trial; or take it back when a stop was asked for before this answer."""
    attempt = state.record.attempt
    if attempt is None or not _answers(event, attempt):
        return state, ()
    if attempt.stop is not Stop.NOTHING:
        return replace(state, arm_until=moment.boot_seconds + state.rules.arm), (
            PassRecall(attempt.generation, attempt.local),
        )
    state = with_attempt(state, step=Step.RESTART)
    state = replace(say_stage(state, moment), arm_until=None, leaving=True)
    return state, (Leave(RESTART),)


def on_arm_dropped(state: State, event: ArmDropped, moment: Moment) -> Result:
    """End: the launcher refused, and nothing changed."""
    attempt = state.record.attempt
    if attempt is None or not _answers(event, attempt):
        return state, ()
    text = f"the launcher refused the trial: {event.code}"
    return end_attempt(state, moment, Said.FAILED, code=event.code, message=text)


def _answers(event: Armed | ArmDropped, attempt: Attempt) -> bool:
    """Tell whether the launcher speaks of this attempt's arming."""
    return (event.generation, event.local, Step.ARM) == (attempt.generation, attempt.local, attempt.step)


def leave_if_unanswered(state: State, moment: Moment) -> Result:
    """Leave when the launcher is silent: whatever it wrote is what runs next, and the agent that starts then knows."""
    if state.arm_until is None or moment.boot_seconds < state.arm_until:
        return state, ()
    return replace(state, arm_until=None, leaving=True), (Leave(NO_ANSWER),)


def _stopped(state: State, attempt: Attempt, moment: Moment) -> Result:
    """End at the step's boundary, as was asked; nothing was switched."""
    code = attempt.stop_code or Code.CANCELLED_BY
    return end_attempt(state, moment, Said.CANCELLED, code=code, message="stopped before the switch", **_back(state))


def _back(state: State) -> dict[str, str]:
    """Say what runs: the version that never stopped running."""
    return {"running_version": state.running.version}


def past_switch(attempt: Attempt) -> bool:
    """Tell whether the launcher acknowledged the trial."""
    return attempt.stage is Stage.TRIAL or attempt.step is Step.RESTART
