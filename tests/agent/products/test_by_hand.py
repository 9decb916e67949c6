"""What a person on the host starts: it needs no server, runs by the same steps, and lets the server's wishes wait."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fleetroll_agent.jobs.effects import AskGo, AskLock, FillSlot, FindTarget, ReleaseLock, RunStep
from fleetroll_agent.jobs.events import (
    Assigned,
    HoldEnded,
    HoldSet,
    Leaving,
    LockBusy,
    LockGiven,
    SessionClosed,
    SessionOpened,
    SlotReady,
    StartedLocally,
    Suspended,
    TargetFound,
)
from fleetroll_agent.jobs.values import ByHand, Stage, Step
from fleetroll_agent.jobs.work import Installed
from fleetroll_common.values.codes import Code
from tests.faults.jobs import NEW, NEWER, OLD
from tests.faults.managed_host import MIGRATING, PLAIN, ManagedHost

WEEK = 7 * 86400.0


def started(host: ManagedHost, **more: Any) -> ManagedHost:
    """Let root start 1.1.0, up to the use of the lock."""
    more.setdefault("hold_seconds", WEEK)
    host.tell(SessionOpened(1), StartedLocally("1.1.0", "root", soak_seconds=6, **more))
    host.tell(TargetFound(host.last(FindTarget).job, NEW, MIGRATING))
    host.tell(SlotReady(host.last(FillSlot).job))
    host.tell(LockGiven(host.last(AskLock).ask))
    return host


def updated(*, migrations: bool = True) -> ManagedHost:
    """Return a host that the server brought to 1.1.0."""
    host = ManagedHost.begin()
    host.to_go(about=MIGRATING if migrations else PLAIN)
    host.up_to(Step.HEALTH)
    host.soak()
    return host


def rolled_back(host: ManagedHost) -> ManagedHost:
    """Let root ask for the version before, and let all go well."""
    previous = host.disk.previous
    assert previous is not None
    wish = StartedLocally(
        previous.version, "root", ByHand.ROLLBACK, sha256=previous.sha256, hold_seconds=WEEK, reason="it leaks"
    )
    host.tell(wish)
    host.tell(LockGiven(host.last(AskLock).ask))
    host.up_to(Step.HEALTH_BACK)
    for _ in range(3):
        host.looks()
    return host


def test_it_needs_no_permit() -> None:
    host = started(ManagedHost.begin())
    assert host.count(AskGo) == 0
    host.up_to(Step.HEALTH)
    host.soak()
    last = host.journal[-1]
    assert (last.generation, last.local, last.said.value) == (0, 1, "SUCCEEDED")
    assert host.disk.current == Installed("1.1.0", NEW, "backup-1", migrated=True)


def test_what_a_person_named_needs_no_session() -> None:
    host = ManagedHost.begin()
    host.tell(StartedLocally("1.1.0", "root", source="/media/bundle.tar"))
    assert host.last(FindTarget).source == "/media/bundle.tar"
    host.tell(TargetFound(host.last(FindTarget).job, NEW))
    assert host.last(FillSlot).source == "/media/bundle.tar"


def test_without_a_source_it_waits_for_a_session() -> None:
    host = ManagedHost.begin()
    host.tell(StartedLocally("1.1.0", "root"))
    assert host.count(FindTarget) == 0
    host.tell(SessionOpened(1))
    assert host.count(FindTarget) == 1


def test_the_end_of_a_session_stops_nothing_of_it() -> None:
    host = ManagedHost.begin()
    host.tell(SessionOpened(1), StartedLocally("1.1.0", "root"))
    host.tell(TargetFound(host.last(FindTarget).job, NEW), SlotReady(host.last(FindTarget).job))
    host.tell(SessionClosed(1), LockGiven(host.last(AskLock).ask))
    assert host.attempt.stage is Stage.APPLYING


def test_a_busy_host_is_asked_again() -> None:
    host = ManagedHost.begin()
    host.tell(SessionOpened(1), StartedLocally("1.1.0", "root"))
    host.tell(TargetFound(host.last(FindTarget).job, NEW), SlotReady(host.last(FindTarget).job))
    host.tell(LockBusy(host.last(AskLock).ask))
    assert host.said[-1] == "STAGED LOCKED"
    host.wait(73)
    assert host.count(AskLock) == 2


def test_the_kill_switch_is_not_for_a_person_on_the_host() -> None:
    host = ManagedHost.begin()
    host.tell(SessionOpened(1, frozenset({"global"})), StartedLocally("1.1.0", "root"))
    assert host.count(FindTarget) == 1
    host.tell(Suspended("global", active=True))
    assert host.attempt is not None


def test_what_runs_is_not_interrupted() -> None:
    host = ManagedHost.begin()
    host.to_go()
    before = host.disk
    host.tell(StartedLocally("1.2.0", "root"))
    assert host.disk == before


def test_an_assignment_that_comes_meanwhile_waits_for_the_end_and_then_for_the_hold() -> None:
    host = started(ManagedHost.begin())
    host.tell(Assigned(7, "1.2.0"))
    assert (host.attempt.local, host.disk.waiting.generation) == (1, 7)
    host.up_to(Step.HEALTH)
    host.soak()
    assert host.attempt.generation == 7
    host.tell(TargetFound(host.last(FindTarget).job, NEWER), SlotReady(host.last(FindTarget).job))
    assert host.said[-1] == "7 STAGED HELD_LOCALLY"
    host.tell(HoldEnded())
    assert host.count(AskGo) == 1


def test_a_recall_of_the_servers_is_not_for_a_persons_attempt() -> None:
    host = started(ManagedHost.begin())
    host.tell(Assigned(7, "", recall=True))
    host.up_to(Step.HEALTH)
    host.soak()
    assert host.said[-1] == "SUCCEEDED"


def test_an_update_that_did_not_come_about_leaves_no_hold() -> None:
    host = started(ManagedHost.begin())
    host.ends(Code.STEP_FAILED)
    assert host.said[-1] == "FAILED STEP_FAILED"
    assert host.disk.override is None


def test_a_way_back_by_hand_restores_the_data_and_swaps_the_versions() -> None:
    host = rolled_back(updated())
    assert [step for step in host.steps if step in {"switch_back", "restore", "restart_back"}] == [
        "switch_back",
        "restore",
        "restart_back",
    ]
    assert host.said[-1] == "SUCCEEDED"
    assert host.journal[-1].running_version == "1.0.0"
    assert host.disk.current == Installed("1.0.0", OLD)
    assert host.disk.previous is None, "the data of 1.1.0 are gone: it is no version to swap with"


def test_a_way_back_by_hand_without_a_migration_swaps_the_versions() -> None:
    host = updated(migrations=False)
    before = host.disk.current
    host = rolled_back(host)
    assert host.said[-1] == "SUCCEEDED"
    assert (host.disk.current.version, host.disk.previous.version) == ("1.0.0", before.version)


def test_the_servers_standing_assignment_does_not_bring_it_back() -> None:
    host = rolled_back(updated())
    said = len(host.journal)
    host.tell(SessionOpened(2), Assigned(7, "1.1.0"))
    host.wait(3600)
    assert [told.said.value for told in host.journal[said:]] == ["SUCCEEDED"], "the highest generation's end, again"
    host.tell(Assigned(8, "1.1.0"))
    host.tell(TargetFound(host.last(FindTarget).job, NEW), SlotReady(host.last(FindTarget).job))
    assert host.said[-1] == "8 STAGED HELD_LOCALLY"
    host.wait(WEEK - 4000)
    assert host.count(AskGo) == 1, "the one of the update"
    host.wait(4000)
    assert host.count(AskGo) == 2


def test_a_restart_goes_on_with_it() -> None:
    host = started(ManagedHost.begin())
    host.up_to(Step.RESTART)
    host = host.crash()
    host.up_to(Step.HEALTH)
    host.soak()
    assert host.said[-1] == "SUCCEEDED"


def test_a_staged_one_asks_for_the_lock_again_after_a_restart() -> None:
    host = ManagedHost.begin()
    host.tell(SessionOpened(1), StartedLocally("1.1.0", "root"))
    host.tell(TargetFound(host.last(FindTarget).job, NEW), SlotReady(host.last(FindTarget).job))
    host = host.crash()
    assert isinstance(host.effects[-1], AskLock)


def test_data_can_be_restored_by_hand_under_the_version_that_runs() -> None:
    host = updated()
    wish = StartedLocally("1.1.0", "root", ByHand.RESTORE, sha256=NEW, backup_id="backup-0")
    host.tell(wish)
    host.tell(LockGiven(host.last(AskLock).ask))
    assert host.last(RunStep).attempt.work.backup_id == "backup-0"
    assert host.last(RunStep).attempt.step is Step.RESTORE
    host.up_to(Step.HEALTH_BACK)
    for _ in range(3):
        host.looks()
    assert host.said[-1] == "SUCCEEDED"
    assert host.disk.current == Installed("1.1.0", NEW, "backup-1", migrated=True)
    assert host.disk.override is None


def failing_back(host: ManagedHost, wish: StartedLocally, step: Step) -> str:
    """Let a step of a person's way back fail as often as it is tried; return what is said at the end."""
    host.tell(wish)
    host.tell(LockGiven(host.last(AskLock).ask))
    host.up_to(step)
    for _ in range(3):
        host.ends(Code.STEP_FAILED, message="exit code 1")
    host.up_to(Step.HEALTH_BACK)
    for _ in range(3):
        host.looks()
    assert host.said[-1] == "ROLLBACK_FAILED STEP_FAILED"
    return host.journal[-1].message


def test_a_backup_that_can_not_be_restored_blames_no_version() -> None:
    wish = StartedLocally("1.1.0", "root", ByHand.RESTORE, sha256=NEW, backup_id="backup-0")
    text = failing_back(updated(), wish, Step.RESTORE)
    assert text.startswith("the backup backup-0 was not restored as it should be (restore: exit code 1)")
    assert "fleetroll-agent restore shop --backup ID" in text


def test_a_persons_way_back_that_fails_says_what_to_bring_up() -> None:
    wish = StartedLocally("1.0.0", "root", ByHand.ROLLBACK, sha256=OLD)
    text = failing_back(updated(), wish, Step.RESTORE)
    assert text.startswith("the way back to 1.0.0 failed (restore: exit code 1)")
    assert "bring 1.0.0 up by hand; the backup is backup-1" in text


def test_a_hold_is_set_and_lifted() -> None:
    host = ManagedHost.begin()
    host.tell(HoldSet("root", 2e9, "inventory day"))
    host.tell(SessionOpened(1), Assigned(7, "1.1.0"))
    host.tell(TargetFound(host.last(FindTarget).job, NEW), SlotReady(host.last(FindTarget).job))
    assert host.said[-1] == "7 STAGED HELD_LOCALLY"
    assert "inventory day" in host.journal[-1].message
    host.tell(HoldEnded())
    assert host.said[-1] == "7 STAGED"
    assert host.count(AskGo) == 1


@pytest.mark.parametrize("gone", [Step.CHECK, Step.BACKUP])
def test_ten_assignments_after_a_failure_make_one_attempt(gone: Step) -> None:
    """The highest generation starts nothing again, however often it is said."""
    host = ManagedHost.begin()
    host.to_go()
    host.up_to(gone)
    host.ends(Code.STEP_FAILED)
    begun = len(host.steps)
    for session in range(2, 12):
        host.tell(SessionOpened(session), Assigned(7, "1.1.0"), SessionClosed(session))
    assert len(host.steps) == begun


def test_its_own_number_survives_the_record() -> None:
    host = started(ManagedHost.begin())
    host.ends(Code.STEP_FAILED)
    host = started(ManagedHost.begin(record=replace(host.disk, bad=())))
    assert host.attempt.local == 2


def test_an_agent_that_leaves_uses_no_lock_that_comes_then_and_the_next_one_goes_on() -> None:
    host = updated()
    previous = host.disk.previous
    assert previous is not None
    host.tell(StartedLocally(previous.version, "root", ByHand.ROLLBACK, sha256=previous.sha256))
    ask = host.last(AskLock).ask
    assert host.tell(Leaving()) == (ReleaseLock(),)
    assert host.tell(LockGiven(ask)) == ()
    assert host.attempt.stage is Stage.STAGED
    host = host.crash()
    host.wait(0)
    host.tell(LockGiven(host.last(AskLock).ask))
    assert host.attempt.past_go
