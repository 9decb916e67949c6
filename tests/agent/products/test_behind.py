"""What waits behind an attempt that is not interrupted: announced for a while, and again before that is over."""

from __future__ import annotations

import pytest

from fleetroll_agent.jobs.effects import AskLock, FindTarget
from fleetroll_agent.jobs.events import (
    Assigned,
    LockBusy,
    LockGiven,
    SessionClosed,
    SessionOpened,
    SlotReady,
    StartedLocally,
    TargetFound,
)
from fleetroll_agent.jobs.summary import attempt_facts
from fleetroll_agent.jobs.values import Step
from fleetroll_server.domain.assignments import Step as ServerStep
from fleetroll_server.domain.assignments import judge_report
from fleetroll_server.domain.states import AttemptState, Trigger
from tests.faults.jobs import NEW
from tests.faults.managed_host import PLAIN, ManagedHost

PERSONS = StartedLocally("1.1.0", "root", source="/media/bundle", soak_seconds=6)


def announced(host: ManagedHost, generation: int = 8) -> list[tuple[float, float]]:
    """Return when the waiting generation was spoken of, and for how long at most it was to be silent."""
    told = [each for each in host.journal if each.generation == generation]
    for again in told[1:]:
        assert judge_report(AttemptState.DOWNLOADING, AttemptState[again.said.value], code=again.code) == ServerStep(
            Trigger.DOWNLOAD
        ), "a server gives it no time for this word"
    return [(each.occurred_at, each.time_limit_seconds or 0.0) for each in told]


def is_never_silent_too_long(host: ManagedHost, until: float, generation: int = 8) -> bool:
    told = announced(host, generation)
    ends = [at for at, _ in told[1:]] + [until]
    return all(end - at < limit for (at, limit), end in zip(told, ends, strict=True))


def now(host: ManagedHost) -> float:
    return host._moment(host.at).wall_seconds


def test_behind_a_pipeline_it_is_announced_again_before_its_time_is_over() -> None:
    host = ManagedHost.begin()
    host.to_go()
    host.up_to(Step.MIGRATE)
    host.tell(Assigned(8, "1.2.0"))
    for _ in range(90):
        host.wait(20)
    assert host.disk.waiting.generation == 8
    assert is_never_silent_too_long(host, now(host))
    assert 2 <= len(announced(host)) <= 6, "and not each minute"
    assert all(limit < 1800 for _, limit in announced(host))


@pytest.mark.parametrize("staged", [False, True])
def test_behind_a_persons_attempt_it_is_not_announced_for_a_day(staged: bool) -> None:
    host = ManagedHost.begin()
    host.tell(SessionOpened(1), Assigned(8, "1.2.0"), PERSONS)
    if staged:
        host.tell(TargetFound(host.last(FindTarget).job, NEW, PLAIN), SlotReady(host.last(FindTarget).job))
    for _ in range(90):
        host.wait(20)
        if staged and host.state.ask is not None:
            host.tell(LockBusy(host.last(AskLock).ask))
    assert is_never_silent_too_long(host, now(host))
    assert all(limit <= 900 for _, limit in announced(host))


def test_after_a_restart_it_is_announced_again_soon() -> None:
    host = ManagedHost.begin()
    host.to_go()
    host.up_to(Step.RESTART)
    host.tell(Assigned(8, "1.2.0"))
    host.at += 300
    host = host.crash()
    host.tell(SessionOpened(2))
    before = len(announced(host))
    host.wait(149)
    assert len(announced(host)) == before
    host.wait(1)
    assert len(announced(host)) == before + 1


def test_without_a_session_it_is_said_once_and_again_when_there_is_one() -> None:
    """Nobody hears it, and a journal that grew all the while would have to be sent."""
    host = ManagedHost.begin()
    host.tell(SessionOpened(1), Assigned(8, "1.2.0"), SessionClosed(1), PERSONS)
    host.tell(TargetFound(host.last(FindTarget).job, NEW, PLAIN), SlotReady(host.last(FindTarget).job))
    before, reports = announced(host), len(host.journal)
    for _ in range(200):
        host.tell(LockBusy(host.last(AskLock).ask))
        host.wait(60)
    assert announced(host) == before
    assert len(host.journal) == reports + 1, "that the lock is in the way is said once as well"
    host = host.crash()
    host.wait(7200)
    assert announced(host) == before
    host.tell(SessionOpened(2))
    assert announced(host)[len(before) :] == [(now(host), 900.0)]


def test_a_hello_says_how_long_it_may_take() -> None:
    """Else the server would count by its own rule, which knows nothing of what goes on here."""
    host = ManagedHost.begin()
    host.to_go()
    host.up_to(Step.MIGRATE)
    host.tell(Assigned(8, "1.2.0"))
    (fact,) = [each for each in attempt_facts(host.state, host._moment(host.at)) if each.generation == 8]
    assert fact.time_left_seconds == announced(host)[0][1] == 930


def test_what_waits_no_more_is_not_announced() -> None:
    host = ManagedHost.begin()
    host.tell(SessionOpened(1), PERSONS)
    host.tell(TargetFound(host.last(FindTarget).job, NEW, PLAIN), SlotReady(host.last(FindTarget).job))
    host.tell(LockGiven(host.last(AskLock).ask), Assigned(8, "1.2.0"), Assigned(9, ""))
    said = len(host.journal)
    for _ in range(90):
        host.wait(20)
    assert not [each for each in host.journal[said:] if each.generation == 8]
