"""Orderly stops on the way back: what puts data in place comes to its end, and no stop costs a try."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.jobs.effects import EndChild, RunStep
from fleetroll_agent.jobs.events import Leaving
from fleetroll_agent.jobs.values import Step
from fleetroll_agent.products.stepping import MAX_CUTS
from fleetroll_common.values.codes import Code
from tests.faults.managed_host import COMMAND, SLOTS, ManagedHost

if TYPE_CHECKING:
    from fleetroll_agent.products.recipe import Recipe


def going_back_in(step: Step, recipe: Recipe = SLOTS) -> ManagedHost:
    """Return a host whose way back is at ``step``."""
    host = ManagedHost.begin(recipe)
    host.to_go()
    host.up_to(Step.SMOKE)
    if recipe is SLOTS:
        host.up_to(Step.RESTART)
    host.ends(Code.STEP_FAILED)
    host.up_to(step)
    assert host.attempt.step is step
    return host


def must_end(host: ManagedHost) -> bool:
    return host.state.course.must_end(host.state)


@pytest.mark.parametrize(("step", "recipe"), [(Step.RESTORE, SLOTS), (Step.ROLLBACK, COMMAND)])
def test_it_waits_for_what_puts_data_back_and_the_next_agent_goes_on_behind_it(step: Step, recipe: Recipe) -> None:
    host = going_back_in(step, recipe)
    host.starts()
    host.tell(Leaving())
    assert must_end(host)
    begun = len(host.steps)
    host.ends()
    assert not must_end(host)
    assert len(host.steps) == begun, "nothing that would be cut is begun"
    host = host.crash()
    assert host.count(EndChild) == 0
    assert step.value not in host.steps
    host.up_to(Step.HEALTH_BACK)
    host.soak()
    assert host.said[-1] == "7 ROLLED_BACK STEP_FAILED"


def test_a_restore_that_fails_while_the_agent_leaves_is_tried_again_by_the_next_one() -> None:
    host = going_back_in(Step.RESTORE)
    host.tell(Leaving())
    begun = len(host.steps)
    host.ends(Code.STEP_FAILED)
    assert len(host.steps) == begun
    host = host.crash()
    assert host.last(RunStep).attempt.step is Step.RESTORE
    host.up_to(Step.HEALTH_BACK)
    host.soak()
    assert host.said[-1] == "7 ROLLED_BACK STEP_FAILED"


@pytest.mark.parametrize("step", [Step.SWITCH_BACK, Step.RESTART_BACK, Step.HEALTH_BACK])
def test_it_waits_for_no_other_step_of_the_way_back(step: Step) -> None:
    host = going_back_in(step)
    host.tell(Leaving())
    assert not must_end(host)


@pytest.mark.parametrize("step", [Step.SWITCH_BACK, Step.RESTORE, Step.RESTART_BACK, Step.HEALTH_BACK])
def test_orderly_stops_cost_no_try_of_the_way_back(step: Step) -> None:
    host = going_back_in(step)
    for _ in range(5):
        host.tell(Leaving(), Leaving())
        host = host.crash()
        assert (host.attempt.step, host.attempt.work.tries) == (step, 1)
    host.up_to(Step.HEALTH_BACK)
    host.soak()
    assert host.said[-1] == "7 ROLLED_BACK STEP_FAILED"


@pytest.mark.parametrize("step", [Step.CHECK, Step.SWITCH, Step.RESTART])
def test_orderly_stops_cost_no_try_of_the_way_forward(step: Step) -> None:
    host = ManagedHost.begin()
    host.to_go()
    host.up_to(step)
    for _ in range(5):
        host.tell(Leaving())
        host = host.crash()
    host.up_to(Step.HEALTH)
    host.soak()
    assert host.said[-1] == "7 SUCCEEDED"


def test_a_step_that_stops_the_agent_itself_is_given_up() -> None:
    host = going_back_in(Step.RESTART_BACK)
    for _ in range(MAX_CUTS + 3):
        assert host.attempt.step is Step.RESTART_BACK
        host.tell(Leaving())
        host = host.crash()
    assert host.attempt.step is Step.HEALTH_BACK


def test_what_fails_while_the_agent_leaves_turns_round_with_the_next_one() -> None:
    host = ManagedHost.begin()
    host.to_go()
    host.up_to(Step.MIGRATE)
    host.tell(Leaving())
    host.ends(Code.STEP_FAILED)
    assert host.attempt.work.going_back
    assert host.steps[-1] == "migrate"
    host = host.crash()
    assert host.last(RunStep).attempt.step is Step.RESTORE


def test_what_an_earlier_agent_left_is_ended_and_the_next_one_goes_on() -> None:
    host = going_back_in(Step.RESTORE)
    host.starts()
    host = host.crash()
    host.tell(Leaving())
    host.gone()
    assert host.steps == []
    host = host.crash()
    assert host.count(EndChild) == 0
    assert host.last(RunStep).attempt.step is Step.RESTORE
