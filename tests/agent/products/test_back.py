"""The way back: its steps, its health, and what is said when it can't be gone."""

from __future__ import annotations

from typing import Any

import pytest

from fleetroll_agent.jobs.events import Assigned
from fleetroll_agent.jobs.values import Said, Step
from fleetroll_agent.jobs.work import About, Installed
from fleetroll_common.values.codes import Code
from tests.faults.jobs import OLD
from tests.faults.managed_host import COMMAND, PLAIN, SLOTS, ManagedHost


def failing_at(step: Step, host: ManagedHost, **more: Any) -> ManagedHost:
    host.to_go(**more)
    host.up_to(step)
    before = len(host.effects)
    host.ends(Code.STEP_FAILED, message="broken", output_tail="last words")
    del host.effects[:before]
    return host


def test_the_way_back_restores_what_was_migrated() -> None:
    host = failing_at(Step.SMOKE, ManagedHost.begin())
    host.up_to(Step.HEALTH_BACK)
    assert host.steps == ["restore", "restart_back"]


def test_the_switch_is_taken_back_first() -> None:
    host = failing_at(Step.RESTART, ManagedHost.begin())
    host.up_to(Step.HEALTH_BACK)
    assert host.steps == ["switch_back", "restore", "restart_back"]


def test_without_a_migration_nothing_is_restored() -> None:
    host = failing_at(Step.RESTART, ManagedHost.begin(), about=PLAIN)
    host.up_to(Step.HEALTH_BACK)
    assert host.steps == ["switch_back", "restart_back"]


def test_commands_go_back_by_their_own_command() -> None:
    host = failing_at(Step.SWITCH, ManagedHost.begin(COMMAND))
    host.up_to(Step.HEALTH_BACK)
    assert host.steps == ["rollback", "restore"]


def test_it_ends_when_the_previous_version_is_healthy_several_times() -> None:
    host = failing_at(Step.RESTART, ManagedHost.begin())
    host.up_to(Step.HEALTH_BACK)
    host.looks()
    host.looks(healthy=False)
    for _ in range(2):
        host.looks()
        assert host.attempt is not None
    host.looks()
    assert host.said[-1] == "7 ROLLED_BACK STEP_FAILED"
    last = host.journal[-1]
    assert (last.message, last.output_tail, last.running_version) == ("broken", "last words", "1.0.0")
    assert host.disk.current == Installed("1.0.0", OLD)


def test_the_new_version_still_answering_is_not_the_previous_one() -> None:
    host = failing_at(Step.RESTART, ManagedHost.begin())
    host.up_to(Step.HEALTH_BACK)
    for _ in range(40):
        if host.attempt is not None:
            host.looks(version="1.1.0")
    assert host.said[-1] == "7 ROLLBACK_FAILED HEALTH_FAILED"


def test_a_previous_version_that_is_not_healthy_needs_a_person() -> None:
    host = failing_at(Step.RESTART, ManagedHost.begin())
    host.up_to(Step.HEALTH_BACK)
    for _ in range(40):
        if host.attempt is not None:
            host.looks(healthy=False, message="connection refused")
    assert host.said[-1] == "7 ROLLBACK_FAILED HEALTH_FAILED"
    text = host.journal[-1].message
    assert "connection refused" in text
    assert "broken" in text
    assert "bring 1.0.0 up by hand; the backup is backup-1" in text


def test_a_step_of_the_way_back_is_tried_again_and_the_others_are_done_all_the_same() -> None:
    host = failing_at(Step.RESTART, ManagedHost.begin())
    host.up_to(Step.RESTORE)
    for _ in range(3):
        host.ends(Code.STEP_FAILED, message="no backup there")
    host.up_to(Step.HEALTH_BACK)
    assert host.steps == ["switch_back", "restore", "restore", "restore", "restart_back"]
    for _ in range(3):
        host.looks()
    assert host.said[-1] == "7 ROLLBACK_FAILED STEP_FAILED"
    assert "no backup there" in host.journal[-1].message


def test_commands_without_a_way_back_say_so_at_once() -> None:
    host = ManagedHost.begin(COMMAND).with_(hooks=COMMAND.hooks - {Step.ROLLBACK})
    failing_at(Step.PULL, host)
    assert host.said[-1] == "7 ROLLBACK_FAILED STEP_FAILED"
    assert "agent.toml has no rollback" in host.journal[-1].message


def test_a_first_installation_has_nothing_to_become_healthy_again() -> None:
    host = ManagedHost.begin(SLOTS)
    failing_at(Step.RESTART, host, about=About(("stable",), "abc1234", fresh=True))
    host.up_to(Step.RESTART_BACK)
    host.ends(Code.STEP_FAILED)
    assert host.steps == ["switch_back", "restart_back"], "what was started of the new version is not left running"
    assert host.said[-1] == "7 ROLLED_BACK STEP_FAILED"


@pytest.mark.parametrize("soaking", [False, True])
def test_a_recall_takes_a_switched_version_back(soaking: bool) -> None:
    host = ManagedHost.begin()
    host.to_go()
    host.up_to(Step.HEALTH)
    if soaking:
        host.looks()
    host.tell(Assigned(8, "", recall=True))
    assert host.attempt.step is Step.SWITCH_BACK
    host.up_to(Step.HEALTH_BACK)
    for _ in range(3):
        host.looks()
    assert host.said[-1] == "7 CANCELLED RECALLED"
    assert host.disk.current == Installed("1.0.0", OLD)


def test_a_way_back_out_of_the_soak_goes_on_saying_so_to_the_server() -> None:
    """An older step is history for the server: its clock would run on, and the host be lost."""
    host = ManagedHost.begin()
    host.to_go()
    host.up_to(Step.HEALTH)
    host.looks()
    host.looks(healthy=False)
    told = [report for report in host.journal if report.step == "switch_back"]
    assert [report.said for report in told] == [Said.SOAKING]
