"""What became of the last updates, and holds that somebody may have forgotten."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.jobs.overrides import Override, OverrideKind
from fleetroll_agent.jobs.values import Said
from fleetroll_agent.jobs.work import Ban
from fleetroll_common.values.codes import Code
from tests.faults.whole_host import NOW, WholeHost

if TYPE_CHECKING:
    from fleetroll_agent.doctor.values import Finding


def found(host: WholeHost, sign: str) -> Finding:
    """Return the one finding, which has this sign."""
    findings = host.look().findings
    assert [finding.sign.value for finding in findings] == [sign]
    return findings[0]


@pytest.mark.parametrize("product", ["agent", "shop"])
@pytest.mark.parametrize(
    ("said", "code", "sign"),
    [
        (Said.ROLLBACK_FAILED, Code.STEP_FAILED, "ROLLBACK_FAILED"),
        (Said.ROLLBACK_FAILED, Code.START_FAILED, "ROLLBACK_FAILED"),
        (Said.ROLLED_BACK, Code.HEALTH_FAILED, "ROLLED_BACK"),
        (Said.ROLLED_BACK, Code.START_FAILED, "RESTART_FAILED"),
        (Said.FAILED, Code.WRONG_HASH, "UPDATE_FAILED"),
    ],
)
def test_a_last_attempt_that_went_wrong_is_told_in_its_own_words(
    host: WholeHost, product: str, said: Said, code: Code, sign: str
) -> None:
    """With its code, and where to read on."""
    host.ended(product, said, code=code, message="the frobnicator is missing")
    finding = found(host, sign)
    assert finding.subject == product
    assert f"{code}" in finding.message
    assert "the frobnicator is missing" in finding.message
    assert f"fleetroll-agent log{'' if product == 'agent' else ' shop 11'} --state" in finding.remedy


def test_a_later_success_ends_it_and_what_was_not_for_this_host_does_not(host: WholeHost) -> None:
    """An attempt that was cancelled or passed over mends nothing, and is no fault of its own."""
    host.ended("shop", Said.ROLLBACK_FAILED, code=Code.STEP_FAILED, message="the way back failed")
    host.ended("shop", Said.SKIPPED, code=Code.PINNED)
    host.ended("shop", Said.CANCELLED, code=Code.CANCELLED_BY)
    assert host.signs() == ["ROLLBACK_FAILED"]
    host.ended("shop", Said.FAILED, code=Code.LOCKED)
    assert host.signs() == ["ROLLBACK_FAILED", "UPDATE_FAILED"]
    host.ended("shop", Said.SUCCEEDED)
    assert host.signs() == []


@pytest.mark.parametrize("product", ["agent", "shop"])
def test_what_the_publisher_holds_against_a_running_version_is_told(host: WholeHost, product: str) -> None:
    """It goes on running: a revoked digest is an error, a version below the floor is a warning."""
    runs = host.boot().current.digest if product == "agent" else host.record(product).current.sha256
    host.change(product, revoked=(Ban("0" * 64, "another one"),), policy_floor="1.0.0", floor="0.5.0")
    assert host.signs() == []
    host.change(product, revoked=(Ban(runs, "it is not ours"),))
    finding = found(host, "REVOKED_RUNNING")
    assert finding.message.endswith("runs here, and was revoked: it is not ours")
    assert f"fleetroll-agent update {product} --state {host.state}" in finding.remedy
    for floors in ({"policy_floor": "9.0.0"}, {"policy_floor": "", "floor": "9.0.0"}):
        host.change(product, revoked=(), **floors)
        assert found(host, "BELOW_FLOOR").message.endswith("is below the security floor 9.0.0")


def hold(host: WholeHost, since: float | None, until: float) -> None:
    override = Override(OverrideKind.HOLD, "root (ann)", 2, until, "inventory", since)
    host.change("shop", override=override)


def test_a_hold_that_is_older_than_a_day_is_told_with_its_person(host: WholeHost) -> None:
    """One of today, one that has ended, and one of which nobody knows how old it is are not."""
    now, day = NOW.timestamp(), 86400.0
    hold(host, now - day / 2, now + day)
    assert host.signs() == []
    hold(host, now - 3 * day, now + day)
    finding = found(host, "HOLD_OLD")
    assert "held for 3d0h by root (ann) (hold): inventory" in finding.message
    assert f"fleetroll-agent unhold shop --state {host.state}" in finding.remedy
    assert host.signs(NOW + timedelta(days=2)) == []
    hold(host, None, now + day)
    assert host.signs() == []
