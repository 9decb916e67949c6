"""What a host starts by itself: a local attempt, which has none of a person's rights and gives way to the server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fleetroll_agent.jobs import by_itself
from fleetroll_agent.jobs.effects import AskGo, AskLock, FillSlot, FindTarget, RunStep
from fleetroll_agent.jobs.events import (
    Assigned,
    CancelledLocally,
    GoRefused,
    HoldEnded,
    HoldSet,
    LockBusy,
    LockGiven,
    SessionClosed,
    SessionOpened,
    SlotReady,
    StagingFailed,
    StartedLocally,
    Suspended,
    TargetFound,
)
from fleetroll_agent.jobs.policy import Policy
from fleetroll_agent.jobs.values import Stage, Step
from fleetroll_agent.settings import formats
from fleetroll_agent.settings.product import AutoUpdate
from fleetroll_common.values.codes import Code
from tests.faults.jobs import NEW
from tests.faults.managed_host import PLAIN, ManagedHost

OWN = StartedLocally("1.1.0", "local schedule", source="/media/mirror", automatic=True, soak_seconds=6)
PERSONS = StartedLocally("1.1.0", "root", source="/media/mirror", soak_seconds=6)


def allowing(host: ManagedHost, **policy: Any) -> ManagedHost:
    """Let agent.toml say something else."""
    host.state = replace(host.state, policy=Policy(**policy))
    return host


def staged(host: ManagedHost) -> ManagedHost:
    """Let the host start 1.1.0 by itself, up to its asking for the lock."""
    host.tell(OWN)
    host.tell(TargetFound(host.last(FindTarget).job, NEW, PLAIN))
    host.tell(SlotReady(host.last(FillSlot).job))
    return host


def applying(host: ManagedHost) -> ManagedHost:
    staged(host)
    host.tell(LockGiven(host.last(AskLock).ask))
    return host


def test_it_goes_the_way_of_a_persons_attempt_and_leaves_no_hold() -> None:
    host = applying(ManagedHost.begin())
    assert (host.attempt.local, host.attempt.generation, host.attempt.actor) == (1, 0, "local schedule")
    host.up_to(Step.HEALTH)
    host.soak()
    assert (host.disk.current.version, host.disk.override) == ("1.1.0", None)
    (outcome,) = host.disk.outcomes
    assert (outcome.local, outcome.actor, outcome.said.value) == (1, "local schedule", "SUCCEEDED")


@pytest.mark.parametrize(
    ("before", "why"),
    [
        ((SessionOpened(1),), "a server is there"),
        ((Suspended("global", active=True),), "the kill switch (global)"),
        ((SessionOpened(1, skewed=True), SessionClosed(1)), "clock differed from the server's by more than 5 min"),
        ((SessionOpened(1, frozenset({"global"})), SessionClosed(1)), "the kill switch (global)"),
        ((HoldSet("root", 2e9, "inventory"),), "HELD_LOCALLY: hold by root: inventory"),
        ((PERSONS,), "an update to 1.1.0 is going on"),
    ],
)
def test_what_stands_in_its_way_is_said_and_nothing_begins(before: tuple[Any, ...], why: str) -> None:
    host = ManagedHost.begin()
    host.tell(*before)
    assert why in by_itself.why_not(host.state, host._moment(host.at))
    begun = host.disk.locals
    host.tell(OWN)
    assert host.disk.locals == begun


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        ({"auto_update": AutoUpdate.ASKED}, "only updates that a person starts"),
        ({"auto_update": AutoUpdate.NEVER}, "only updates that a person starts"),
        ({"container": "/.dockerenv"}, "a container"),
        ({"windows": (formats.window("sun 02:00-03:00 UTC"),)}, "WINDOW: the next opening"),
    ],
)
def test_what_agent_toml_does_not_allow_does_not_begin(policy: dict[str, Any], why: str) -> None:
    host = allowing(ManagedHost.begin(), **policy)
    assert why in by_itself.why_not(host.state, host._moment(host.at))
    host.tell(OWN)
    assert host.disk.locals == 0


def test_the_interval_and_a_broken_product_stand_in_its_way() -> None:
    host = allowing(applying(ManagedHost.begin()), min_interval_seconds=600.0)
    host.ends(Code.STEP_FAILED, by_itself=False)
    assert "TOO_SOON" in by_itself.why_not(host.state, host._moment(host.at))
    host.state = replace(host.state, policy=Policy(), record=replace(host.disk, broken=True))
    assert "a person is needed" in by_itself.why_not(host.state, host._moment(host.at))


def test_the_kill_switch_that_was_heard_last_outlasts_a_restart_and_the_next_welcome_decides() -> None:
    host = ManagedHost.begin()
    host.tell(SessionOpened(1), Suspended("global", active=True))
    host = host.crash()
    host.tell(OWN)
    assert host.disk.locals == 0
    host.tell(SessionOpened(2), SessionClosed(2), OWN)
    assert host.disk.locals == 1


@pytest.mark.parametrize(
    ("code", "begins"),
    [(Code.WINDOW, 1), (Code.BUDGET, 1), (Code.PAUSED, 0), (Code.YANKED, 0), (Code.INTERNAL, 0), (None, 0)],
)
@pytest.mark.parametrize("crashes", [False, True])
def test_what_the_server_had_stopped_is_not_begun_when_the_server_is_gone(
    code: Code | None, begins: int, crashes: bool
) -> None:
    """Nor is anything else of the product: the assignment that waits is the server's last word."""
    host = ManagedHost.begin()
    host.tell(SessionOpened(1), Assigned(7, "1.1.0", 6, 60))
    host.tell(TargetFound(host.last(FindTarget).job, NEW, PLAIN), SlotReady(host.last(FindTarget).job))
    host.tell(GoRefused(1, 7, host.last(AskGo).ask, code), SessionClosed(1))
    host = host.crash() if crashes else host
    host.tell(OWN)
    assert host.disk.locals == begins
    if not begins:
        assert "the server refused 1.1.0 when it was last asked" in by_itself.why_not(host.state, host._moment(host.at))


def test_what_was_stopped_is_remembered_behind_a_persons_attempt_and_a_newer_assignment_ends_it() -> None:
    host = ManagedHost.begin()
    host.tell(SessionOpened(1), Assigned(7, "1.1.0", 6, 60))
    host.tell(TargetFound(host.last(FindTarget).job, NEW, PLAIN), SlotReady(host.last(FindTarget).job))
    host.tell(GoRefused(1, 7, host.last(AskGo).ask, Code.PAUSED), SessionClosed(1), PERSONS, CancelledLocally(), OWN)
    assert host.disk.locals == 1
    host.tell(SessionOpened(2), Assigned(8, "1.1.0", 6, 60), SessionClosed(2), OWN)
    assert host.disk.locals == 2


def test_it_waits_for_its_window_also_when_it_is_staged() -> None:
    host = ManagedHost.begin()
    host.tell(OWN, TargetFound(1, NEW, PLAIN))
    allowing(host, windows=(formats.window("sun 02:00-03:00 UTC"),))
    host.tell(SlotReady(1))
    host.wait(3600)
    assert host.said[-1] == "STAGED WINDOW"
    assert host.count(AskLock) == 0
    opens = host.journal[-1].retry_at
    assert opens is not None
    host.wait(opens - host._moment(host.at).wall_seconds)
    assert (host.count(AskLock), host.count(FindTarget)) == (0, 2), "what was signed then is looked up again"
    host.tell(TargetFound(host.last(FindTarget).job, NEW, PLAIN), SlotReady(host.last(FindTarget).job))
    assert host.count(AskLock) == 1


def test_what_was_yanked_while_it_waited_is_not_begun() -> None:
    host = ManagedHost.begin()
    host.tell(OWN, TargetFound(1, NEW, PLAIN), HoldSet("root", 2e9), SlotReady(1))
    host.wait(3601)
    host.tell(HoldEnded())
    host.wait(60)
    host.tell(StagingFailed(host.last(FindTarget).job, Code.NOT_LISTED, "no signed role has it"))
    assert host.count(AskLock) == 0
    assert host.said[-1] == "FAILED NOT_LISTED"


@pytest.mark.parametrize(("seconds", "looks"), [(3540, 1), (3660, 2)])
def test_what_waits_for_the_lock_is_looked_up_hourly(seconds: int, looks: int) -> None:
    host = staged(ManagedHost.begin())
    for _ in range(seconds // 60):
        host.tell(LockBusy(host.last(AskLock).ask))
        host.wait(60)
    assert host.count(FindTarget) == looks


def test_what_an_earlier_process_had_staged_is_looked_up_again_and_a_persons_is_not() -> None:
    host = staged(ManagedHost.begin()).crash()
    assert (host.count(AskLock), host.count(FindTarget)) == (0, 1)
    host = ManagedHost.begin()
    host.tell(PERSONS, TargetFound(1, NEW, PLAIN), SlotReady(1))
    host = host.crash()
    assert (host.count(AskLock), host.count(FindTarget)) == (1, 0)


def test_the_hosts_own_lock_and_its_order_count_for_it() -> None:
    assert staged(ManagedHost.begin()).last(AskLock).by_host
    host = ManagedHost.begin()
    host.tell(PERSONS, TargetFound(1, NEW, PLAIN), SlotReady(1))
    assert not host.last(AskLock).by_host


def test_a_server_that_is_back_decides_again_as_long_as_nothing_has_begun() -> None:
    host = staged(ManagedHost.begin())
    host.tell(SessionOpened(1))
    assert host.said[-1] == "CANCELLED SUPERSEDED"
    assert host.attempt is None
    assert host.disk.failures == ()
    host = applying(ManagedHost.begin())
    host.tell(SessionOpened(1))
    assert host.attempt.stage is Stage.APPLYING


def test_what_waited_behind_it_goes_on_when_the_server_is_back() -> None:
    host = ManagedHost.begin()
    host.tell(SessionOpened(1), Assigned(7, "1.1.0", 6, 60))
    host.tell(TargetFound(host.last(FindTarget).job, NEW, PLAIN), SlotReady(host.last(FindTarget).job))
    host.tell(SessionClosed(1))
    staged(host)
    assert (host.attempt.local, host.disk.waiting.generation) == (1, 7)
    host.tell(SessionOpened(2))
    assert (host.attempt.generation, host.disk.waiting) == (7, None)
    assert host.last(FindTarget).generation == 7


def test_the_assignment_that_it_fulfilled_ends_at_its_target() -> None:
    host = ManagedHost.begin()
    host.tell(SessionOpened(1), Assigned(7, "1.1.0", 6, 60), SessionClosed(1))
    applying(host)
    host.up_to(Step.HEALTH)
    host.soak()
    host.tell(SessionOpened(2))
    host.tell(TargetFound(host.last(FindTarget).job, NEW, PLAIN))
    assert host.said[-1] == "7 CANCELLED ALREADY_AT_TARGET"


def test_a_switch_that_is_pressed_after_its_beginning_takes_it_back_before_its_own_switch() -> None:
    host = applying(ManagedHost.begin())
    host.tell(SessionOpened(1), Suspended("global", active=True))
    host.ends()
    assert host.said[-1] == "CANCELLED KILLED"


def test_a_persons_attempt_is_still_not_stopped_by_it() -> None:
    host = ManagedHost.begin()
    host.tell(PERSONS, TargetFound(1, NEW, PLAIN), SlotReady(1))
    host.tell(LockGiven(host.last(AskLock).ask))
    host.tell(SessionOpened(1), Suspended("global", active=True))
    begun = host.count(RunStep)
    host.ends()
    assert host.count(RunStep) == begun + 1


def test_a_mirror_alone_will_do_for_it() -> None:
    """For a bundle expiry is waived, and no person is there to judge that."""
    host = staged(ManagedHost.begin())
    assert (host.last(FindTarget).by_host, host.last(FillSlot).by_host) == (True, True)
    host = ManagedHost.begin()
    host.tell(PERSONS, TargetFound(1, NEW, PLAIN))
    assert (host.last(FindTarget).by_host, host.last(FillSlot).by_host) == (False, False)


def test_its_failures_are_remembered_and_a_persons_start_or_a_success_forgets_them() -> None:
    host = ManagedHost.begin()
    host.tell(OWN)
    host.tell(StagingFailed(host.last(FindTarget).job, Code.UNAVAILABLE, "the mirror is away"))
    (failure,) = host.disk.failures
    assert (failure.version, failure.count, failure.permanent) == ("1.1.0", 1, False)
    host.tell(OWN)
    host.tell(StagingFailed(host.last(FindTarget).job, Code.WRONG_HASH, "other bytes"))
    assert host.disk.failures[0].permanent
    host.tell(PERSONS)
    assert host.disk.failures == ()
    host.tell(StagingFailed(host.last(FindTarget).job, Code.WRONG_HASH, "other bytes"))
    assert host.disk.failures == (), "a person sees for themselves"


@pytest.mark.parametrize("code", [Code.DISK_FULL, Code.LOCKED])
@pytest.mark.parametrize("start", [OWN, PERSONS])
def test_a_full_disk_ends_a_local_attempt_after_its_tries_for_nobody_else_would(
    code: Code, start: StartedLocally
) -> None:
    host = ManagedHost.begin()
    host.tell(start)
    for seconds in (30, 120, 600):
        host.tell(StagingFailed(host.last(FindTarget).job, code, "no room", transient=True))
        host.wait(seconds)
    assert host.attempt is None
    assert host.said[-1] == f"FAILED {code}"
    resting = [(known.count, known.permanent, known.wait_seconds) for known in host.disk.failures]
    assert resting == ([(1, False, 3600.0)] if start is OWN else [])


def test_whoever_keeps_the_version_ends_its_count() -> None:
    host = ManagedHost.begin()
    host.tell(OWN)
    host.tell(StagingFailed(host.last(FindTarget).job, Code.UNAVAILABLE, "the mirror is away"))
    host.to_go(about=PLAIN)
    host.up_to(Step.HEALTH)
    host.soak()
    assert host.disk.failures == ()


def test_a_person_who_cancels_it_is_not_asked_twice() -> None:
    host = staged(ManagedHost.begin())
    host.tell(CancelledLocally())
    assert host.disk.failures[0].permanent


def test_a_crash_after_its_beginning_counts_as_a_try_without_proof() -> None:
    host = applying(ManagedHost.begin())
    host.up_to(Step.SMOKE)
    host.starts()
    host = host.crash()
    host.gone()
    assert host.said[-1] == "FAILED STEP_FAILED"
    assert (host.disk.failures[0].unproven, host.disk.failures[0].permanent) == (1, False)
