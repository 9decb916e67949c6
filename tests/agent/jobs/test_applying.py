"""From Go to the kept version or the way back: the launcher's record says what happened, and nothing else does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.jobs.effects import Arm, FindTarget, Leave, PassPromote, PassRecall, RunSelfTest, Tidy
from fleetroll_agent.jobs.events import (
    ArmDropped,
    Armed,
    Assigned,
    LauncherTold,
    Promoted,
    SelfTested,
    SessionOpened,
    TargetFound,
)
from fleetroll_agent.jobs.state import Running
from fleetroll_agent.jobs.summary import attempt_facts
from fleetroll_agent.jobs.values import Attempt, Moment, ProductRecord, Said, Stage, Step
from fleetroll_common.values.codes import Code
from tests.faults.jobs import NEW, OLD, Host, boot_record, slot, trial, word

if TYPE_CHECKING:
    from fleetroll_agent.launcher.values import Record

NEW_RUNS = Running("1.1.0", NEW)


def armed(host: Host, generation: int = 7) -> None:
    host.stage(generation)
    host.go(generation)
    host.arm(generation)


def committed(generation: int = 7) -> Record:
    current = slot("1.1.0", NEW, generation)
    return boot_record(current=current, previous=slot("1.0.0", OLD), highest_server=generation, last=word(generation))


def test_each_step_is_written_down_before_it_begins(host: Host) -> None:
    armed(host)
    assert [line for line in host.said if "APPLYING" in line] == [
        "7 APPLYING self_test",
        "7 APPLYING arm",
        "7 APPLYING restart",
    ]


def test_the_restart_announces_how_long_the_host_allows_itself(host: Host) -> None:
    armed(host)
    left = host.journal[-1].time_limit_seconds
    assert left == pytest.approx(1120 - (host.at - 4000) + 60)
    (fact,) = attempt_facts(host.state, Moment(host.at, host.at - 4000))
    assert fact.time_left_seconds == pytest.approx(left)


@pytest.mark.parametrize("code", [Code.SELF_TEST_FAILED, Code.VERSION_MISMATCH])
def test_a_failed_self_test_changes_nothing_and_is_remembered(host: Host, code: Code) -> None:
    host.stage(7)
    host.go(7)
    effects = host.tell(SelfTested(host.last(RunSelfTest).job, code, "why", "tail"))
    assert host.said[-1] == f"7 FAILED {code}"
    assert (host.journal[-1].output_tail, host.journal[-1].unproven) == ("tail", False)
    assert (host.count(Arm), Tidy() in effects) == (0, True)
    host.tell(Assigned(8, "1.1.0"))
    host.tell(TargetFound(host.last(FindTarget).job, NEW))
    assert host.said[-1] == "8 FAILED BAD_DIGEST"
    host.tell(Assigned(9, "1.1.0", retry_bad=True))
    host.tell(TargetFound(host.last(FindTarget).job, NEW))
    assert host.said[-1] == "9 DOWNLOADING"


@pytest.mark.parametrize(
    ("code", "by_itself"),
    [
        (Code.INTERNAL, True),
        (Code.NOT_FOUND, True),
        (Code.WRONG_HASH, True),
        (Code.DISK_FULL, True),
        (Code.SELF_TEST_FAILED, False),
    ],
)
def test_what_the_program_did_not_show_itself_is_unproven_and_the_digest_is_taken_again(
    host: Host, code: Code, by_itself: bool
) -> None:
    host.stage(7)
    host.go(7)
    host.tell(SelfTested(host.last(RunSelfTest).job, code, "why", by_itself=by_itself))
    assert host.said[-1] == f"7 FAILED {code}"
    assert host.journal[-1].unproven
    assert host.disk.bad == ()
    host.tell(Assigned(8, "1.1.0"))
    host.tell(TargetFound(host.last(FindTarget).job, NEW))
    assert host.said[-1] == "8 DOWNLOADING"


def test_a_launcher_that_refuses_ends_the_attempt(host: Host) -> None:
    host.stage(7)
    host.go(7)
    host.tell(SelfTested(host.last(RunSelfTest).job), ArmDropped(7, Code.STORE_FAILED))
    assert host.said[-1] == "7 FAILED STORE_FAILED"
    assert host.count(Leave) == 0


def test_answers_about_another_attempt_are_passed_over(host: Host) -> None:
    host.stage(7)
    host.go(7)
    host.tell(SelfTested(host.last(RunSelfTest).job))
    before = host.disk
    host.tell(Armed(6), ArmDropped(6, Code.CONFLICT), SelfTested(99, Code.SELF_TEST_FAILED))
    assert host.disk == before


def test_a_silent_launcher_is_left_so_that_its_record_decides(host: Host) -> None:
    host.stage(7)
    host.go(7)
    host.tell(SelfTested(host.last(RunSelfTest).job))
    assert host.wait(29) == ()
    assert [type(effect) for effect in host.wait(1)] == [Leave]


def test_a_stop_that_came_before_the_launchers_answer_takes_the_trial_back(host: Host) -> None:
    host.stage(7)
    host.go(7)
    host.tell(SelfTested(host.last(RunSelfTest).job), Assigned(8, "", stop_before_switch=True))
    assert host.tell(Armed(7)) == (PassRecall(7),)
    host.tell(LauncherTold(boot_record(highest_server=7, last=word(7, "recalled", code="RECALLED"))))
    assert host.said[-1] == "7 CANCELLED CANCELLED_BY"
    assert host.count(Leave) == 0


def test_the_new_version_says_that_it_is_on_trial_once(host: Host) -> None:
    armed(host)
    new = host.on_trial(7)
    assert new.attempt.stage is Stage.TRIAL
    again = new.restart()
    assert again.said.count("7 TRIAL") == 1


def test_promote_is_written_down_then_passed_on(host: Host) -> None:
    armed(host)
    new = host.on_trial(7)
    new.writes = 0
    assert new.tell(Promoted(7, NEW)) == (PassPromote(7, NEW),)
    assert (new.writes, new.attempt.promoted) == (1, True)
    assert new.tell(Promoted(7, NEW)) == (PassPromote(7, NEW),)


@pytest.mark.parametrize(("generation", "digest"), [(6, NEW), (8, NEW), (7, OLD)])
def test_a_promote_of_another_attempt_or_digest_is_dropped(host: Host, generation: int, digest: str) -> None:
    armed(host)
    new = host.on_trial(7)
    assert new.tell(Promoted(generation, digest)) == ()
    assert not new.attempt.promoted


def test_a_promote_outside_of_a_trial_is_dropped(host: Host) -> None:
    host.stage(7)
    assert host.tell(Promoted(7, NEW)) == ()


def test_a_promote_that_the_launcher_may_not_have_got_is_passed_on_again(host: Host) -> None:
    armed(host)
    new = host.on_trial(7)
    new.tell(Promoted(7, NEW))
    assert new.restart().effects == [PassPromote(7, NEW)]
    known = new.state.launcher._replace(trial=trial(7, promoted=True))
    assert new.restart(boot=known).effects == []


def test_the_commit_is_what_the_launcher_says(host: Host) -> None:
    armed(host)
    new = host.on_trial(7)
    new.tell(SessionOpened(2), Promoted(7, NEW))
    assert new.attempt is not None
    effects = new.tell(LauncherTold(committed()))
    assert new.said[-1] == "7 SUCCEEDED"
    assert (new.journal[-1].running_version, Tidy() in effects) == ("1.1.0", True)
    assert new.tell(LauncherTold(committed())) == ()
    assert new.said.count("7 SUCCEEDED") == 1


def test_a_commit_before_a_crash_is_found_at_the_next_start(host: Host) -> None:
    armed(host)
    again = host.on_trial(7).restart(boot=committed(), running=NEW_RUNS)
    assert again.said[-1] == "7 SUCCEEDED"
    assert again.restart(boot=committed()).said.count("7 SUCCEEDED") == 1


@pytest.mark.parametrize(
    ("reason", "code", "unproven"), [("bad", Code.EXITED, False), ("unproven", Code.LOST_CONTACT, True)]
)
def test_the_way_back_is_reported_with_its_reason_and_last_output(
    host: Host, reason: str, code: Code, unproven: bool
) -> None:
    armed(host)
    last = word(7, reason, code=code.value, detail="it died", tail="no such file")
    old = host.restart(boot=boot_record(highest_server=7, last=last))
    told = old.journal[-1]
    assert (told.said, told.code, told.unproven) == (Said.ROLLED_BACK, code, unproven)
    (fact,) = [one for one in attempt_facts(old.state, Moment(old.at, old.at - 4000)) if one.generation == 7]
    assert (fact.said, fact.unproven) == (Said.ROLLED_BACK, unproven), "the next hello says the same"
    assert (told.message, told.output_tail, told.running_version) == ("it died", "no such file", "1.0.0")
    assert old.attempt is None


def test_an_outcome_that_is_no_longer_the_latest_is_found(host: Host) -> None:
    armed(host)
    boot = boot_record(highest_server=7, last=word(6, "bad"), earlier=(word(7, "bad", code="HUNG"),))
    assert "7 ROLLED_BACK HUNG" in host.restart(boot=boot).said


def test_a_way_back_long_after_the_commit_is_reported_once(host: Host) -> None:
    armed(host)
    kept = host.on_trial(7).restart(boot=committed(), running=NEW_RUNS)
    late = boot_record(
        highest_server=7, last=word(7, "late", code="CRASHED_AFTER_COMMIT"), earlier=(word(7),), bad=(NEW,)
    )
    old = kept.restart(boot=late, running=Running("1.0.0", OLD))
    assert old.said[-1] == "7 ROLLED_BACK CRASHED_AFTER_COMMIT"
    assert old.restart(boot=late).said.count("7 ROLLED_BACK CRASHED_AFTER_COMMIT") == 1


def test_a_late_way_back_during_a_newer_attempt_leaves_that_one_alone(host: Host) -> None:
    armed(host)
    kept = host.on_trial(7).restart(boot=committed(), running=NEW_RUNS)
    kept.stage(8, "1.2.0", "c" * 64, session=3)
    late = boot_record(highest_server=7, last=word(7, "late", code="CRASHED_AFTER_COMMIT"), bad=(NEW,))
    old = kept.restart(boot=late, running=Running("1.0.0", OLD))
    assert old.said[-1] == "7 ROLLED_BACK CRASHED_AFTER_COMMIT"
    assert (old.attempt.generation, old.attempt.stage) == (8, Stage.STAGED)


@pytest.mark.parametrize("step", [Step.SELF_TEST, Step.ARM])
def test_an_attempt_past_go_that_was_never_armed_ends_with_nothing_changed(step: Step) -> None:
    record = ProductRecord(highest=7, attempt=Attempt(7, "1.1.0", stage=Stage.APPLYING, step=step, sha256=NEW))
    host = Host.start(record)
    told = host.journal[-1]
    assert (told.said, told.code, told.unproven) == (Said.FAILED, Code.STEP_FAILED, True)
    assert host.effects[-1] == Tidy()


def test_an_armed_trial_that_this_process_is_not_is_left_to_the_launcher() -> None:
    record = ProductRecord(highest=7, attempt=Attempt(7, "1.1.0", stage=Stage.APPLYING, step=Step.RESTART, sha256=NEW))
    host = Host.start(record, boot_record(trial=trial(7), highest_server=7))
    assert [type(effect) for effect in host.effects] == [Leave]
    assert host.attempt.stage is Stage.APPLYING


@pytest.mark.parametrize("step", [Step.ARM, Step.RESTART])
def test_after_a_rebuilt_record_an_armed_attempt_ends_by_what_runs(step: Step) -> None:
    attempt = Attempt(7, "1.1.0", stage=Stage.APPLYING, step=step, sha256=NEW)
    back = Host.start(ProductRecord(highest=7, attempt=attempt), boot_record(recovered=True))
    assert (back.said[-1], back.journal[-1].unproven) == ("7 ROLLED_BACK UNPROVEN", True)
    kept = Host.start(
        ProductRecord(highest=7, attempt=attempt),
        boot_record(recovered=True, current=slot("1.1.0", NEW)),
        NEW_RUNS,
    )
    assert kept.said[-1] == "7 SUCCEEDED"


def test_a_trial_of_which_the_own_record_knows_nothing_is_adopted() -> None:
    host = Host.start(ProductRecord(), boot_record(trial=trial(7), highest_server=7), NEW_RUNS)
    assert (host.attempt.generation, host.attempt.stage, host.disk.highest) == (7, Stage.TRIAL, 7)
    assert host.tell(SessionOpened(1), Promoted(7, NEW)) == (PassPromote(7, NEW),)


def test_what_the_launcher_armed_is_never_taken_again_after_the_record_was_lost() -> None:
    host = Host.start(ProductRecord(), boot_record(highest_server=7, last=word(7, "bad", code="HUNG")))
    host.tell(SessionOpened(1), Assigned(7, "1.1.0"))
    assert host.count(FindTarget) == 0
    assert host.disk.highest == 7


def test_a_recall_ends_as_cancelled_and_what_waited_begins(host: Host) -> None:
    armed(host)
    new = host.on_trial(7)
    new.tell(SessionOpened(2), Assigned(8, "1.0.5", recall=True))
    boot = boot_record(highest_server=7, last=word(7, "recalled", code="RECALLED"))
    old = new.restart(boot=boot, running=Running("1.0.0", OLD))
    assert "7 CANCELLED RECALLED" in old.said
    assert old.attempt.generation == 8
    old.tell(SessionOpened(3))
    assert old.count(FindTarget) == 1


def test_a_hello_lists_what_runs_what_waits_and_what_was_not_acknowledged(host: Host) -> None:
    host.stage(6)
    armed(host, 7)
    host.tell(Assigned(8, "1.2.0"))
    facts = attempt_facts(host.state, Moment(host.at, host.at - 4000))
    assert [(fact.generation, fact.said.value) for fact in facts] == [
        (7, "APPLYING"),
        (8, "OFFERED"),
        (6, "CANCELLED"),
    ]
