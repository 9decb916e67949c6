"""The agent was killed past Go: what still runs is ended first, then the attempt goes on or back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent.jobs.effects import EndChild, HoldLock, OpenGate, Probe, RunStep
from fleetroll_agent.jobs.events import Leaving, StepStarted, Suspended
from fleetroll_agent.jobs.values import Stage, Step
from fleetroll_common.values.codes import Code
from tests.faults.managed_host import CHILD, COMMAND, PLAIN, SLOTS, ManagedHost

if TYPE_CHECKING:
    from fleetroll_agent.products.recipe import Recipe


def killed_in(step: Step, recipe: Recipe = SLOTS, **more: Any) -> ManagedHost:
    host = ManagedHost.begin(recipe)
    host.to_go(**more)
    host.up_to(step)
    return host.crash()


def test_the_lock_is_held_and_what_runs_is_ended_before_anything_else() -> None:
    host = ManagedHost.begin()
    host.to_go()
    host.up_to(Step.MIGRATE)
    host.starts()
    host = host.crash()
    assert host.state.job is not None
    assert host.effects == [HoldLock(), EndChild(host.state.job, CHILD)]
    host.gone(gone=False)
    assert host.wait(9) == ()
    assert [type(effect) for effect in host.wait(1)] == [EndChild]
    host.gone()
    assert host.attempt.step is Step.RESTORE


@pytest.mark.parametrize("step", [Step.CHECK, Step.SWITCH, Step.RESTART])
def test_what_does_the_same_again_is_begun_again(step: Step) -> None:
    host = killed_in(step)
    assert host.last(RunStep).attempt.step is step
    assert host.attempt.work.tries == 2
    host.up_to(Step.HEALTH)
    host.soak()
    assert host.said[-1] == "7 SUCCEEDED"


def test_a_backup_that_was_cut_off_changed_nothing() -> None:
    host = killed_in(Step.BACKUP)
    assert host.said[-1] == "7 FAILED STEP_FAILED"
    assert "started anew while the step backup ran" in host.journal[-1].message
    assert host.journal[-1].unproven


@pytest.mark.parametrize("step", [Step.MIGRATE, Step.SMOKE])
def test_what_was_cut_off_after_a_change_goes_back(step: Step) -> None:
    host = killed_in(step)
    assert host.attempt.work.going_back
    assert host.attempt.work.unproven
    assert not host.disk.bad


def test_a_step_that_is_marked_so_is_run_again() -> None:
    host = killed_in(Step.SMOKE, replace(SLOTS, idempotent=frozenset({Step.SMOKE})))
    assert host.last(RunStep).attempt.step is Step.SMOKE


def test_a_switch_by_command_is_not_begun_again() -> None:
    host = killed_in(Step.SWITCH, COMMAND)
    assert host.attempt.step is Step.ROLLBACK


def test_a_step_that_kills_the_agent_is_given_up() -> None:
    host = killed_in(Step.SWITCH)
    host = host.crash()
    assert host.attempt.work.tries == 3
    host = host.crash()
    assert host.attempt.work.going_back


def test_the_soak_begins_anew() -> None:
    host = ManagedHost.begin()
    host.to_go()
    host.up_to(Step.HEALTH)
    host.looks()
    host.looks()
    host = host.crash()
    assert host.attempt.stage is Stage.SOAKING
    for _ in range(3):
        host.looks()
    assert host.attempt is not None
    host.looks()
    assert host.said[-1] == "7 SUCCEEDED"


def test_the_way_back_is_repeated_where_it_was() -> None:
    host = ManagedHost.begin()
    host.to_go()
    host.up_to(Step.RESTART)
    host.ends(Code.STEP_FAILED, message="no")
    host.up_to(Step.RESTORE)
    host = host.crash()
    assert host.last(RunStep).attempt.step is Step.RESTORE
    host.up_to(Step.HEALTH_BACK)
    host = host.crash()
    for _ in range(3):
        host.looks()
    assert host.said[-1] == "7 ROLLED_BACK STEP_FAILED"


def test_a_way_back_that_kills_the_agent_each_time_goes_on_with_its_next_step() -> None:
    host = killed_in(Step.SWITCH, about=PLAIN)
    host.ends(Code.STEP_FAILED)
    for _ in range(3):
        assert host.attempt.step is Step.SWITCH_BACK
        host = host.crash()
    assert host.attempt.step is Step.RESTART_BACK


def test_an_attempt_before_go_goes_on_as_every_other() -> None:
    host = ManagedHost.begin()
    host.to_go()
    assert host.attempt is not None
    host = ManagedHost.begin(SLOTS, replace(host.disk, attempt=replace(host.attempt, stage=Stage.STAGED, work=None)))
    assert host.effects == []
    assert host.attempt.stage is Stage.STAGED


@pytest.mark.parametrize("step", [Step.SMOKE, Step.RESTART])
def test_a_step_that_the_settings_no_longer_have_goes_back(step: Step) -> None:
    host = ManagedHost.begin()
    host.to_go()
    host.up_to(step)
    host = ManagedHost.begin(replace(SLOTS, hooks=SLOTS.hooks - {step}), host.disk)
    assert host.attempt.work.going_back


def test_a_look_at_the_health_that_is_a_command_is_written_down_and_ended_by_the_next_agent() -> None:
    """It may hang: two of them would answer for each other."""
    host = ManagedHost.begin()
    host.to_go()
    host.up_to(Step.HEALTH)
    effects = host.tell(StepStarted(host.last(Probe).job, CHILD))
    assert effects == (OpenGate(host.last(Probe).job),)
    assert host.attempt.work.child == CHILD
    host = host.crash()
    assert [type(effect) for effect in host.effects] == [HoldLock, EndChild]
    host.gone()
    assert host.count(Probe) == 1
    host.soak()
    assert host.said[-1] == "7 SUCCEEDED"


def test_a_look_that_ended_leaves_no_process_behind_in_the_record() -> None:
    host = ManagedHost.begin()
    host.to_go()
    host.up_to(Step.HEALTH)
    host.tell(StepStarted(host.last(Probe).job, CHILD))
    host.looks()
    assert host.attempt.work.child is None
    host.looks()
    assert host.count(Probe) == 2
    assert host.count(EndChild) == 0


def leaving_in(step: Step, recipe: Recipe = SLOTS, **more: Any) -> ManagedHost:
    """Return a host whose agent was asked to end while ``step`` runs."""
    host = ManagedHost.begin(recipe)
    host.to_go(**more)
    host.up_to(step)
    host.starts()
    host.tell(Leaving())
    return host


@pytest.mark.parametrize("step", [Step.BACKUP, Step.MIGRATE, Step.SMOKE])
def test_an_agent_that_is_asked_to_end_waits_for_a_step_and_the_next_one_goes_on(step: Step) -> None:
    host = leaving_in(step)
    assert host.state.course.must_end(host.state)
    begun = len(host.steps)
    host.ends()
    assert not host.state.course.must_end(host.state)
    assert len(host.steps) == begun, "nothing that would be cut is begun"
    host = host.crash()
    assert host.count(EndChild) == 0
    assert step.value not in host.steps
    host.up_to(Step.HEALTH)
    host.soak()
    assert host.said[-1] == "7 SUCCEEDED"


def test_a_backup_that_ended_while_the_agent_left_is_known_to_the_next_one() -> None:
    host = leaving_in(Step.BACKUP)
    host.ends()
    host = host.crash()
    host.ends(Code.STEP_FAILED)
    assert host.last(RunStep).attempt.work.backup_id == "backup-1"
    assert host.last(RunStep).attempt.step is Step.RESTORE


@pytest.mark.parametrize("step", [Step.CHECK, Step.SWITCH, Step.RESTART])
def test_it_waits_for_nothing_that_can_be_begun_again(step: Step) -> None:
    host = leaving_in(step)
    assert not host.state.course.must_end(host.state)


def test_an_agent_that_is_killed_while_it_waits_is_as_ever() -> None:
    host = leaving_in(Step.MIGRATE).crash()
    host.gone()
    assert host.attempt.step is Step.RESTORE


def test_a_stop_that_came_meanwhile_counts_before_the_next_step() -> None:
    host = leaving_in(Step.BACKUP)
    host.tell(Suspended("global", active=True))
    host.ends()
    assert host.said[-1] == "7 CANCELLED KILLED"
