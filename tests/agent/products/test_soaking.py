"""After the switch: becoming healthy, staying so, and what takes a version back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.jobs.events import SessionClosed, SessionOpened
from fleetroll_agent.jobs.values import Said, Stage, Step
from fleetroll_common.values.codes import Code
from tests.faults.jobs import NEW
from tests.faults.managed_host import SLOTS, ManagedHost

if TYPE_CHECKING:
    from fleetroll_agent.products.recipe import Recipe


def watched(recipe: Recipe = SLOTS, soak: float = 6) -> ManagedHost:
    """Return a host that has just switched."""
    host = ManagedHost.begin(recipe)
    host.to_go(soak=soak)
    host.up_to(Step.HEALTH)
    return host


def stage(host: ManagedHost) -> Stage | None:
    return None if host.attempt is None else host.attempt.stage


def test_a_product_may_take_its_time_to_start() -> None:
    host = watched()
    for _ in range(20):
        host.looks(healthy=False)
    assert stage(host) is Stage.APPLYING
    host.looks()
    assert stage(host) is Stage.SOAKING


def test_one_that_does_not_become_healthy_in_time_goes_back() -> None:
    host = watched()
    while host.attempt.step is Step.HEALTH:
        host.looks(healthy=False, message="refused")
    assert (host.attempt.work.code, host.attempt.work.unproven) == (Code.HEALTH_TIMEOUT, False)
    assert host.at - 5000 == pytest.approx(60, abs=3)
    assert NEW in host.disk.bad


def test_the_soak_counts_from_the_first_healthy_look() -> None:
    host = watched()
    host.wait(30)
    host.looks()
    for _ in range(2):
        host.looks()
        assert host.attempt is not None
    host.looks()
    assert host.said[-1] == "7 SUCCEEDED"


def test_one_unhealthy_look_within_the_soak_takes_it_back() -> None:
    host = watched()
    host.looks()
    host.looks(healthy=False, message="it died")
    assert host.attempt.work.code is Code.HEALTH_FAILED
    assert "it died" in host.attempt.work.message


def test_the_old_version_still_answering_is_not_healthy_yet() -> None:
    host = watched()
    host.looks(version="1.0.0")
    assert stage(host) is Stage.APPLYING
    host.looks(version="1.1.0")
    assert stage(host) is Stage.SOAKING


def test_a_release_that_reports_another_version_is_named_so() -> None:
    host = watched()
    while host.attempt.step is Step.HEALTH:
        host.looks(version="1.0.9")
    assert host.attempt.work.code is Code.VERSION_MISMATCH
    assert "1.0.9" in host.attempt.work.message


def test_an_outage_of_the_server_takes_no_product_back() -> None:
    host = watched()
    host.tell(SessionClosed(1))
    host.soak()
    assert host.said[-1] == "7 SUCCEEDED"


def test_a_product_that_can_cut_the_host_off_waits_for_contact() -> None:
    host = watched(replace(SLOTS, revert_on_lost_contact=True))
    host.tell(SessionClosed(1))
    for _ in range(10):
        host.looks()
    assert host.attempt.stage is Stage.SOAKING
    host.tell(SessionOpened(2))
    host.looks()
    assert host.said[-1] == "7 SUCCEEDED"


def test_without_contact_within_the_lease_it_goes_back_and_is_not_called_bad() -> None:
    host = watched(replace(SLOTS, revert_on_lost_contact=True))
    host.tell(SessionClosed(1))
    while host.attempt.step is Step.HEALTH:
        host.looks()
    assert (host.attempt.work.code, host.attempt.work.unproven) == (Code.LOST_CONTACT, True)
    assert not host.disk.bad


def test_the_soak_is_announced_whole() -> None:
    host = watched(soak=100)
    host.looks()
    told = next(report for report in host.journal if report.said is Said.SOAKING)
    assert told.time_limit_seconds == 60 + 30 + 100


def test_a_soak_of_nothing_ends_with_the_first_healthy_look() -> None:
    host = watched(soak=0)
    host.looks()
    assert host.said[-1] == "7 SUCCEEDED"
