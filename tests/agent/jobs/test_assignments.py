"""What an assignment may start, and what it never starts."""

from __future__ import annotations

import pytest

from fleetroll_agent.jobs import machine
from fleetroll_agent.jobs.effects import AskGo, CancelJob, FillSlot, FindTarget, Leave, PassRecall, RunSelfTest
from fleetroll_agent.jobs.events import (
    Acked,
    Assigned,
    Event,
    GoGiven,
    SelfTested,
    SessionOpened,
    StagingFailed,
    Suspended,
    TargetFound,
)
from fleetroll_agent.jobs.own import OWN
from fleetroll_agent.jobs.values import KEEP_ACKED_SECONDS, Said, Stage
from fleetroll_agent.products.pipeline import Pipeline
from fleetroll_agent.products.recipe import Recipe
from fleetroll_common.values.codes import Code
from fleetroll_common.values.generations import MAX_JUMP
from tests.faults.jobs import NEW, Host, boot_record, word


def test_every_event_has_a_rule() -> None:
    shared, own, managed = set(machine.HANDLERS), set(OWN.handlers), set(Pipeline(Recipe("shop")).handlers)
    assert not shared & own
    assert not shared & managed
    assert shared | own | managed == set(Event.__args__)


def test_a_higher_generation_is_taken_in_one_write(host: Host) -> None:
    host.tell(SessionOpened(1))
    host.writes = 0
    host.tell(Assigned(7, "1.1.0"))
    assert host.writes == 1
    assert (host.disk.highest, host.attempt.generation, host.attempt.stage) == (7, 7, Stage.ACCEPTED)
    assert host.said == ["7 OFFERED"]


def test_a_lower_generation_is_passed_over(host: Host) -> None:
    host.tell(SessionOpened(1), Assigned(7, "1.1.0"))
    before = host.disk
    assert host.tell(Assigned(6, "9.9.9")) == ()
    assert host.disk == before


@pytest.mark.parametrize("generation", [7 + MAX_JUMP + 1, 2**40, 2**63 - 1])
@pytest.mark.parametrize("version", ["1.2.0", ""])
def test_a_generation_that_no_server_counted_is_refused_and_locks_nobody_out(
    host: Host, generation: int, version: str
) -> None:
    host.stage(7)
    before, said, writes = host.disk, list(host.said), host.writes
    assert host.tell(Assigned(generation, version)) == ()
    assert (host.disk, host.said, host.writes) == (before, said, writes)
    host.tell(Assigned(8, "1.2.0"))
    assert host.attempt.generation == 8


def test_the_highest_generation_that_is_taken(host: Host) -> None:
    host.stage(7)
    host.tell(Assigned(7 + MAX_JUMP, "1.2.0"))
    assert host.attempt.generation == 7 + MAX_JUMP


@pytest.mark.parametrize("version", ["9" * 3_000_000, "1.0.0/..", "1.0.0\n", "\x1b[2J", "newest", "1.0.0-" + "a" * 123])
def test_what_is_no_version_is_refused_and_not_kept(host: Host, version: str) -> None:
    host.stage(7)
    before, said, writes = host.disk, list(host.said), host.writes
    assert host.tell(Assigned(8, version)) == ()
    assert (host.disk, host.said, host.writes) == (before, said, writes)
    host.tell(Assigned(8, "1.2.0"))
    assert host.attempt.generation == 8


def test_the_same_generation_is_reported_again_and_starts_nothing(host: Host) -> None:
    host.stage(7)
    started = host.count(FindTarget)
    host.tell(Assigned(7, "1.1.0"))
    assert host.said[-2:] == ["7 STAGED", "7 STAGED"]
    assert host.count(FindTarget) == started


def test_a_generation_that_went_back_is_not_started_again_by_its_own_assignment(host: Host) -> None:
    host.stage(7)
    host.go(7)
    host.arm(7)
    back = word(7, "bad", code="EXITED")
    old = host.restart(boot=boot_record(highest_server=7, last=back, bad=(NEW,)))
    old.tell(SessionOpened(2), Assigned(7, "1.1.0"))
    assert old.attempt is None
    assert old.said[-2:] == ["7 ROLLED_BACK EXITED", "7 ROLLED_BACK EXITED"]
    assert old.count(FindTarget) == 0


def test_a_newer_generation_before_go_cancels_the_old_one(host: Host) -> None:
    host.stage(7)
    host.tell(Assigned(8, "1.2.0"))
    assert "7 CANCELLED SUPERSEDED" in host.said
    assert (host.attempt.generation, host.attempt.version) == (8, "1.2.0")


def test_none_before_go_ends_the_attempt_and_desires_nothing(host: Host) -> None:
    host.stage(7)
    effects = host.tell(Assigned(8, ""))
    assert host.attempt is None
    assert host.disk.highest == 8
    assert host.said[-1] == "7 CANCELLED CANCELLED_BY"
    assert not any(isinstance(effect, AskGo) for effect in effects)


def test_none_during_a_download_ends_its_job(host: Host) -> None:
    host.tell(SessionOpened(1), Assigned(7, "1.1.0"), TargetFound(1, "b" * 64))
    assert CancelJob(host.last(FillSlot).job) in host.tell(Assigned(8, ""))


def test_none_of_a_generation_that_was_never_taken_is_remembered(host: Host) -> None:
    host.tell(SessionOpened(1), Assigned(9, ""))
    assert host.disk.highest == 9
    assert host.journal == []
    host.tell(Assigned(8, "1.1.0"))
    assert host.attempt is None


def test_after_go_a_newer_generation_waits_and_begins_at_the_end(host: Host) -> None:
    host.stage(7)
    host.go(7)
    host.tell(Assigned(8, "1.2.0"))
    assert (host.attempt.generation, host.disk.waiting.generation) == (7, 8)
    host.tell(SelfTested(host.last(RunSelfTest).job, Code.SELF_TEST_FAILED))
    assert (host.attempt.generation, host.disk.waiting) == (8, None)
    assert host.said[-3:] == ["8 OFFERED", "7 FAILED SELF_TEST_FAILED", "8 OFFERED"]


def test_none_after_go_ends_nothing(host: Host) -> None:
    host.stage(7)
    host.go(7)
    host.tell(Assigned(8, ""))
    assert (host.attempt.stage, host.attempt.stop.value) == (Stage.APPLYING, "")
    host.arm(7)
    assert host.count(Leave) == 1


def test_none_after_go_ends_the_generation_that_waits(host: Host) -> None:
    host.stage(7)
    host.go(7)
    host.tell(Assigned(8, "1.2.0"), Assigned(9, ""))
    assert host.disk.waiting is None
    assert "8 CANCELLED SUPERSEDED" in host.said


def test_a_cancel_stops_an_attempt_after_go_at_its_next_boundary(host: Host) -> None:
    host.stage(7)
    host.go(7)
    host.tell(Assigned(8, "", stop_before_switch=True))
    assert host.attempt.stage is Stage.APPLYING
    host.tell(SelfTested(host.last(RunSelfTest).job))
    assert host.attempt is None
    assert host.said[-1] == "7 CANCELLED CANCELLED_BY"


def test_a_cancel_after_the_switch_changes_nothing(host: Host) -> None:
    host.stage(7)
    host.go(7)
    host.arm(7)
    new = host.on_trial(7)
    effects = new.tell(SessionOpened(2), Assigned(8, "", stop_before_switch=True))
    assert (new.attempt.stage, effects) == (Stage.TRIAL, ())


def test_a_recall_asks_the_launcher_for_the_way_out_of_the_trial(host: Host) -> None:
    host.stage(7)
    host.go(7)
    host.arm(7)
    new = host.on_trial(7)
    assert new.tell(SessionOpened(2), Assigned(8, "1.0.0", recall=True)) == (PassRecall(7),)
    assert new.disk.waiting.generation == 8
    assert new.restart().effects == [PassRecall(7)]


def test_a_recall_during_the_self_test_ends_at_the_boundary(host: Host) -> None:
    host.stage(7)
    host.go(7)
    host.tell(Assigned(8, "", recall=True))
    host.tell(SelfTested(host.last(RunSelfTest).job))
    assert host.said[-1] == "7 CANCELLED RECALLED"


def test_the_kill_switch_ends_an_attempt_before_go_and_keeps_what_was_verified(host: Host) -> None:
    host.stage(7)
    effects = host.tell(Suspended("global", active=True))
    assert host.said[-1] == "7 CANCELLED KILLED"
    assert not any(type(effect).__name__ == "Tidy" for effect in effects)


def test_lifting_the_kill_switch_starts_nothing(host: Host) -> None:
    host.stage(7)
    host.tell(Suspended("global", active=True))
    assert host.tell(Suspended("global", active=False)) == ()
    assert host.attempt is None


def test_an_assignment_under_the_kill_switch_ends_at_once(host: Host) -> None:
    host.tell(SessionOpened(1, frozenset({"fleet/f"})))
    host.tell(Assigned(7, "1.1.0"))
    assert host.attempt is None
    assert host.said == ["7 OFFERED", "7 CANCELLED KILLED"]
    assert host.count(FindTarget) == 0


def test_a_welcome_under_the_kill_switch_ends_what_is_staged(host: Host) -> None:
    host.stage(7)
    host.tell(SessionOpened(2, frozenset({"global"})))
    assert host.said[-1] == "7 CANCELLED KILLED"


def test_the_kill_switch_voids_a_go_on_its_way(host: Host) -> None:
    host.stage(7)
    ask = host.last(AskGo)
    host.tell(Suspended("global", active=True))
    assert host.tell(GoGiven(1, 7, ask.ask)) == ()
    assert host.count(RunSelfTest) == 0


def test_the_kill_switch_after_go_goes_back_at_the_next_boundary(host: Host) -> None:
    host.stage(7)
    host.go(7)
    host.tell(Suspended("global", active=True), SelfTested(host.last(RunSelfTest).job))
    assert host.said[-1] == "7 CANCELLED KILLED"


def test_the_kill_switch_after_the_switch_changes_nothing(host: Host) -> None:
    host.stage(7)
    host.go(7)
    host.arm(7)
    new = host.on_trial(7)
    assert new.tell(SessionOpened(2), Suspended("global", active=True)) == ()
    assert new.attempt.stage is Stage.TRIAL


def test_the_kill_switch_ends_the_generation_that_waits(host: Host) -> None:
    host.stage(7)
    host.go(7)
    host.tell(Assigned(8, "1.2.0"), Suspended("global", active=True))
    assert host.disk.waiting is None
    assert "8 CANCELLED KILLED" in host.said


def test_a_generation_taken_under_the_kill_switch_does_not_wait(host: Host) -> None:
    host.stage(7)
    host.go(7)
    host.tell(Suspended("global", active=True), Assigned(8, "1.2.0"))
    assert host.disk.waiting is None
    assert host.said[-1] == "8 CANCELLED KILLED"


def test_an_outcome_is_kept_for_its_time_after_the_ack(host: Host) -> None:
    host.stage(7)
    host.tell(Assigned(8, ""))
    assert [known.acked_at for known in host.disk.outcomes] == [None]
    host.tell(Acked(host.disk.reports))
    assert [known.acked_at for known in host.disk.outcomes] != [None]
    host.at += KEEP_ACKED_SECONDS + 1
    host.stage(9, "1.2.0")
    host.tell(Assigned(10, ""))
    assert [known.generation for known in host.disk.outcomes] == [9]


def test_an_outcome_without_ack_is_kept_for_ever(host: Host) -> None:
    host.stage(7)
    host.tell(Assigned(8, ""))
    host.at += 10 * KEEP_ACKED_SECONDS
    host.stage(9)
    host.tell(Assigned(10, ""))
    assert [known.generation for known in host.disk.outcomes] == [7, 9]


def test_texts_are_cut_to_what_the_contract_takes(host: Host) -> None:
    host.tell(SessionOpened(1), Assigned(7, "1.1.0"))
    job = host.last(FindTarget).job
    host.tell(StagingFailed(job, Code.WRONG_HASH, "x" * 5000, session=1))
    assert (len(host.journal[-1].message), host.journal[-1].said) == (2000, Said.FAILED)
