"""The course of the product ``agent``: the launcher tries it, and its record is the truth."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from fleetroll_agent.jobs import applying, proving
from fleetroll_agent.jobs.effects import Effects, PassExcuse, PassRecall, RunSelfTest
from fleetroll_agent.jobs.events import ArmDropped, Armed, LauncherTold, Promoted, SelfTested, TargetFound
from fleetroll_agent.jobs.obstacles import counts
from fleetroll_agent.jobs.refusing import refuse_bad, refuse_by_policy
from fleetroll_agent.jobs.state import (
    Result,
    State,
    boot_record,
    new_job,
    running_attempt,
    say_stage,
    with_attempt,
)
from fleetroll_agent.jobs.values import Attempt, Moment, Stage, Step
from fleetroll_agent.launcher.excusing import UNPROVEN_LIMIT, excuse, is_bad
from fleetroll_agent.launcher.values import Attempt as LauncherAttempt
from fleetroll_agent.launcher.values import Origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_agent.jobs.course import Handler, Refusal
    from fleetroll_agent.launcher.values import Record


class OwnCourse:
    """The agent itself."""

    @property
    def handlers(self) -> Mapping[type, Handler]:
        """Return the handlers of what the launcher and the self-test say."""
        return _HANDLERS

    def resume(self, state: State, moment: Moment) -> Result:
        """Ask the launcher's record."""
        return proving.resolve(state, moment)

    def refusal(self, state: State, found: TargetFound) -> Refusal | None:
        """Refuse what agent.toml does not allow, and a digest that failed here, unless a person asked for it."""
        return refuse_by_policy(state, found.about) or refuse_bad(state, self.failed_before(state, found.sha256))

    def failed_before(self, state: State, sha256: str) -> str:
        """Ask the launcher's record, and this one."""
        return _bad(state, sha256)

    def excuses(self, state: State) -> Effects:
        """Return the request that the launcher counts one way back less, while its record still counts it.

        The launcher owns that record. It takes requests in their order, so one that is made before the arming is
        written before, or with, the trial.
        """
        attempt = running_attempt(state)
        if attempt.excused and _excused(state) is not boot_record(state):
            return (PassExcuse(attempt.generation, attempt.sha256),)
        return ()

    def use_go(self, state: State, moment: Moment) -> Result:
        """Begin with the first time that the new code runs."""
        started_at = moment.wall_seconds if counts(state) else state.record.started_at
        state, job = new_job(state)
        state = with_attempt(state, stage=Stage.APPLYING, step=Step.SELF_TEST)
        attempt = running_attempt(state)
        state = replace(state, record=replace(state.record, started_at=started_at))
        return say_stage(state, moment), (RunSelfTest(job, attempt.version, attempt.sha256),)

    def is_switched(self, attempt: Attempt) -> bool:
        """Tell whether the launcher acknowledged the trial."""
        return applying.past_switch(attempt)

    def way_back(self, state: State, moment: Moment) -> Result:  # noqa: ARG002 (the launcher's clock counts)
        """Ask the launcher at once where the switch was made."""
        attempt = running_attempt(state)
        return state, (PassRecall(attempt.generation, attempt.local),) if self.is_switched(attempt) else ()

    def must_end(self, state: State) -> bool:  # noqa: ARG002 (a self-test changes nothing)
        """Tell that nothing does."""
        return False

    def leave(self, state: State) -> State:
        """Write nothing down: a self-test begins anew with the next process."""
        return state

    def due(self, state: State, moment: Moment) -> Result:
        """Leave when the launcher owes an answer for too long."""
        return applying.leave_if_unanswered(state, moment)

    def next_due(self, state: State) -> float | None:
        """Return when the launcher's answer is due."""
        return state.arm_until

    def time_left(self, state: State, moment: Moment) -> float | None:
        """Return what the launcher's trial has left, and the way back."""
        trial, attempt = boot_record(state).trial, running_attempt(state)
        if trial is None or trial.attempt.generation != (attempt.local or attempt.generation):
            return None
        return max(0.0, trial.trial_end - moment.monotonic_seconds) + state.rules.way_back


OWN = OwnCourse()


def _excused(state: State) -> Record:
    """Return the launcher's record as it is once the excuse was taken."""
    attempt, record = state.record.attempt, boot_record(state)
    if attempt is None or not attempt.excused:
        return record
    return excuse(record, LauncherAttempt(Origin.SERVER, attempt.generation), attempt.sha256)


def _bad(state: State, sha256: str) -> str:
    """Say how a digest failed here; empty when it did not."""
    if sha256 in boot_record(state).bad:
        return "this digest was tried here and put back as bad"
    if is_bad(_excused(state), sha256):
        return f"{UNPROVEN_LIMIT} trials of this digest ended here without proof"
    if sha256 in state.record.bad:
        return "this digest failed its self-test here"
    return ""


_HANDLERS: Mapping[type, Handler] = MappingProxyType(
    {
        ArmDropped: applying.on_arm_dropped,
        Armed: applying.on_armed,
        LauncherTold: proving.on_launcher_told,
        Promoted: proving.on_promoted,
        SelfTested: applying.on_self_tested,
    }
)
