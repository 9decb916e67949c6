"""The agent itself, updated by a person on its host: its trial is the host's own attempt."""

from __future__ import annotations

from typing import Any

import pytest

from fleetroll_agent.jobs.effects import Arm, AskLock, FillSlot, FindTarget, Leave, PassPromote, RunSelfTest
from fleetroll_agent.jobs.events import (
    ArmDropped,
    Armed,
    LauncherTold,
    LockGiven,
    Promoted,
    SelfTested,
    SessionOpened,
    SlotReady,
    StartedLocally,
    TargetFound,
)
from fleetroll_agent.jobs.state import Running, boot_record
from fleetroll_agent.jobs.values import ByHand, Stage
from fleetroll_agent.launcher import values as launcher
from fleetroll_common.values.codes import Code
from tests.faults.jobs import NEW, OLD, Host, slot, trial, word
from tests.faults.jobs import boot_record as boot

MINE = launcher.Attempt(launcher.Origin.LOCAL, 1)


def armed(host: Host, *, session: bool = True, **more: Any) -> Host:
    """Let root start 1.1.0, up to the asking for its trial."""
    if session:
        host.tell(SessionOpened(1))
    host.tell(StartedLocally("1.1.0", "root", source="" if session else "/media/bundle", **more))
    host.tell(TargetFound(host.last(FindTarget).job, NEW), SlotReady(host.last(FindTarget).job))
    host.tell(LockGiven(host.last(AskLock).ask))
    host.tell(SelfTested(host.last(RunSelfTest).job))
    return host


def on_trial(host: Host) -> Host:
    """Let the launcher arm it, and be the new version."""
    record = boot_record(host.state)._replace(trial=trial(1)._replace(attempt=MINE), highest_local=1)
    host.tell(LauncherTold(record), Armed(0, 1))
    return host.restart(record, Running("1.1.0", NEW))


@pytest.mark.parametrize("session", [False, True])
def test_without_a_server_the_host_keeps_it_and_with_one_the_server_does(session: bool) -> None:
    host = armed(Host.start(), session=session)
    arm = host.last(Arm)
    assert (arm.generation, arm.local, arm.by_host) == (0, 1, not session)


def test_it_comes_up_as_a_trial_of_its_own_number() -> None:
    host = armed(Host.start())
    host.tell(LauncherTold(boot_record(host.state)), Armed(0, 1))
    assert isinstance(host.effects[-1], Leave)
    host = on_trial(armed(Host.start()))
    assert (host.attempt.stage, host.attempt.local) == (Stage.TRIAL, 1)
    assert host.journal[-1].local == 1


def test_the_servers_promote_is_for_exactly_this_one() -> None:
    host = on_trial(armed(Host.start()))
    assert host.tell(Promoted(1, NEW)) == ()
    assert host.tell(Promoted(0, NEW, 2)) == ()
    assert host.tell(Promoted(0, NEW, 1)) == (PassPromote(0, NEW, 1),)


@pytest.mark.parametrize("ended", [launcher.Ended.COMMITTED, launcher.Ended.COMMITTED_LOCALLY])
def test_the_launchers_word_ends_it(ended: launcher.Ended) -> None:
    host = on_trial(armed(Host.start()))
    last = word(1)._replace(attempt=MINE, ended=ended)
    host.tell(LauncherTold(boot(current=slot("1.1.0", NEW), previous=slot("1.0.0", OLD), last=last, highest_local=1)))
    (outcome,) = host.disk.outcomes
    assert (outcome.local, outcome.said.value) == (1, "SUCCEEDED")
    assert outcome.committed_locally is (ended is launcher.Ended.COMMITTED_LOCALLY)


def test_a_way_back_is_the_result_of_the_same_number() -> None:
    host = on_trial(armed(Host.start()))
    last = word(1, "bad", code="EXITED")._replace(attempt=MINE)
    host = host.restart(boot(last=last, highest_local=1), Running("1.0.0", OLD))
    assert host.said[-1] == "ROLLED_BACK EXITED"
    assert host.disk.outcomes[-1].local == 1


def test_a_refused_trial_changes_nothing() -> None:
    host = armed(Host.start())
    assert host.tell(ArmDropped(1, Code.NO_INTERPRETER)) == ()
    host.tell(ArmDropped(0, Code.NO_INTERPRETER, 1))
    assert host.said[-1] == "FAILED NO_INTERPRETER"


def test_the_version_before_is_tried_from_this_disk() -> None:
    host = Host.start(boot=boot(previous=slot("0.9.0", NEW)))
    host.tell(StartedLocally("0.9.0", "root", ByHand.ROLLBACK, sha256=NEW))
    host.tell(LockGiven(host.last(AskLock).ask))
    assert host.last(RunSelfTest).sha256 == NEW
    assert host.count(FillSlot) == host.count(FindTarget) == 0


def test_a_trial_of_which_the_record_knows_nothing_is_taken_over_under_its_number() -> None:
    record = boot(trial=trial(4)._replace(attempt=launcher.Attempt(launcher.Origin.LOCAL, 4)), highest_local=4)
    host = Host.start(boot=record, running=Running("1.1.0", NEW))
    assert (host.attempt.local, host.attempt.generation, host.disk.locals) == (4, 0, 4)
