"""When a host counts as left alone, and what it takes then: pure rules over the signed list."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fleetroll_agent.jobs.events import Assigned, SessionClosed, SessionOpened
from fleetroll_agent.jobs.failures import Failure
from fleetroll_agent.jobs.policy import Policy
from fleetroll_agent.jobs.values import Moment, ProductRecord
from fleetroll_agent.schedule.contact import Contact
from fleetroll_agent.schedule.rules import Silence, choose
from fleetroll_agent.settings import formats
from fleetroll_common.trust.listing import ListedTarget, Offered
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.release import ReleaseCustom
from fleetroll_common.values.version import Version
from tests.agent.fake_server.releases import RELEASED_AT
from tests.faults.jobs import NEW, NEWER, OLD
from tests.faults.managed_host import ManagedHost

HERE = Platform.current()
NOW = Moment(5000.0, 1000.0, 1_800_000_000.0)


def release(version: str, digest: str = NEW, **more: Any) -> ListedTarget:
    facts: dict[str, Any] = {
        "product": "shop",
        "version": Version.parse(version),
        "channels": ("stable",),
        "platform": Platform.parse("any"),
        "git_sha": "0" * 40,
        "tar_sha256": digest,
        "tar_bytes": 1,
        "manifest_sha256": digest,
        "file_count": 1,
        "entry_point": "shop.py",
        "protocol": 1,
        "migrations_required": False,
        "breaking_changes": None,
        "released_at": RELEASED_AT,
    }
    custom = ReleaseCustom(**(facts | more))
    return ListedTarget(custom.target_path, 1, digest, custom.to_json())


def chosen(*listed: ListedTarget, host: ManagedHost | None = None, **policy: Any) -> str | None:
    host = host or ManagedHost.begin()
    version = choose(Offered(listed), replace(host.state, policy=Policy(**policy)), HERE, NOW)
    return None if version is None else str(version)


def test_it_is_the_newest_above_what_runs() -> None:
    assert chosen(release("1.0.0", OLD), release("1.2.0", NEWER), release("1.1.0")) == "1.2.0"
    assert chosen(release("1.0.0", OLD), release("0.9.0")) is None
    assert chosen() is None


@pytest.mark.parametrize(
    ("newest", "policy"),
    [
        ({"channels": ("beta",)}, {}),
        ({"breaking_changes": "the cart is gone"}, {}),
        ({"platform": Platform.parse("windows/arm64")}, {}),
        ({"supported_from": Version(1, 1, 0)}, {}),
        ({}, {"pin": formats.pin("minor 1.1")}),
        ({"channels": ("beta",)}, {"allowed_channels": ("stable", "edge")}),
    ],
)
def test_what_the_host_does_not_allow_is_passed_over(newest: dict[str, Any], policy: dict[str, Any]) -> None:
    assert chosen(release("1.2.0", NEWER, **newest), release("1.1.0"), **policy) == "1.1.0"


def test_a_pre_release_is_only_ever_named() -> None:
    assert chosen(release("1.2.0-rc.1", NEWER), release("1.1.0")) == "1.1.0"


def test_what_failed_here_as_bad_is_passed_over() -> None:
    host = ManagedHost.begin(record=replace(ManagedHost.begin().disk, bad=(NEWER,)))
    assert chosen(release("1.2.0", NEWER), release("1.1.0"), host=host) == "1.1.0"


def test_what_rests_after_a_failure_is_passed_over_until_its_time() -> None:
    resting = Failure("1.2.0", 1, NOW.wall_seconds - 3599)
    host = ManagedHost.begin(record=replace(ManagedHost.begin().disk, failures=(resting,)))
    assert chosen(release("1.2.0", NEWER), host=host) is None
    host.state = replace(host.state, record=replace(host.disk, failures=(replace(resting, at=resting.at - 1),)))
    assert chosen(release("1.2.0", NEWER), host=host) == "1.2.0"


def test_what_is_not_installed_is_not_begun() -> None:
    assert chosen(release("1.1.0"), host=ManagedHost.begin(record=ProductRecord("shop"))) is None


def test_a_standing_assignment_is_the_servers_last_word() -> None:
    host = ManagedHost.begin()
    host.tell(SessionOpened(1), Assigned(7, "1.1.0"), SessionClosed(1))
    listed = (release("1.2.0", NEWER), release("1.1.0", breaking_changes="acknowledged at the server"))
    assert chosen(*listed, host=host) == "1.1.0"
    assert chosen(release("1.2.0", NEWER), host=host) is None, "what was assigned is not listed: nothing instead of it"
    assert host.disk.attempt is not None
    attempt = replace(host.disk.attempt, sha256=OLD)
    host.state = replace(host.state, record=replace(host.disk, attempt=attempt))
    assert chosen(*listed, host=host) is None, "another digest than the one that was staged"


def at(boot_seconds: float) -> Moment:
    """Return a moment whose wall clock has been set at will."""
    return replace(NOW, boot_seconds=boot_seconds, wall_seconds=(boot_seconds * 7919) % 4e9)


def test_a_silence_counts_from_the_last_contact_of_this_process_by_the_clock_of_the_boot() -> None:
    assert Silence(1000.0).lasts(at(4600.0)) == 3600.0


def test_what_earlier_processes_counted_is_believed_after_five_minutes_without_a_server() -> None:
    silence = Silence(1000.0, before_seconds=86_400.0)
    assert silence.lasts(at(1299.0)) == 299.0
    assert silence.lasts(at(1300.0)) == 86_700.0
    assert silence.counted(at(1001.0)) == 86_401.0


def test_within_one_boot_its_clock_goes_on_between_two_processes() -> None:
    contact = Contact("one", 5000.0, 600.0)
    assert contact.silent_before("one", 5900.0) == 1500.0
    assert contact.silent_before("one", 4000.0) == 600.0, "no clock that goes back takes anything away"


@pytest.mark.parametrize("boot_id", ["another", ""])
def test_the_time_in_which_the_machine_was_off_does_not_count(boot_id: str) -> None:
    assert Contact("one", 5000.0, 600.0).silent_before(boot_id, 9e6) == 600.0
    assert Contact("", 5000.0, 600.0).silent_before(boot_id, 9e6) == 600.0
