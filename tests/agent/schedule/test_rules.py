"""When a host counts as left alone, and what it takes then: pure rules over the signed list."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fleetroll_agent.jobs.events import Assigned, SessionClosed, SessionOpened
from fleetroll_agent.jobs.failures import Failure
from fleetroll_agent.jobs.policy import Policy
from fleetroll_agent.jobs.values import Moment, ProductRecord
from fleetroll_agent.schedule.rules import Silence, choose
from fleetroll_agent.settings import formats
from fleetroll_common.trust.listing import ListedTarget
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
    version = choose(listed, replace(host.state, policy=Policy(**policy)), HERE, NOW)
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


def test_a_silence_counts_from_the_last_contact_of_this_process() -> None:
    assert Silence(1000.0).lasts(replace(NOW, boot_seconds=4600.0, wall_seconds=9e9)) == 3600.0


def test_what_an_earlier_process_wrote_counts_after_five_minutes_without_a_server() -> None:
    silence = Silence(1000.0, wall_seconds=1_800_000_000.0 - 86_400)
    assert silence.lasts(replace(NOW, boot_seconds=1299.0)) == 299.0
    assert silence.lasts(replace(NOW, boot_seconds=1300.0)) == 86_400.0


def test_a_clock_that_was_set_back_takes_nothing_away() -> None:
    assert Silence(1000.0, wall_seconds=NOW.wall_seconds + 1e6).lasts(replace(NOW, boot_seconds=2000.0)) == 1000.0
