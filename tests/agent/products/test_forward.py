"""From Go to the switch: the order of the steps, and what a failure of each means."""

from __future__ import annotations

import pytest

from fleetroll_agent.jobs.effects import OpenGate, RunStep
from fleetroll_agent.jobs.events import Assigned, StepEnded, Suspended
from fleetroll_agent.jobs.values import Said, Stage, Step
from fleetroll_agent.jobs.work import Installed
from fleetroll_common.values.codes import Code
from tests.faults.jobs import NEW, OLD
from tests.faults.managed_host import CHILD, COMMAND, MIGRATING, PLAIN, SLOTS, ManagedHost


def test_the_steps_come_in_their_order_and_the_version_is_kept_after_its_soak() -> None:
    host = ManagedHost.begin()
    host.to_go()
    host.up_to(Step.HEALTH)
    assert host.steps == ["check", "backup", "migrate", "smoke", "switch", "restart"]
    host.soak()
    assert host.said[-2:] == ["7 SOAKING health", "7 SUCCEEDED"]
    assert host.disk.current == Installed("1.1.0", NEW, "backup-1", migrated=True)
    assert host.disk.previous == Installed("1.0.0", OLD)


def test_migrate_runs_only_when_the_release_says_so() -> None:
    host = ManagedHost.begin()
    host.to_go(about=PLAIN)
    host.up_to(Step.HEALTH)
    assert host.steps == ["check", "backup", "smoke", "switch", "restart"]


def test_a_release_that_must_migrate_is_refused_where_nothing_can() -> None:
    host = ManagedHost.begin(COMMAND).with_(hooks=COMMAND.hooks - {Step.MIGRATE, Step.RESTORE})
    host.to_go()
    assert host.said[-1] == "7 FAILED NOT_ALLOWED"
    assert not host.steps


def test_every_step_is_on_disk_before_it_is_done() -> None:
    host = ManagedHost.begin()
    host.to_go()
    while host.attempt.step is not Step.HEALTH:
        assert host.disk.attempt == host.last(RunStep).attempt
        host.ends()


def test_a_process_runs_only_when_it_is_written_down() -> None:
    host = ManagedHost.begin()
    host.to_go()
    assert host.starts() == (OpenGate(host.last(RunStep).job),)
    assert host.disk.attempt.work.child == CHILD
    host.ends()
    assert host.disk.attempt.work.child is None


def test_the_word_of_another_job_is_late() -> None:
    host = ManagedHost.begin()
    host.to_go()
    before = host.state
    assert host.tell(StepEnded(host.last(RunStep).job + 1, Code.STEP_FAILED)) == ()
    assert host.state == before


@pytest.mark.parametrize("step", [Step.CHECK, Step.BACKUP])
def test_what_fails_before_anything_changed_changes_nothing(step: Step) -> None:
    host = ManagedHost.begin()
    host.to_go()
    host.up_to(step)
    host.ends(Code.STEP_FAILED, message="no")
    assert host.said[-1] == "7 FAILED STEP_FAILED"
    assert host.disk.current == Installed("1.0.0", OLD)


def test_a_smoke_test_that_fails_before_any_change_leaves_all_as_it_is() -> None:
    host = ManagedHost.begin()
    host.to_go(about=PLAIN)
    host.up_to(Step.SMOKE)
    host.ends(Code.STEP_FAILED)
    assert host.said[-1] == "7 FAILED STEP_FAILED"
    assert host.steps == ["check", "backup", "smoke"]


@pytest.mark.parametrize("step", [Step.MIGRATE, Step.SMOKE, Step.SWITCH, Step.RESTART])
def test_what_fails_after_a_change_goes_back(step: Step) -> None:
    host = ManagedHost.begin()
    host.to_go()
    host.up_to(step)
    host.ends(Code.STEP_FAILED, message="no")
    assert host.attempt.work.going_back
    assert host.attempt.work.message == "no"


def test_a_program_that_is_not_its_release_is_stopped_before_the_switch() -> None:
    host = ManagedHost.begin()
    host.to_go()
    host.ends(value="1.0.9")
    assert host.said[-1] == "7 FAILED VERSION_MISMATCH"
    assert NEW in host.disk.bad


def test_a_digest_that_failed_is_not_taken_again_unless_a_person_asks() -> None:
    host = ManagedHost.begin()
    host.to_go()
    host.ends(Code.STEP_FAILED)
    host.to_go(8)
    assert host.said[-1] == "8 FAILED BAD_DIGEST"
    host.to_go(9, retry_bad=True)
    assert host.attempt.stage is Stage.APPLYING


def test_a_failed_backup_says_nothing_about_the_release() -> None:
    host = ManagedHost.begin()
    host.to_go()
    host.up_to(Step.BACKUP)
    host.ends(Code.STEP_FAILED)
    assert not host.disk.bad


def test_the_kill_switch_stops_at_the_next_boundary() -> None:
    host = ManagedHost.begin()
    host.to_go()
    host.tell(Suspended("global", active=True))
    assert host.attempt is not None
    host.ends()
    assert host.said[-1] == "7 CANCELLED KILLED"


def test_a_migration_is_never_cut_off_and_then_taken_back() -> None:
    host = ManagedHost.begin()
    host.to_go()
    host.up_to(Step.MIGRATE)
    host.tell(Assigned(8, "1.0.0", recall=True))
    assert host.steps[-1] == "migrate"
    host.ends()
    assert host.steps[-1] == "restore"


def test_after_the_switch_the_kill_switch_lets_the_soak_end() -> None:
    host = ManagedHost.begin()
    host.to_go()
    host.up_to(Step.HEALTH)
    host.tell(Suspended("global", active=True))
    host.soak()
    assert host.said[-1] == "7 SUCCEEDED"


def test_each_step_announces_its_own_limit() -> None:
    host = ManagedHost.begin(SLOTS).with_(limits={Step.BACKUP: 1800.0})
    host.to_go(about=MIGRATING)
    host.up_to(Step.SMOKE)
    limits = [told.time_limit_seconds for told in host.journal if told.said is Said.APPLYING]
    assert limits == [630.0, 1830.0, 630.0, 630.0]
