"""A server takes a host back to the version before, which is on its disk: listed or not, never what was revoked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fleetroll_agent.jobs.effects import AskGo, FillSlot, FindTarget
from fleetroll_agent.jobs.events import (
    Assigned,
    GoGiven,
    Ruled,
    SessionOpened,
    SlotReady,
    StagingFailed,
    StartedLocally,
    TargetFound,
)
from fleetroll_agent.jobs.policy import Policy
from fleetroll_agent.jobs.values import ProductRecord, Said, Stage
from fleetroll_agent.jobs.work import Installed
from fleetroll_common.trust import Offered
from fleetroll_common.values.codes import Code
from fleetroll_common.values.product_policy import ProductPolicy, Revoked, Withdrawn
from fleetroll_common.values.version import Version
from tests.agent.jobs.test_space import Disk, Update, disk, update
from tests.faults.jobs import OLD
from tests.faults.managed_host import PLAIN, SLOTS, ManagedHost

__all__ = ["disk", "update"]
WALL = 1_800_000_000.0
RUNS = "9" * 64
BEFORE = Version.parse("1.0.0")
YANKED = ProductPolicy("shop", 3, yanked=(Withdrawn(BEFORE, "eats orders"),))


def shop(**values: Any) -> ManagedHost:
    facts: dict[str, Any] = {"previous": Installed("1.0.0", OLD), "committed_at": WALL + 5000} | values
    return ManagedHost.begin(SLOTS, ProductRecord("shop", current=Installed("1.1.0", RUNS), **facts))


def back(host: ManagedHost, rules: ProductPolicy | None, about: Any = None) -> str:
    host.tell(SessionOpened(7), Assigned(7, "1.0.0", 6, 60))
    host.tell(TargetFound(host.last(FindTarget).job, OLD, about, policy=rules))
    told = host.journal[-1]
    return f"{told.said.value} {told.code or ''}".strip()


def test_it_looks_on_its_own_disk_for_the_version_before_alone() -> None:
    host = shop()
    host.tell(SessionOpened(7), Assigned(7, "1.0.0", 6, 60))
    assert host.last(FindTarget).on_disk == OLD
    host.tell(Assigned(8, "0.9.0", 6, 60))
    assert host.last(FindTarget).on_disk == ""
    host.tell(Assigned(9, "1.2.0", 6, 60))
    assert host.last(FindTarget).on_disk == ""


@pytest.mark.parametrize("rules", [None, YANKED])
def test_what_was_yanked_is_gone_back_to(rules: ProductPolicy | None) -> None:
    host = shop()
    assert back(host, rules) == "DOWNLOADING"
    host.tell(SlotReady(host.last(FillSlot).job))
    host.tell(Ruled(rules, frozenset()))
    assert host.attempt is not None
    assert host.attempt.stage is Stage.STAGED, "no list has to name it"


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        (ProductPolicy("shop", 3, revoked=(Revoked(OLD, BEFORE, "not ours"),)), Code.DIGEST_REVOKED),
        (ProductPolicy("shop", 3, floor=Version.parse("1.1.0")), Code.BELOW_FLOOR),
    ],
)
def test_what_was_revoked_or_is_below_the_floor_is_not_gone_back_to(rules: ProductPolicy, code: Code) -> None:
    assert back(shop(), rules) == f"FAILED {code}"
    staged = shop()
    back(staged, None)
    staged.tell(SlotReady(staged.last(FillSlot).job))
    staged.tell(Ruled(rules, frozenset()))
    assert (staged.journal[-1].said, staged.journal[-1].code) == (Said.FAILED, code)


def test_a_person_goes_down_to_what_is_listed_alone() -> None:
    host = shop()
    host.tell(StartedLocally("1.0.0", "root", source="/media/bundle", soak_seconds=6))
    assert host.last(FindTarget).on_disk == ""
    host.tell(TargetFound(host.last(FindTarget).job, OLD, PLAIN, policy=YANKED))
    assert host.journal[-1].code is Code.YANKED


def test_channels_are_of_what_is_listed() -> None:
    host = shop()
    host.state = replace(host.state, policy=Policy(allowed_channels=("stable",)))
    assert back(host, None) == "DOWNLOADING"
    listed = shop()
    listed.state = replace(listed.state, policy=Policy(allowed_channels=("stable",)))
    assert back(listed, None, replace(PLAIN, channels=("beta",))) == "SKIPPED CHANNEL_NOT_ALLOWED"


def test_it_is_asked_for_go_as_any_other() -> None:
    shop_ = shop()
    back(shop_, YANKED)
    shop_.tell(SlotReady(shop_.last(FillSlot).job))
    assert shop_.last(AskGo).sha256 == OLD
    shop_.tell(GoGiven(7, 7, shop_.last(AskGo).ask))
    assert shop_.attempt is not None
    assert shop_.attempt.past_go


async def test_a_slot_that_is_listed_no_more_is_found_on_the_disk_and_nothing_is_fetched(
    update: Update, disk: Disk
) -> None:
    assert disk.asked == 0
    assert isinstance(await update.fill(), SlotReady)
    fetched, sha256 = len(update.repository.offsets), update.repository.target.sha256
    gone = Withdrawn(Version.parse("1.1.0"), "eats orders")
    rules = ProductPolicy(update.product, 3, yanked=(gone,))
    update.way._trust.ruled = lambda _product: Offered((), policy=rules)
    more = () if update.product == "agent" else (ProductRecord(update.product),)
    looked = await update.way.find(FindTarget(2, 1, 8, "1.1.0"), update.repository, *more)
    assert (type(looked), looked.code) == (StagingFailed, Code.YANKED), "for what is no way back"
    found = await update.way.find(FindTarget(3, 1, 9, "1.1.0", on_disk=sha256), update.repository, *more)
    assert (found.sha256, found.about, found.policy) == (sha256, None, rules)
    assert isinstance(await update.way.fill(FillSlot(3, 1, 9, "1.1.0", sha256), update.repository), SlotReady)
    assert len(update.repository.offsets) == fetched
    missing = await update.way.find(FindTarget(4, 1, 9, "1.1.0", on_disk="0" * 64), update.repository, *more)
    assert (type(missing), missing.code) == (StagingFailed, Code.YANKED)
