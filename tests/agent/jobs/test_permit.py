"""Go: used once, by the host that asked for it, in time; void at the least doubt."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.jobs.effects import AskGo, ReleaseLock, RunSelfTest
from fleetroll_agent.jobs.events import (
    AskAgain,
    Assigned,
    GoGiven,
    GoRefused,
    HelloBuilt,
    Leaving,
    LockBusy,
    ServerBusy,
    SessionClosed,
    SessionOpened,
)
from fleetroll_agent.jobs.values import Stage, Step
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from tests.faults.jobs import Host


def is_applying(host: Host) -> bool:
    return host.attempt is not None and host.attempt.stage is Stage.APPLYING


def test_go_is_used_by_the_write_of_applying_before_anything_is_done(host: Host) -> None:
    host.stage(7)
    host.writes = 0
    effects = host.go(7)
    assert host.writes == 1
    assert (host.attempt.stage, host.attempt.step) == (Stage.APPLYING, Step.SELF_TEST)
    assert [type(effect) for effect in effects] == [RunSelfTest]
    assert host.said[-1] == "7 APPLYING self_test"


def test_a_staged_host_asks_at_once_and_then_each_interval(host: Host) -> None:
    host.stage(7)
    assert host.count(AskGo) == 1
    assert host.wait(59) == ()
    assert [effect.ask for effect in host.wait(2)] == [2]


def test_nothing_is_asked_without_a_session(host: Host) -> None:
    host.stage(7)
    host.tell(SessionClosed(1))
    assert host.wait(600) == ()


@pytest.mark.parametrize("generation", [6, 8])
def test_go_of_another_generation_is_void(host: Host, generation: int) -> None:
    host.stage(7)
    host.tell(GoGiven(1, generation, 1))
    assert not is_applying(host)


def test_go_to_an_older_ask_is_void(host: Host) -> None:
    host.stage(7)
    host.wait(61)
    host.tell(GoGiven(1, 7, 1))
    assert not is_applying(host)
    host.go(7)
    assert is_applying(host)


def test_go_of_an_older_session_is_void(host: Host) -> None:
    host.stage(7)
    host.tell(SessionOpened(2))
    host.tell(GoGiven(1, 7, 1))
    assert not is_applying(host)


def test_go_is_void_from_the_moment_at_which_a_hello_is_built(host: Host) -> None:
    host.stage(7)
    assert host.tell(HelloBuilt()) == (ReleaseLock(),)
    host.tell(GoGiven(1, 7, 1))
    assert not is_applying(host)


def test_go_is_void_after_a_restart(host: Host) -> None:
    host.stage(7)
    again = host.restart()
    again.tell(GoGiven(1, 7, 1))
    assert (again.attempt.stage, again.count(RunSelfTest)) == (Stage.STAGED, 0)


@pytest.mark.parametrize(("seconds", "used"), [(59.9, True), (60.0, True), (60.1, False)])
def test_go_lives_for_a_minute_after_the_ask_was_sent(host: Host, seconds: float, used: bool) -> None:
    host.stage(7)
    host.at += seconds
    host.go(7)
    assert is_applying(host) is used


def test_go_that_grew_old_gives_the_lock_back(host: Host) -> None:
    host.stage(7)
    host.at += 61
    assert ReleaseLock() in host.tell(GoGiven(1, 7, 1))


def test_go_is_used_once(host: Host) -> None:
    host.stage(7)
    host.go(7)
    assert host.tell(GoGiven(1, 7, 1)) == ()
    assert host.count(RunSelfTest) == 1


def test_a_refusal_gives_the_lock_back_and_says_when_to_ask_again(host: Host) -> None:
    host.stage(7)
    assert host.tell(GoRefused(1, 7, 1, Code.BUDGET, retry_after_seconds=5)) == (ReleaseLock(),)
    assert host.wait(4) == ()
    assert [effect.ask for effect in host.wait(1)] == [2]


def test_a_refusal_of_an_older_ask_says_nothing(host: Host) -> None:
    host.stage(7)
    host.wait(61)
    assert host.tell(GoRefused(1, 7, 1, Code.BUDGET)) == ()
    host.go(7)
    assert is_applying(host)


@pytest.mark.parametrize("seconds", [86400.0, 1e300])
def test_a_long_wait_is_cut_to_the_interval(host: Host, seconds: float) -> None:
    host.stage(7)
    host.tell(GoRefused(1, 7, 1, Code.WINDOW, retry_after_seconds=seconds))
    assert host.count(AskGo) == 1
    host.wait(61)
    assert host.count(AskGo) == 2


@pytest.mark.parametrize("seconds", [0.0, -1e12])
def test_a_refusal_that_names_no_time_to_come_is_no_tight_loop(host: Host, seconds: float) -> None:
    host.stage(7)
    host.tell(GoRefused(1, 7, 1, Code.BUDGET, retry_after_seconds=seconds))
    assert host.count(AskGo) == 1
    host.wait(1)
    assert host.count(AskGo) == 2


def test_ask_again_asks_at_once_and_voids_the_go_on_its_way(host: Host) -> None:
    host.stage(7)
    assert [effect.ask for effect in host.tell(AskAgain(1, 7))] == [2]
    host.tell(GoGiven(1, 7, 1))
    assert not is_applying(host)


def test_ask_again_for_something_else_is_passed_over(host: Host) -> None:
    host.stage(7)
    assert host.tell(AskAgain(1, 6)) == ()
    assert host.tell(AskAgain(9, 7)) == ()


def test_asks_count_from_one_in_every_session(host: Host) -> None:
    host.stage(7)
    host.wait(61)
    effects = host.tell(SessionOpened(2))
    assert [effect.ask for effect in effects if isinstance(effect, AskGo)] == [1]


def test_a_taken_lock_is_a_reason_to_wait_said_once(host: Host) -> None:
    host.stage(7)
    host.tell(LockBusy(1))
    host.wait(61)
    host.tell(LockBusy(2))
    assert host.said[-1] == "7 STAGED LOCKED"
    assert host.said.count("7 STAGED LOCKED") == 1
    host.tell(GoGiven(1, 7, 2))
    assert not is_applying(host)


def test_a_host_whose_clock_differs_does_not_ask_and_says_why(host: Host) -> None:
    host.tell(SessionOpened(1, skewed=True))
    host.stage(7, session=1)
    assert host.count(AskGo) == 0
    assert host.said[-2:] == ["7 STAGED", "7 STAGED CLOCK_SKEW"]
    host.tell(SessionOpened(2, skewed=True))
    assert host.said.count("7 STAGED CLOCK_SKEW") == 1
    host.tell(SessionOpened(3))
    assert host.count(AskGo) == 1


def test_the_lock_is_kept_over_the_end_of_a_session_once_go_was_used(host: Host) -> None:
    host.stage(7)
    host.go(7)
    assert host.tell(SessionClosed(1)) == ()
    assert host.tell(HelloBuilt()) == ()


def test_the_end_of_an_older_session_changes_nothing(host: Host) -> None:
    host.stage(7)
    host.tell(SessionOpened(2))
    assert host.tell(SessionClosed(1)) == ()
    assert host.state.session == 2


def test_asks_spread_around_their_interval(host: Host) -> None:
    host.stage(7)
    times = []
    for _ in range(4):
        before = host.count(AskGo)
        while host.count(AskGo) == before:
            host.wait(0.5)
        times.append(host.at)
    assert all(48 <= after - before <= 72.5 for before, after in pairwise(times))


def test_a_busy_server_lengthens_a_trial_and_nothing_else(host: Host) -> None:
    assert host.tell(ServerBusy(30)) == ()
    host.stage(7)
    assert host.tell(ServerBusy(30)) == ()
    host.go(7)
    host.arm(7)
    (extension,) = host.on_trial(7).tell(ServerBusy(30))
    assert extension.seconds == 30


def test_a_waiting_assignment_never_asks(host: Host) -> None:
    host.stage(7)
    host.go(7)
    host.tell(Assigned(8, "1.2.0"))
    assert all(effect.generation == 7 for effect in host.effects if isinstance(effect, AskGo))


def test_a_process_that_leaves_voids_its_ask_and_gives_the_lock_back(host: Host) -> None:
    host.stage(7)
    assert host.tell(Leaving()) == (ReleaseLock(),)
    host.tell(GoGiven(1, 7, host.last(AskGo).ask))
    assert host.attempt.stage is Stage.STAGED
    host.tell(SessionClosed(1), SessionOpened(2))
    host.wait(600)
    assert host.count(AskGo) == 1
    host.restart().tell(SessionOpened(1))
    assert host.attempt.stage is Stage.STAGED


def test_a_process_that_leaves_keeps_the_lock_of_what_is_past_go(host: Host) -> None:
    host.stage(7)
    host.go(7)
    assert host.tell(Leaving()) == ()
