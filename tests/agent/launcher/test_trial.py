"""The rules of a trial, on the bench: every way to keep a version and every way back."""

from __future__ import annotations

import pytest

from fleetroll_agent.launcher.events import (
    Beat,
    ChildExited,
    Event,
    Extend,
    Goodbye,
    Heard,
    Hello,
    Persist,
)
from fleetroll_agent.launcher.values import Attempt, Authority, Origin
from tests.faults.launcher_bench import NEW, OLD, SERVER_1, Bench, last, way_back

HEALTHY, UNHEALTHY = Beat(healthy=True), Beat(healthy=False)
LOCAL_1 = Attempt(Origin.LOCAL, 1)
OTHER_BOOT = "22222222-2222-2222-2222-222222222222"


def test_arming_writes_the_trial_before_it_is_acknowledged_and_the_try_before_it_is_used() -> None:
    bench = Bench().tell(HEALTHY)
    bench.kinds()
    assert bench.arm().kinds() == ["Persist arm", "Send record", "Send armed"]
    assert bench.disk.trial is not None
    assert (bench.disk.trial.tries_left, bench.disk.trial.starts) == (2, 0)
    assert bench.tell(ChildExited("exit code 75")).kinds() == ["Persist try", "Spawn", "Send record"]
    assert (bench.disk.trial.tries_left, bench.disk.trial.starts) == (1, 1)


def test_a_commit_is_durable_before_good_and_before_the_answer() -> None:
    bench = Bench().trial().tell(HEALTHY, Hello()).promote()
    bench.wait(10.0)
    bench.kinds()
    assert bench.tell(HEALTHY).kinds() == ["Persist commit", "MarkGood", "Send record", "Send committed"]
    assert (bench.disk.current.digest, bench.disk.current.attempt) == (NEW.digest, SERVER_1)
    assert bench.disk.previous == OLD
    assert last(bench).ended == "committed"


def test_a_promote_inside_the_soak_is_journaled_and_does_not_commit() -> None:
    bench = Bench().trial().tell(HEALTHY, Hello()).promote()
    assert bench.disk.trial is not None
    assert bench.disk.trial.promoted
    bench.beats(8.0)
    assert bench.disk.trial is not None
    bench.tell(HEALTHY)
    assert bench.disk.current.digest == NEW.digest


def test_a_promote_after_the_soak_commits_at_once() -> None:
    bench = Bench().trial().tell(HEALTHY, Hello()).beats(12.0)
    assert bench.disk.trial is not None
    bench.promote()
    assert bench.disk.current.digest == NEW.digest


def test_the_soak_is_counted_from_the_first_healthy_beat_and_needs_a_beat_at_its_end() -> None:
    bench = Bench().trial().tell(UNHEALTHY, Hello()).wait(5.0).tell(HEALTHY).promote()
    bench.wait(9.9).tell(HEALTHY)
    assert bench.disk.trial is not None
    bench.wait(1.0)
    assert bench.disk.trial is not None
    bench.tell(HEALTHY)
    assert bench.disk.trial is None


@pytest.mark.parametrize(
    ("attempt", "digest"),
    [
        (Attempt(Origin.SERVER, 2), NEW.digest),
        (LOCAL_1, NEW.digest),
        (SERVER_1, OLD.digest),
        (SERVER_1, "f" * 64),
    ],
)
def test_a_promote_for_another_attempt_or_digest_is_dropped(attempt: Attempt, digest: str) -> None:
    bench = Bench().trial().tell(HEALTHY, Hello()).promote(attempt, digest).beats(20.0)
    assert bench.disk.trial is not None
    assert not bench.disk.trial.promoted
    assert [message["reason"] for message in bench.sent("dropped")] == ["CONFLICT"]


def test_a_promote_that_comes_with_the_end_of_the_lease_is_late() -> None:
    bench = Bench().trial().tell(HEALTHY, Hello())
    bench.beats(58.0)
    assert bench.disk.trial is None
    bench = Bench().trial().tell(HEALTHY, Hello()).beats(56.0)
    assert bench.disk.trial is not None
    bench.at += 10.0
    bench.promote()
    assert way_back(bench) == ("unproven", "LOST_CONTACT", True)


def test_a_promote_is_nothing_without_a_hello_in_this_process() -> None:
    bench = Bench().trial().tell(HEALTHY).promote().beats(20.0)
    assert bench.disk.trial is not None
    bench.tell(Hello())
    assert bench.disk.trial is None


def test_a_promote_survives_the_launcher_and_the_next_process_soaks_in_full() -> None:
    bench = Bench().trial().tell(HEALTHY, Hello()).promote().beats(6.0)
    bench.start()
    assert bench.running == NEW
    bench.tell(HEALTHY, Hello()).beats(8.0)
    assert bench.disk.trial is not None
    bench.tell(HEALTHY)
    assert bench.disk.current.digest == NEW.digest


@pytest.mark.parametrize("detail", ["exit code 0", "exit code 1", "exit code 75", "signal SIGSEGV"])
@pytest.mark.parametrize("beat_first", [False, True])
def test_before_the_first_hello_any_end_uses_one_try_and_the_last_one_is_bad(detail: str, beat_first: bool) -> None:
    bench = Bench().trial()
    for tries_left in (1, 0):
        assert bench.disk.trial is not None
        assert bench.disk.trial.tries_left == tries_left
        if beat_first:
            bench.tell(HEALTHY)
        bench.tell(ChildExited(detail))
    assert way_back(bench) == ("bad", "START_FAILED", False)
    assert bench.starts(NEW) == 2
    assert bench.disk.bad == (NEW.digest,)


@pytest.mark.parametrize("beat_first", [False, True])
def test_a_version_that_was_built_as_another_is_bad_by_that_name_at_its_first_start(beat_first: bool) -> None:
    bench = Bench().trial()
    if beat_first:
        bench.tell(HEALTHY)
    bench.tell(ChildExited("exit code 79", wrong_name=True))
    assert way_back(bench) == ("bad", "VERSION_MISMATCH", False)
    assert last(bench).detail == "the new version calls itself another one than its release, 1.1.0"
    assert bench.starts(NEW) == 1
    assert bench.disk.bad == (NEW.digest,)


def test_no_beat_within_the_start_limit_uses_one_try() -> None:
    bench = Bench().trial().wait(30.0)
    assert "Terminate" in bench.kinds()
    bench.tell(ChildExited("signal SIGKILL"))
    assert bench.running == NEW
    bench.wait(30.0)
    assert way_back(bench) == ("bad", "START_FAILED", False)


def test_beats_that_stop_before_the_hello_use_one_try_and_after_it_lead_back_at_once() -> None:
    bench = Bench().trial().tell(HEALTHY).wait(30.0).tell(ChildExited("signal SIGKILL"))
    assert bench.running == NEW
    bench.tell(HEALTHY, Hello()).wait(30.0)
    assert way_back(bench) == ("bad", "HUNG", False)


@pytest.mark.parametrize("polite", [False, True])
def test_after_the_first_hello_any_end_leads_back_at_once(polite: bool) -> None:
    bench = Bench().trial().tell(HEALTHY, Hello())
    if polite:
        bench.tell(Goodbye())
    bench.tail = "the last words"
    bench.tell(ChildExited("exit code 0"))
    assert way_back(bench) == ("bad", "EXITED", False)
    assert last(bench).tail == "the last words"
    assert bench.starts(NEW) == 1


def test_health_that_is_lost_leads_back_at_once_also_after_the_soak() -> None:
    for seconds in (0.0, 4.0, 20.0):
        bench = Bench().trial().tell(HEALTHY, Hello()).beats(seconds).tell(UNHEALTHY)
        assert way_back(bench) == ("bad", "HEALTH_FAILED", False)


def test_a_version_that_never_becomes_healthy_has_as_long_as_a_start() -> None:
    bench = Bench().trial().wait(5.0).tell(UNHEALTHY, Hello()).beats(26.0, healthy=False)
    assert bench.disk.trial is not None
    bench.wait(2.0)
    assert way_back(bench) == ("bad", "HEALTH_TIMEOUT", False)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ((), "no contact with the server"),
        ((Hello(),), "it said hello, and not that it heard anything of its server after that,"),
        ((Hello(), Heard()), "it said hello and heard its server, but got no promote"),
    ],
)
def test_a_lease_without_a_promote_ends_unproven_counts_and_says_how_far_it_came(
    said: tuple[Event, ...], words: str
) -> None:
    bench = Bench().trial().tell(HEALTHY, *said).beats(60.0)
    assert way_back(bench) == ("unproven", "LOST_CONTACT", True)
    assert last(bench).detail == f"{words} within the lease of 60 s"
    assert bench.disk.unproven == ((NEW.digest, 1),)
    assert bench.disk.bad == ()


def test_what_a_child_heard_is_nothing_that_the_next_one_heard() -> None:
    bench = Bench().trial().tell(HEALTHY, Heard(), ChildExited("exit code 1"), HEALTHY, Hello()).beats(60.0)
    assert "not that it heard anything" in last(bench).detail


def test_extensions_lengthen_lease_and_trial_by_ten_minutes_in_all() -> None:
    bench = Bench().trial().tell(HEALTHY, Hello(), Extend(400.0), Extend(400.0), Extend(1.0))
    trial = bench.disk.trial
    assert trial is not None
    assert trial.extended_seconds == 600.0
    assert trial.trial_end == trial.armed_at + 2 * 30.0 + 60.0 + 600.0
    bench.beats(656.0)
    assert bench.disk.trial is not None
    bench.beats(2.0)
    assert way_back(bench) == ("unproven", "LOST_CONTACT", True)


def test_the_trial_ends_at_its_instant_whatever_restarts_happened() -> None:
    bench = Bench().trial()
    end = bench.disk.trial and bench.disk.trial.trial_end
    bench.wait(29.0).tell(ChildExited("exit code 1")).wait(29.0).tell(HEALTHY, Hello())
    while bench.disk.trial is not None:
        bench.tell(HEALTHY).wait(1.0)
    assert bench.at <= (end or 0.0) + 1.0
    assert way_back(bench)[0] == "unproven"


def test_a_local_trial_commits_after_its_soak_and_a_restart_begins_it_again() -> None:
    bench = Bench().trial(LOCAL_1, authority=Authority.LOCAL).beats(8.0)
    bench.start()
    bench.beats(8.0)
    assert bench.disk.trial is not None
    bench.tell(HEALTHY)
    assert last(bench).ended == "committed_locally"
    assert bench.disk.current.digest == NEW.digest


def test_a_local_attempt_under_the_servers_authority_waits_for_its_promote() -> None:
    bench = Bench().trial(LOCAL_1, authority=Authority.SERVER).tell(HEALTHY, Hello()).beats(20.0)
    assert bench.disk.trial is not None
    bench.promote(LOCAL_1)
    assert last(bench).ended == "committed"


def test_the_way_back_of_a_bad_slot_takes_good_away_before_the_record_and_leaves_bad_after_it() -> None:
    bench = Bench().trial().tell(HEALTHY, Hello())
    bench.kinds()
    assert bench.tell(ChildExited("exit code 1")).kinds() == [
        "UnmarkGood",
        "Persist back",
        "MarkBad",
        "Spawn",
        "Send record",
    ]


def test_every_write_has_a_higher_number() -> None:
    bench = Bench().committed()
    numbers = [action.record.seq for action in bench.done if isinstance(action, Persist)]
    assert numbers == sorted(set(numbers))


def test_a_version_before_that_fails_as_a_trial_is_no_longer_where_a_late_way_back_leads() -> None:
    bench = Bench().committed()
    second = Attempt(Origin.SERVER, 2)
    bench.arm(second, slot=OLD).tell(ChildExited("exit code 75"), HEALTHY, Hello(), ChildExited("exit code 1"))
    assert bench.disk.current.digest == NEW.digest
    assert bench.disk.bad == (OLD.digest,)
    assert bench.disk.previous is None
