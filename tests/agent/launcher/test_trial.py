"""The rules of a trial, on the bench: every way to keep a version and every way back."""

from __future__ import annotations

import pytest

from fleetroll_agent.launcher.events import (
    Beat,
    ChildExited,
    Extend,
    Goodbye,
    Hello,
    Persist,
    Recall,
    SpawnFailed,
    Stop,
)
from fleetroll_agent.launcher.values import Attempt, Authority, Origin, Outcome
from tests.faults.launcher_bench import BOOT, NEW, OLD, SERVER_1, Bench

HEALTHY, UNHEALTHY = Beat(healthy=True), Beat(healthy=False)
LOCAL_1 = Attempt(Origin.LOCAL, 1)
OTHER_BOOT = "22222222-2222-2222-2222-222222222222"


def last(bench: Bench) -> Outcome:
    assert bench.disk.last is not None
    return bench.disk.last


def way_back(bench: Bench) -> tuple[str, str, bool]:
    """Return reason, code and whether it counts, of a trial that ended with OLD running."""
    if bench.children and bench.running != OLD:
        bench.tell(ChildExited("signal SIGTERM"))
    assert bench.running == OLD
    assert bench.disk.trial is None
    assert bench.disk.current == OLD
    outcome = last(bench)
    assert (outcome.attempt, outcome.ended) == (SERVER_1, "rolled_back")
    return outcome.reason.value, outcome.code, outcome.counted


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


@pytest.mark.parametrize("hello", [False, True])
def test_a_lease_without_a_promote_ends_unproven_and_counts(hello: bool) -> None:
    bench = Bench().trial().tell(HEALTHY, *([Hello()] if hello else [])).beats(60.0)
    assert way_back(bench) == ("unproven", "LOST_CONTACT", True)
    assert bench.disk.unproven == ((NEW.digest, 1),)
    assert bench.disk.bad == ()


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


def test_a_launcher_that_starts_after_the_trials_end_goes_back_without_starting_it() -> None:
    bench = Bench().trial()
    bench.at += 1000.0
    bench.start()
    assert bench.starts(NEW) == 1
    assert way_back(bench) == ("unproven", "TRIAL_ENDED", True)


def test_a_killed_launcher_costs_one_try_and_the_last_one_ends_unproven() -> None:
    bench = Bench().trial()
    bench.start()
    assert bench.running == NEW
    bench.start()
    assert way_back(bench) == ("unproven", "UNPROVEN", True)
    assert bench.starts(NEW) == 2


def test_a_launcher_killed_after_the_hello_costs_one_try_too() -> None:
    bench = Bench().trial().tell(HEALTHY, Hello())
    bench.start()
    assert bench.running == NEW
    bench.tell(HEALTHY, Hello(), ChildExited("exit code 1"))
    assert way_back(bench) == ("bad", "EXITED", False)


def test_an_orderly_stop_gives_the_try_back_twice() -> None:
    bench = Bench().trial()
    starts = 1
    for tries_left in (2, 2, 1, 0):
        bench.tell(Stop())
        assert bench.disk.trial is not None
        assert (bench.disk.trial.tries_left, bench.disk.trial.stopped) == (tries_left, True)
        bench.tell(ChildExited("exit code 0"))
        assert bench.ended
        bench.start()
        starts = bench.starts(NEW)
    assert starts == 4
    assert way_back(bench) == ("unproven", "UNPROVEN", False)


@pytest.mark.parametrize(
    ("prepare", "counted"),
    [("running", True), ("stopped", False), ("never started", False)],
)
def test_another_boot_ends_the_trial_and_counts_only_when_it_ran_and_no_stop_was_recorded(
    prepare: str, counted: bool
) -> None:
    bench = Bench().tell(HEALTHY).arm()
    if prepare != "never started":
        bench.tell(ChildExited("exit code 75"))
    if prepare == "stopped":
        bench.tell(Stop())
    bench.at = 5.0
    bench.start(OTHER_BOOT)
    assert way_back(bench) == ("unproven", "REBOOTED", counted)
    assert bench.disk.boot_id == OTHER_BOOT
    assert bench.disk.unproven == (((NEW.digest, 1),) if counted else ())


@pytest.mark.parametrize("boot_id", [BOOT, ""])
def test_a_clock_that_went_back_or_a_boot_without_an_id_counts_as_another_boot(boot_id: str) -> None:
    bench = Bench(boot_id=boot_id).trial()
    assert bench.disk.boot_id == boot_id
    bench.at -= 500.0 if boot_id else 0.0
    bench.start(boot_id)
    assert way_back(bench)[1] == "REBOOTED"


def test_a_recall_ends_the_trial_and_says_nothing_about_the_digest() -> None:
    bench = Bench().trial().tell(HEALTHY, Hello(), Recall(Attempt(Origin.SERVER, 9)))
    assert bench.disk.trial is not None
    bench.tell(Recall(SERVER_1))
    assert way_back(bench) == ("recalled", "RECALLED", False)
    assert (bench.disk.bad, bench.disk.unproven) == ((), ())


def test_a_recall_of_an_armed_trial_that_was_not_started_leaves_the_agent_running() -> None:
    bench = Bench().tell(HEALTHY).arm().tell(Recall(SERVER_1))
    assert way_back(bench) == ("recalled", "RECALLED", False)
    assert "Terminate" not in bench.kinds()


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


@pytest.mark.parametrize(("code", "tries"), [("NO_INTERPRETER", 1), ("ENTRY_MISSING", 1), ("START_FAILED", 2)])
def test_a_trial_that_the_host_cannot_start_goes_back_and_never_counts(code: str, tries: int) -> None:
    bench = Bench().trial()
    for _try in range(tries):
        bench.children, bench.running = 0, None
        bench.tell(SpawnFailed(code, "no")).wait(1.0)
    assert way_back(bench) == ("unproven", code, False)


def test_an_agent_that_does_not_end_after_armed_is_ended() -> None:
    bench = Bench().tell(HEALTHY).arm().beats(32.0)
    assert "Terminate" in bench.kinds()
    bench.tell(ChildExited("signal SIGTERM"))
    assert bench.running == NEW


def test_an_agent_that_hangs_after_armed_is_ended_and_the_trial_starts() -> None:
    bench = Bench().tell(HEALTHY).arm().wait(30.0).tell(ChildExited("signal SIGKILL"))
    assert bench.running == NEW


def test_a_child_that_stays_is_killed_after_the_grace_again_and_again() -> None:
    bench = Bench().trial().tell(HEALTHY, Hello(), UNHEALTHY)
    bench.kinds()
    assert bench.wait(25.0).kinds() == ["Kill", "Kill"]


def test_late_words_of_a_child_that_is_being_ended_change_nothing() -> None:
    bench = Bench().trial().tell(HEALTHY, Hello()).beats(12.0).tell(UNHEALTHY)
    record = bench.disk
    bench.promote().tell(HEALTHY, Recall(SERVER_1), Extend(5.0)).arm(Attempt(Origin.SERVER, 2))
    assert bench.disk == record


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


def test_a_trial_that_was_started_again_after_a_stop_counts_again() -> None:
    bench = Bench().trial().tell(Stop(), ChildExited("exit code 0"))
    bench.start()
    assert bench.running == NEW
    bench.start(OTHER_BOOT)
    assert way_back(bench) == ("unproven", "REBOOTED", True)


def test_a_stop_before_the_first_start_of_a_trial_has_no_try_to_give_back() -> None:
    bench = Bench().tell(HEALTHY).arm().tell(Stop())
    trial = bench.disk.trial
    assert trial is not None
    assert (trial.tries_left, trial.gives, trial.stopped) == (2, 0, True)


def test_the_output_of_the_version_before_is_not_blamed_on_a_trial_that_never_ran() -> None:
    bench = Bench().tell(HEALTHY).arm()
    bench.tail = "words of 1.0.0"
    bench.kinds()
    assert bench.tell(Recall(SERVER_1)).kinds() == ["Persist back", "Send record"]
    assert last(bench).tail == ""


def test_a_version_before_that_fails_as_a_trial_is_no_longer_where_a_late_way_back_leads() -> None:
    bench = Bench().committed()
    second = Attempt(Origin.SERVER, 2)
    bench.arm(second, slot=OLD).tell(ChildExited("exit code 75"), HEALTHY, Hello(), ChildExited("exit code 1"))
    assert bench.disk.current.digest == NEW.digest
    assert bench.disk.bad == (OLD.digest,)
    assert bench.disk.previous is None
