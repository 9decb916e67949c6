"""Between staging and the permit a release can be taken back: the last look before the change sees that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fleetroll_agent.jobs import machine
from fleetroll_agent.jobs.effects import AskGo, AskLock, Effect, FindTarget, ReleaseLock, RunSelfTest
from fleetroll_agent.jobs.events import (
    AskAgain,
    Assigned,
    GoGiven,
    HoldSet,
    Leaving,
    LockGiven,
    Ruled,
    SessionClosed,
    SessionOpened,
    SlotReady,
    StagingFailed,
    StartedLocally,
    Suspended,
    TargetFound,
)
from fleetroll_agent.jobs.values import Stage
from fleetroll_agent.launcher import values as launcher
from fleetroll_common.values.codes import Code
from fleetroll_common.values.product_policy import ProductPolicy, Revoked, Withdrawn
from fleetroll_common.values.version import Version
from tests.faults.jobs import NEW, NEWER, OLD, Host, boot_record, slot

V = Version.parse("1.1.0")
YANKED = ProductPolicy("agent", 2, yanked=(Withdrawn(V, "eats orders"),))
REVOKED = ProductPolicy("agent", 2, revoked=(Revoked(NEW, V, "not ours"),))
LATER = 30.0


def granted(host: Host) -> tuple[Effect, ...]:
    """Be granted a permit half a minute after the release was looked up."""
    host.stage(7)
    host.at += LATER
    return host.tell(GoGiven(1, 7, host.last(AskGo).ask))


def test_a_permit_soon_after_the_look_costs_no_other_look(host: Host) -> None:
    host.stage(7)
    host.at += 5
    host.tell(GoGiven(1, 7, 1))
    assert (host.count(FindTarget), host.count(RunSelfTest)) == (1, 1)


def test_a_later_one_waits_for_one_more_look_and_is_used_then(host: Host) -> None:
    (wanted,) = granted(host)
    assert isinstance(wanted, FindTarget)
    assert host.attempt.stage is Stage.STAGED
    assert host.tell(GoGiven(1, 7, 1)) == (), "a second copy of it starts no second look"
    host.looked((wanted,))
    assert host.count(RunSelfTest) == 1


def test_what_an_earlier_process_has_looked_up_is_looked_up_again(host: Host) -> None:
    host.stage(7)
    again = host.restart()
    again.tell(SessionOpened(2))
    (wanted,) = again.tell(GoGiven(2, 7, again.last(AskGo).ask))
    assert isinstance(wanted, FindTarget)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ({"policy": YANKED}, Code.YANKED),
        ({"policy": REVOKED}, Code.DIGEST_REVOKED),
        ({"policy": ProductPolicy("agent", 2, floor=Version.parse("1.2.0"))}, Code.BELOW_FLOOR),
        ({"sha256": NEWER}, Code.WRONG_HASH),
    ],
)
def test_what_was_taken_back_since_is_not_begun(host: Host, found: dict[str, Any], code: Code) -> None:
    (wanted,) = granted(host)
    effects = host.tell(TargetFound(wanted.job, **{"sha256": NEW, **found}))
    assert host.said[-1] == f"7 FAILED {code}"
    assert ReleaseLock() in effects
    assert (host.attempt, host.count(RunSelfTest)) == (None, 0)


@pytest.mark.parametrize("code", [Code.NOT_LISTED, Code.YANKED, Code.METADATA_ROLLBACK, Code.METADATA_FREEZE])
def test_what_is_refused_by_the_look_itself_ends_the_attempt(host: Host, code: Code) -> None:
    (wanted,) = granted(host)
    host.tell(StagingFailed(wanted.job, code, "no", session=1))
    assert host.said[-1] == f"7 FAILED {code}"
    assert host.count(RunSelfTest) == 0


def test_a_look_that_breaks_off_gives_the_lock_back_and_is_asked_for_again(host: Host) -> None:
    (wanted,) = granted(host)
    failed = StagingFailed(wanted.job, Code.DOWNLOAD_FAILED, "cut", transient=True, session=1)
    assert ReleaseLock() in host.tell(failed)
    assert host.attempt.stage is Stage.STAGED
    host.tell(GoGiven(1, 7, 1))
    assert host.count(RunSelfTest) == 0, "that permit is spent"
    host.wait(80)
    host.go(7)
    assert host.count(RunSelfTest) == 1


def test_a_look_that_takes_longer_than_the_permit_lives_voids_it(host: Host) -> None:
    (wanted,) = granted(host)
    host.at += 31
    host.looked((wanted,))
    assert (host.count(RunSelfTest), host.count(AskGo)) == (0, 2)
    host.go(7)
    assert host.count(RunSelfTest) == 1


@pytest.mark.parametrize(
    "event",
    [
        SessionClosed(1),
        SessionOpened(2),
        HoldSet("root", 1e12),
        Leaving(),
        Suspended("global", active=True),
        Assigned(8, "", 3, 60),
        Assigned(8, "1.2.0", 3, 60),
    ],
)
def test_what_voids_a_permit_voids_one_that_waits(host: Host, event: Any) -> None:
    (wanted,) = granted(host)
    host.tell(event)
    host.tell(TargetFound(wanted.job, NEW))
    assert host.count(RunSelfTest) == 0


def test_no_second_ask_goes_out_while_it_looks(host: Host) -> None:
    granted(host)
    host.tell(AskAgain(1, 7))
    host.wait(100)
    assert host.count(AskGo) == 1
    assert machine.next_deadline(host.state) is None, "only the look's end matters"


def staged_locally(host: Host) -> None:
    host.tell(StartedLocally("1.1.0", "root", source="/media/bundle", soak_seconds=6))
    host.tell(TargetFound(host.last(FindTarget).job, NEW))
    host.at += 100
    host.tell(SlotReady(host.last(FindTarget).job))


def test_a_persons_attempt_is_looked_up_again_as_well(host: Host) -> None:
    """The bundle may have gone, and a server have been there since."""
    staged_locally(host)
    (wanted,) = host.tell(LockGiven(host.last(AskLock).ask))
    assert isinstance(wanted, FindTarget)
    assert wanted.source == "/media/bundle"
    host.looked((wanted,))
    assert host.count(RunSelfTest) == 1


def test_a_persons_attempt_that_can_be_looked_up_no_more_ends(host: Host) -> None:
    staged_locally(host)
    for _ in range(3):
        host.wait(80)
        (wanted,) = host.tell(LockGiven(host.last(AskLock).ask))
        host.tell(StagingFailed(wanted.job, Code.DOWNLOAD_FAILED, "cut", transient=True))
    assert host.said[-1].endswith("FAILED DOWNLOAD_FAILED")
    assert host.count(RunSelfTest) == 0


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (Ruled(YANKED, frozenset({NEW})), Code.YANKED),
        (Ruled(REVOKED, frozenset({NEW})), Code.DIGEST_REVOKED),
        (Ruled(None, frozenset({OLD})), Code.NOT_LISTED),
    ],
)
def test_what_waits_for_its_permit_ends_when_it_is_taken_back(host: Host, event: Ruled, code: Code) -> None:
    """Between two asks, as soon as this host has seen it; the lock of a permit that is on its way is given back."""
    host.stage(7)
    effects = host.tell(event)
    assert host.said[-1] == f"7 FAILED {code}"
    assert ReleaseLock() in effects
    host.tell(GoGiven(1, 7, 1))
    assert host.count(RunSelfTest) == 0


def test_a_bundle_that_does_not_list_it_says_nothing(host: Host) -> None:
    host.stage(7)
    host.tell(Ruled(None, None))
    assert host.attempt.stage is Stage.STAGED


def test_what_is_past_its_permit_goes_its_own_way(host: Host) -> None:
    """Half a change is worse than a whole one: what was begun ends by its own rules."""
    host.stage(7)
    host.go(7)
    host.tell(Ruled(YANKED, frozenset()))
    assert host.attempt.stage is Stage.APPLYING


def test_what_is_revoked_of_all_that_is_here_is_remembered(host: Host) -> None:
    boot = boot_record()._replace(previous=slot("0.9.0", NEWER))
    assert isinstance(boot, launcher.Record)
    host.state = replace(host.state, launcher=boot)
    bans = tuple(Revoked(digest, V, f"why {digest[0]}") for digest in (OLD, NEW, NEWER))
    host.tell(Ruled(ProductPolicy("agent", 1, revoked=bans), frozenset()))
    assert {ban.sha256: ban.reason for ban in host.disk.revoked} == {OLD: "why a", NEWER: "why c"}
