"""Freeze: metadata that was right once and is shown for ever; and clocks that go wrong by themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import TrustError
from tests.faults.repositories import BUILT_AT, START, Host, Repository

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400.0
GENUINE = ("timestamp.json", "snapshot.json", "targets.json", "floor.json")


def set_clock(host: Host, instant: datetime) -> None:
    host.clock.jump((instant - host.clock.now()).total_seconds())


def expire(role: Any) -> None:
    role.expires = START - timedelta(seconds=1)


def test_a_repository_that_stands_still_is_refused_when_its_timestamp_expires(host: Host) -> None:
    host.clock.advance(DAY - 1)
    assert host.update() == ("1.0.0",)
    host.clock.advance(2)
    error = host.refuses(Code.METADATA_FREEZE, lists=False)
    assert error.details["role"] in {"timestamp", "snapshot"}


def test_what_was_verified_is_not_given_after_it_has_expired(host: Host) -> None:
    """No refresh is needed for that: the question itself notices."""
    host.clock.advance(DAY + 1)
    with pytest.raises(TrustError) as caught:
        host.versions()
    assert caught.value.code is Code.METADATA_FREEZE
    assert caught.value.details == {"role": "timestamp"}


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_an_expired_role_is_refused(host: Host, repository: Repository, role: str) -> None:
    """A newer one, signed by the right keys, and no longer valid."""
    repository.signed_by_thief(role, expire)
    host.refuses(Code.METADATA_FREEZE, kept=(*GENUINE, "root_history/2.root.json"))


def test_an_expired_product_role_is_refused(host: Host, repository: Repository) -> None:
    repository.signed_by_thief("products/agent", expire)
    error = host.refuses(Code.METADATA_FREEZE, kept=GENUINE, lists=False)
    assert error.details["role"] == "products/agent"


def test_an_expired_root_leads_to_its_successor(tmp_path: Path, repository: Repository) -> None:
    """A host that was off for two years comes back through the chain."""
    host = Host(tmp_path, repository)
    host.clock.advance(730 * DAY)
    repository.now = host.clock.now()
    repository.rotate_online("second ")
    with pytest.raises(TrustError) as caught:
        host.update()
    assert caught.value.code is Code.METADATA_FREEZE
    assert caught.value.details["role"] == "targets"


def test_a_host_clock_of_1970_counts_as_the_time_of_the_build(tmp_path: Path, repository: Repository) -> None:
    host = Host(tmp_path, repository)
    set_clock(host, datetime(1970, 1, 1, tzinfo=UTC))
    assert host.update() == ("1.0.0",)
    repository.signed_by_thief("timestamp", lambda role: setattr(role, "expires", BUILT_AT - timedelta(seconds=1)))
    host.refuses(Code.METADATA_FREEZE)


def test_a_host_clock_that_falls_back_to_1970_does_not_unfreeze(host: Host, repository: Repository) -> None:
    """The last refresh that succeeded is remembered, over a restart too."""
    host.clock.advance(DAY / 2)
    host.update()
    set_clock(host, datetime(1970, 1, 1, tzinfo=UTC))
    host.restart()
    assert host.update() == ("1.0.0",)
    repository.signed_by_thief("timestamp", lambda role: setattr(role, "expires", START + timedelta(hours=11)))
    host.refuses(Code.METADATA_FREEZE)


def test_a_host_clock_of_2100_blocks_installs_and_heals_with_the_clock(host: Host) -> None:
    """A refused refresh is no refresh: the wrong time is not remembered."""
    set_clock(host, datetime(2100, 1, 1, tzinfo=UTC))
    host.refuses(Code.METADATA_FREEZE, lists=False)
    set_clock(host, START)
    assert host.update() == ("1.0.0",)


def test_a_fresh_host_with_a_clock_of_2100_heals_with_the_clock(tmp_path: Path, repository: Repository) -> None:
    host = Host(tmp_path, repository)
    set_clock(host, datetime(2100, 1, 1, tzinfo=UTC))
    with pytest.raises(TrustError) as caught:
        host.update()
    assert caught.value.code is Code.METADATA_FREEZE
    set_clock(host, START)
    assert host.update() == ("1.0.0",)


def test_a_clock_ahead_that_was_believed_never_blocks_what_is_signed_later(host: Host, repository: Repository) -> None:
    """What was believed was below the expiry of all roles, and the next signatures expire later than those."""
    host.clock.jump(DAY - 10)
    host.update()
    host.clock.jump(-DAY + 10)
    host.restart()
    repository.now += timedelta(hours=1)
    repository.refresh_timestamp()
    assert host.update() == ("1.0.0",)


def test_a_missing_newer_root_is_no_error_and_a_source_that_fails_is(host: Host, repository: Repository) -> None:
    """Silence is never success: only the plain answer "absent" ends the chain of roots."""
    assert host.update() == ("1.0.0",)
    assert "2.root.json" in repository.asked
    repository.forged["2.root.json"] = TimeoutError("the line is dead")
    error = host.refuses(Code.DOWNLOAD_FAILED)
    assert "the line is dead" in error.message


@pytest.mark.parametrize("name", ["timestamp.json", "3.snapshot.json", "3.products%2Fagent.json"])
def test_a_file_that_is_withheld_is_named(host: Host, repository: Repository, name: str) -> None:
    repository.publish("1.1.0")
    files = repository.frozen()
    del files[name]
    repository.shown = files
    error = host.refuses(Code.DOWNLOAD_FAILED, kept=GENUINE, lists=not name.startswith("3.p"))
    assert name in error.message
