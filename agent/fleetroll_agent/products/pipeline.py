"""The course of a managed product: the rules of this package as one value for the machine of jobs."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.events import ChildGone, Probed, StepEnded, StepStarted
from fleetroll_agent.jobs.state import Result, State, running_attempt
from fleetroll_agent.jobs.values import Attempt, Moment, Stage, Step, Stop
from fleetroll_agent.products import back, forward, resuming, soaking, stepping
from fleetroll_agent.products.changes import work_of
from fleetroll_agent.products.recipe import GRACE_SECONDS
from fleetroll_agent.products.refusing import failed_before, refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_agent.jobs.course import Handler, Refusal
    from fleetroll_agent.jobs.effects import Effects
    from fleetroll_agent.jobs.events import TargetFound
    from fleetroll_agent.products.recipe import Recipe

_MUST_END_BACK = frozenset({Step.RESTORE, Step.ROLLBACK})
"""Commands that put data or a program back in place; the other steps of the way back do the same each time."""


class Pipeline:
    """The course of one managed product."""

    def __init__(self, recipe: Recipe) -> None:
        """Follow ``recipe``."""
        self.recipe = recipe
        self._handlers: Mapping[type, Handler] = MappingProxyType(
            {
                ChildGone: partial(resuming.on_child_gone, recipe),
                Probed: partial(soaking.on_probed, recipe),
                StepEnded: partial(forward.on_step_ended, recipe),
                StepStarted: stepping.on_step_started,
            }
        )

    @property
    def handlers(self) -> Mapping[type, Handler]:
        """Return the handlers of what steps and probes say."""
        return self._handlers

    def resume(self, state: State, moment: Moment) -> Result:
        """Take up an attempt past Go, or put in order what an ended one left."""
        return resuming.resume(self.recipe, state, moment)

    def refusal(self, state: State, found: TargetFound) -> Refusal | None:
        """Return why the release is not taken here."""
        return refusal(self.recipe, state, found)

    def failed_before(self, state: State, sha256: str) -> str:
        """Ask the product's record."""
        return failed_before(state, sha256)

    def excuses(self, state: State) -> Effects:  # noqa: ARG002 (ways back for want of contact are counted by nobody here)
        """Ask for nothing: no launcher counts here."""
        return ()

    def use_go(self, state: State, moment: Moment) -> Result:
        """Begin the steps."""
        return forward.use_go(self.recipe, state, moment)

    def is_switched(self, attempt: Attempt) -> bool:
        """Tell whether the switch was begun, or the way back is under way already."""
        work = work_of(attempt)
        return work.switched or work.going_back

    def way_back(self, state: State, moment: Moment) -> Result:
        """Go back at once while health is watched; a step that runs comes to its end first."""
        attempt = running_attempt(state)
        if attempt.stop is Stop.RECALL and attempt.step is Step.HEALTH and not work_of(attempt).going_back:
            return back.stop(self.recipe, state, moment)
        return state, ()

    def must_end(self, state: State) -> bool:
        """Tell whether a step runs whose cut would turn the attempt round, or leave data in pieces."""
        attempt = state.record.attempt
        if attempt is None or not attempt.past_go or attempt.step is None or state.job is None:
            return False
        if attempt.step is Step.HEALTH or (work_of(attempt).going_back and attempt.step not in _MUST_END_BACK):
            return False
        return not self.recipe.may_run_again(attempt.step)

    def leave(self, state: State) -> State:
        """Let a step that will be begun again lose no try."""
        attempt = state.record.attempt
        if attempt is None or not attempt.past_go or attempt.step is None:
            return state
        repeats = work_of(attempt).going_back or self.recipe.may_run_again(attempt.step)
        return stepping.give_back(state) if repeats else state

    def due(self, state: State, moment: Moment) -> Result:
        """Look at the health when it is time, or try again to end what is left of an earlier process."""
        attempt = state.record.attempt
        if attempt is None or not attempt.past_go:
            return state, ()
        after, effects = resuming.end_child_if_due(state, moment)
        return (after, effects) if effects else stepping.probe_if_due(state, moment)

    def next_due(self, state: State) -> float | None:
        """Return when that is."""
        attempt = state.record.attempt
        if attempt is None or not attempt.past_go or state.job is not None:
            return None
        return state.until if work_of(attempt).child is not None else state.probe_at

    def time_left(self, state: State, moment: Moment) -> float | None:
        """Return what the step at hand may take, and for the soak all of it; None before Go."""
        attempt = running_attempt(state)
        if not attempt.past_go or attempt.step is None:
            return None
        limit = self.recipe.limit_seconds(attempt.step) + GRACE_SECONDS
        if attempt.stage is not Stage.SOAKING or work_of(attempt).going_back:
            return limit
        held = 0.0 if state.soak_from is None else moment.monotonic_seconds - state.soak_from
        lease = attempt.lease_seconds if self.recipe.revert_on_lost_contact else 0.0
        return limit + max(attempt.soak_seconds, lease) - held
