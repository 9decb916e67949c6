"""What keeps a staged attempt from asking: it waits, says why, and asks when it is over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs.effects import AskGo
from fleetroll_agent.jobs.events import Assigned
from fleetroll_agent.jobs.overrides import Override, OverrideKind
from fleetroll_agent.jobs.policy import Policy
from fleetroll_agent.jobs.values import Stage

if TYPE_CHECKING:
    from tests.faults.jobs import Host

WALL = 1_800_000_000.0
"""Of the faked hosts, at second 0 of their boot clock."""


def held(host: Host, seconds: float = 1000.0, **policy: Any) -> Host:
    override = Override(OverrideKind.ROLLBACK, "root", 3, WALL + host.at + seconds, "it eats the disk")
    record = replace(host.state.record, override=override)
    host.state = replace(host.state, record=record, policy=Policy(**policy))
    return host


def started(host: Host, ago: float, interval: float = 600.0) -> Host:
    record = replace(host.state.record, started_at=WALL + host.at - ago)
    host.state = replace(host.state, record=record, policy=Policy(min_interval_seconds=interval))
    return host


def test_a_persons_decision_lets_every_assignment_wait_and_says_so_once(host: Host) -> None:
    held(host).stage(7)
    assert host.count(AskGo) == 0
    assert host.said[-1] == "7 STAGED HELD_LOCALLY"
    assert host.journal[-1].retry_at == WALL + host.at + 1000
    said = len(host.said)
    host.wait(61)
    assert (len(host.said), host.count(AskGo)) == (said, 0)


def test_when_it_ends_by_itself_the_attempt_asks(host: Host) -> None:
    held(host, 100).stage(7)
    host.wait(61)
    assert host.count(AskGo) == 0
    host.wait(40)
    assert host.count(AskGo) == 1


def test_the_server_ends_it_where_that_is_allowed(host: Host) -> None:
    held(host)
    host.stage(7)
    host.tell(Assigned(8, "1.1.0", override_local=True))
    assert host.disk.override is None


def test_where_it_is_not_allowed_that_is_refused_by_name(host: Host) -> None:
    held(host, override_local=False)
    host.tell(Assigned(8, "1.1.0", override_local=True))
    assert host.said[-1] == "8 FAILED OVERRIDE_NOT_ALLOWED"
    assert host.disk.override is not None
    assert host.attempt is None


def test_two_updates_keep_their_distance(host: Host) -> None:
    started(host, ago=590).stage(7)
    assert host.said[-1] == "7 STAGED TOO_SOON"
    assert host.count(AskGo) == 0
    host.wait(10)
    assert host.count(AskGo) == 1
    assert host.attempt.stage is Stage.STAGED


def test_a_clock_that_was_set_back_is_no_reason_to_wait_for_years(host: Host) -> None:
    started(host, ago=-100_000).stage(7)
    assert host.count(AskGo) == 1
