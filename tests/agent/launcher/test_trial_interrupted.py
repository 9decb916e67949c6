"""What interrupts a trial: kills, stops, boots, recalls, a host that can't start it, children that stay."""

from __future__ import annotations

import pytest

from fleetroll_agent.launcher.events import (
    Beat,
    ChildExited,
    Extend,
    Hello,
    Recall,
    SpawnFailed,
    Stop,
)
from fleetroll_agent.launcher.values import Attempt, Origin
from tests.faults.launcher_bench import BOOT, NEW, SERVER_1, Bench, last, way_back

HEALTHY, UNHEALTHY = Beat(healthy=True), Beat(healthy=False)
LOCAL_1 = Attempt(Origin.LOCAL, 1)
OTHER_BOOT = "22222222-2222-2222-2222-222222222222"


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
