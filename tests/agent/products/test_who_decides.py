"""A person on the host and the server want different things: who is heard, when, and what is left of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.effects import AskGo, AskLock, FillSlot, FindTarget, ReleaseLock
from fleetroll_agent.jobs.events import (
    Assigned,
    CancelledLocally,
    GoGiven,
    HoldSet,
    LockGiven,
    SessionClosed,
    SessionOpened,
    SlotReady,
    StartedLocally,
    TargetFound,
)
from fleetroll_agent.jobs.overrides import OverrideKind
from fleetroll_agent.jobs.policy import Policy
from fleetroll_agent.jobs.summary import attempt_facts
from fleetroll_agent.jobs.values import Moment, Said, Step
from tests.faults.jobs import NEW, NEWER
from tests.faults.managed_host import MIGRATING, ManagedHost

if TYPE_CHECKING:
    from fleetroll_agent.jobs.work import About

WEEK = 7 * 86400.0


def wall(host: ManagedHost) -> float:
    """Return the host's time of day, in Unix seconds."""
    return host._moment(host.at).wall_seconds


def staged(host: ManagedHost, generation: int = 7, version: str = "1.1.0", sha256: str = NEW) -> ManagedHost:
    """Let the server's assignment come as far as it can without a permit."""
    host.tell(SessionOpened(1), Assigned(generation, version, 6, 60))
    return found(host, sha256)


def found(host: ManagedHost, sha256: str = NEW, about: About = MIGRATING) -> ManagedHost:
    """Let the version be found and its bytes come."""
    host.tell(TargetFound(host.last(FindTarget).job, sha256, about))
    host.tell(SlotReady(host.last(FillSlot).job))
    return host


def test_the_second_of_two_people_is_not_told_the_firsts_number() -> None:
    host = ManagedHost.begin()
    host.tell(SessionOpened(1), StartedLocally("1.1.0", "ann", ticket="first"))
    host.tell(StartedLocally("1.2.0", "bob", ticket="second"))
    assert (host.attempt.local, host.attempt.actor, host.attempt.ticket) == (1, "ann", "first")
    assert host.disk.locals == 1


def test_a_request_that_ended_at_once_is_known_by_its_ticket() -> None:
    host = ManagedHost.begin()
    host.tell(SessionOpened(1), StartedLocally("1.0.0", "ann", ticket="mine"))
    host.tell(CancelledLocally())
    assert [(one.local, one.ticket) for one in host.disk.outcomes] == [(1, "mine")]


def test_what_a_person_started_can_be_cancelled_while_that_is_free() -> None:
    host = ManagedHost.begin()
    host.tell(SessionOpened(1), StartedLocally("1.1.0", "root"))
    found(host)
    host.tell(CancelledLocally())
    assert host.disk.attempt is None
    assert host.said[-1] == "CANCELLED CANCELLED_BY"
    assert isinstance(host.effects[-1], ReleaseLock), "a lock that was asked for is not kept"


def test_what_has_begun_is_not_cancelled() -> None:
    host = ManagedHost.begin()
    host.tell(SessionOpened(1), StartedLocally("1.1.0", "root"))
    found(host)
    host.tell(LockGiven(host.last(AskLock).ask))
    host.up_to(Step.MIGRATE)
    host.tell(CancelledLocally())
    assert host.attempt.step is Step.MIGRATE


def test_a_cancel_is_not_for_what_the_server_wants() -> None:
    host = staged(ManagedHost.begin())
    host.tell(CancelledLocally())
    assert host.attempt.generation == 7


def test_what_the_server_wanted_goes_on_after_a_cancel() -> None:
    host = staged(ManagedHost.begin())
    host.tell(StartedLocally("1.2.0", "root"))
    assert (host.attempt.local, host.disk.waiting.generation) == (1, 7)
    host.tell(CancelledLocally())
    assert host.attempt.generation == 7
    found(host)
    assert host.count(AskGo) == 2


def test_a_person_without_a_server_has_an_answer_within_a_minute() -> None:
    host = ManagedHost.begin()
    host.tell(StartedLocally("1.1.0", "root", hold_seconds=WEEK))
    host.wait(59)
    assert host.attempt.local == 1
    host.wait(2)
    assert host.disk.attempt is None
    assert host.said[-1] == "FAILED UNAVAILABLE"
    assert host.disk.override is None


def test_a_session_that_breaks_meanwhile_begins_the_minute_no_earlier() -> None:
    host = ManagedHost.begin()
    host.tell(SessionOpened(1), StartedLocally("1.1.0", "root"))
    found(host)
    host.tell(SessionClosed(1))
    host.wait(300)
    assert host.attempt.local == 1, "all that it needs is here"


def test_a_hold_voids_the_go_that_is_on_its_way() -> None:
    host = staged(ManagedHost.begin())
    ask = host.last(AskGo).ask
    host.tell(HoldSet("root", wall(host) + WEEK, "not today"))
    host.tell(GoGiven(1, 7, ask))
    assert not host.attempt.past_go
    host.wait(30)
    assert host.said[-1] == "7 STAGED HELD_LOCALLY"


def test_a_hold_that_stands_longer_is_not_cut_short_by_an_update() -> None:
    host = ManagedHost.begin()
    host.tell(HoldSet("ann", wall(host) + 2 * WEEK, "a fair"))
    host.tell(SessionOpened(1), StartedLocally("1.1.0", "bob", soak_seconds=6, hold_seconds=WEEK))
    found(host)
    host.tell(LockGiven(host.last(AskLock).ask))
    host.up_to(Step.HEALTH)
    host.soak()
    assert (host.disk.override.kind, host.disk.override.actor) == (OverrideKind.HOLD, "ann")


def test_an_assignment_that_may_end_a_hold_does_so_when_its_turn_comes() -> None:
    host = ManagedHost.begin()
    host.tell(SessionOpened(1), StartedLocally("1.1.0", "root", soak_seconds=6, hold_seconds=WEEK))
    found(host)
    host.tell(LockGiven(host.last(AskLock).ask))
    host.tell(Assigned(7, "1.2.0", 6, 60, override_local=True))
    host.up_to(Step.HEALTH)
    host.soak()
    assert host.attempt.generation == 7
    assert host.disk.override is None
    found(host, NEWER)
    assert host.count(AskGo) == 1


def test_agent_toml_can_keep_a_hold_from_the_server() -> None:
    host = ManagedHost.begin()
    host.state = replace(host.state, policy=Policy(override_local=False))
    host.tell(HoldSet("root", wall(host) + WEEK, ""))
    host.tell(SessionOpened(1), Assigned(7, "1.1.0", 6, 60, override_local=True))
    assert host.said[-1] == "7 FAILED OVERRIDE_NOT_ALLOWED"
    assert host.disk.override is not None


def test_a_product_that_a_way_back_left_broken_is_brought_to_the_version_that_its_record_names() -> None:
    record = replace(ManagedHost.begin().disk, broken=True)
    host = ManagedHost.begin(record=record)
    current = record.current
    host.tell(SessionOpened(1), Assigned(7, current.version, 6, 60))
    found(host, current.sha256)
    assert host.count(AskGo) == 1, "it is not held to be there already"
    host.tell(GoGiven(1, 7, host.last(AskGo).ask))
    host.up_to(Step.HEALTH)
    host.soak()
    assert host.said[-1] == "7 SUCCEEDED"
    assert not host.disk.broken


def test_what_goes_on_stands_first_in_a_hello() -> None:
    host = staged(ManagedHost.begin())
    host.tell(StartedLocally("1.2.0", "root"))
    host.tell(CancelledLocally())
    facts = attempt_facts(host.state, Moment(host.at, host.at - 4000))
    assert [fact.said is Said.CANCELLED for fact in facts] == sorted(fact.said is Said.CANCELLED for fact in facts)
