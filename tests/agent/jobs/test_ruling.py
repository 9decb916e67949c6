"""What a publisher rules is enforced here, whoever wishes: floors, hops, what was taken back, and ways down."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fleetroll_agent.jobs import ruling
from fleetroll_agent.jobs.effects import AskGo, AskLock, FillSlot, FindTarget
from fleetroll_agent.jobs.events import (
    Assigned,
    GoGiven,
    LockGiven,
    Ruled,
    SessionOpened,
    SlotReady,
    StartedLocally,
    TargetFound,
)
from fleetroll_agent.jobs.policy import Policy
from fleetroll_agent.jobs.values import ByHand, ProductRecord, Said, Stage, Step
from fleetroll_agent.jobs.work import Ban, Installed
from fleetroll_common.values.codes import Code
from fleetroll_common.values.product_policy import ProductPolicy, Revoked, Withdrawn
from fleetroll_common.values.version import Version
from tests.faults.jobs import NEW, NEWER, OLD, Host
from tests.faults.managed_host import MIGRATING, PLAIN, SLOTS, ManagedHost

ONE_ONE = Version.parse("1.1.0")
WALL = 1_800_000_000.0
DAY = 86400.0
WAYS = ("server", "person", "own")


def policy(**rules: Any) -> ProductPolicy:
    for name in ("floor",):
        if name in rules:
            rules[name] = Version.parse(rules[name])
    if "intermediates" in rules:
        rules["intermediates"] = tuple(Version.parse(text) for text in rules["intermediates"])
    return ProductPolicy("shop", 3, **rules)


RUNS = "9" * 64


def shop(running: str = "1.0.0", **record: Any) -> ManagedHost:
    known = ProductRecord("shop", current=Installed(running, OLD if running == "1.0.0" else RUNS), **record)
    return ManagedHost.begin(SLOTS, known)


def wished(host: Host, way: str, version: str, digest: str, rules: ProductPolicy | None, generation: int = 7) -> str:
    """Wish for a version in one of the three ways; return what was said last."""
    if way == "server":
        host.tell(SessionOpened(generation), Assigned(generation, version, 6, 60))
    else:
        host.tell(StartedLocally(version, "root", source="/media/bundle", automatic=way == "own", soak_seconds=6))
    host.tell(TargetFound(host.last(FindTarget).job, digest, PLAIN, policy=rules))
    told = host.journal[-1]
    return f"{told.said.value} {told.code or ''}".strip()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("version", "rules", "said"),
    [
        ("1.1.0", {"yanked": (Withdrawn(ONE_ONE, "eats orders"),)}, "FAILED YANKED"),
        ("1.1.0", {"retired": (Withdrawn(ONE_ONE, "too old"),)}, "FAILED NOT_LISTED"),
        ("1.1.0", {"revoked": (Revoked(NEW, ONE_ONE, "not ours"),)}, "FAILED DIGEST_REVOKED"),
        ("1.1.0", {"floor": "1.2.0"}, "FAILED BELOW_FLOOR"),
        ("2.0.0", {"intermediates": ["1.5.0"]}, "SKIPPED BELOW_SUPPORTED"),
        ("2.0.0", {"intermediates": ["1.5.0", "1.7.0"], "floor": "2.0.0"}, "SKIPPED BELOW_SUPPORTED"),
        ("1.7.0", {"intermediates": ["1.5.0", "1.7.0"], "floor": "2.0.0"}, "SKIPPED BELOW_SUPPORTED"),
    ],
)
def test_what_is_ruled_out_is_refused_before_a_byte_is_fetched(
    way: str, version: str, rules: dict[str, Any], said: str
) -> None:
    host = shop()
    assert wished(host, way, version, NEW, policy(**rules)) == said
    assert host.count(FillSlot) == 0
    assert host.disk.current == Installed("1.0.0", OLD)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("version", "rules"),
    [
        ("1.1.0", None),
        ("1.1.0", {"floor": "1.1.0", "yanked": (Withdrawn(Version.parse("1.2.0"), "x"),)}),
        ("1.5.0", {"intermediates": ["1.5.0"], "floor": "2.0.0"}),
        ("1.5.0", {"intermediates": ["1.5.0", "1.7.0"], "floor": "2.0.0"}),
        ("1.1.0", {"intermediates": ["0.9.0", "1.5.0"]}),
        ("1.1.0", {"revoked": (Revoked(OLD, ONE_ONE, "what runs"),)}),
    ],
)
def test_what_is_not_ruled_out_is_fetched(way: str, version: str, rules: dict[str, Any] | None) -> None:
    """A stop below the floor is allowed to a host that is below it; and to leave what was revoked is what is wanted."""
    host = shop()
    wished(host, way, version, NEW, None if rules is None else policy(**rules))
    assert host.count(FillSlot) == 1


def test_the_reasons_are_the_publishers_own_and_name_the_hop() -> None:
    host = shop()
    wished(host, "person", "1.1.0", NEW, policy(yanked=(Withdrawn(ONE_ONE, "eats\x1b[31m orders"),)))
    assert host.journal[-1].message.startswith("shop 1.1.0 was taken back as bad by its publisher: eats")
    assert "\x1b" not in host.journal[-1].message
    wished(host, "person", "2.0.0", NEW, policy(intermediates=["1.5.0"]))
    assert "by way of 1.5.0" in host.journal[-1].message


def test_an_intermediate_below_the_floor_is_no_way_down(host: Host) -> None:
    """For a host above it, it is what it is: below the floor."""
    high = shop("3.0.0")
    rules = policy(intermediates=["1.5.0"], floor="2.0.0")
    assert wished(high, "person", "1.5.0", NEW, rules) == "FAILED BELOW_FLOOR"
    fresh = ManagedHost.begin(SLOTS, ProductRecord("shop"))
    assert wished(fresh, "server", "1.5.0", NEW, rules) == "FAILED BELOW_FLOOR"


@pytest.mark.parametrize("generation", [7])
def test_the_agent_itself_keeps_the_same_rules(host: Host, generation: int) -> None:
    rules = ProductPolicy("agent", 1, floor=Version.parse("1.2.0"))
    assert wished(host, "server", "1.1.0", NEW, rules, generation) == "FAILED BELOW_FLOOR"
    assert host.disk.policy_floor == "1.2.0"


def kept(host: ManagedHost, version: str, digest: str, rules: ProductPolicy | None, generation: int) -> None:
    """Bring a version about by the server's wish."""
    host.tell(SessionOpened(generation), Assigned(generation, version, 6, 60))
    host.tell(TargetFound(host.last(FindTarget).job, digest, PLAIN, policy=rules))
    host.tell(SlotReady(host.last(FillSlot).job))
    host.tell(GoGiven(generation, generation, host.last(AskGo).ask))
    host.up_to(Step.HEALTH)
    host.soak()


def test_a_floor_is_remembered_once_a_version_was_kept_and_outlasts_its_policy() -> None:
    host = shop()
    rules = policy(floor="1.1.0")
    host.tell(SessionOpened(1), Assigned(5, "1.2.0", 6, 60))
    host.tell(TargetFound(host.last(FindTarget).job, NEW, PLAIN, policy=rules))
    assert (host.disk.floor, host.disk.policy_floor) == ("", "1.1.0"), "not before"
    kept(host, "1.2.0", NEW, rules, 7)
    assert (host.disk.floor, host.disk.current) == ("1.1.0", Installed("1.2.0", NEW, "backup-1"))
    again = host.crash()
    assert wished(again, "person", "1.0.5", NEWER, None) == "FAILED BELOW_FLOOR"
    assert again.disk.floor == "1.1.0"
    again.tell(Ruled(policy(floor="0.1.0"), frozenset()))
    assert wished(again, "person", "1.0.5", NEWER, policy(floor="0.1.0")) == "FAILED BELOW_FLOOR"


def test_what_is_remembered_is_never_above_what_was_kept() -> None:
    """A stop below the floor raises it to itself: a floor that was set too high by mistake strands nobody for ever."""
    host = shop()
    rules = policy(floor="9.0.0", intermediates=["1.5.0"])
    kept(host, "1.5.0", NEW, rules, 7)
    assert host.disk.floor == "1.5.0"
    kept(host, "1.6.0", NEWER, policy(floor="1.2.0"), 8)
    assert host.disk.floor == "1.5.0", "it only rises"


def test_a_way_back_by_hand_lowers_nothing() -> None:
    host = shop()
    kept(host, "1.2.0", NEW, policy(floor="1.1.0"), 7)
    host.tell(StartedLocally("1.0.0", "root", ByHand.ROLLBACK, sha256=OLD, soak_seconds=6))
    host.tell(LockGiven(host.last(AskLock).ask))
    for _ in range(40):
        if host.attempt is None:
            break
        if host.attempt.step in (Step.HEALTH_BACK, Step.HEALTH):
            host.looks()
        else:
            host.ends()
    assert host.disk.current is not None
    assert (host.disk.current.version, host.disk.floor) == ("1.0.0", "1.1.0")


@pytest.mark.parametrize(
    ("days", "digest", "said"),
    [
        (6.9, OLD, "DOWNLOADING"),
        (7.1, OLD, "FAILED NOT_ALLOWED"),
        (0.0, NEWER, "FAILED NOT_ALLOWED"),
        (-1.0, OLD, "DOWNLOADING"),
    ],
)
@pytest.mark.parametrize("way", ["server", "own"])
def test_no_server_takes_a_host_below_what_was_kept_but_to_the_version_before_and_for_a_week(
    way: str, days: float, digest: str, said: str
) -> None:
    host = shop("1.1.0", previous=Installed("1.0.0", OLD), committed_at=WALL + 5000 - days * DAY)
    assert wished(host, way, "1.0.0", digest, None) == said
    if "NOT_ALLOWED" in said:
        assert "only" in host.journal[-1].message
        assert host.count(FillSlot) == 0


def test_a_way_back_whose_age_nobody_knows_is_a_persons_to_take() -> None:
    host = shop("1.1.0", previous=Installed("1.0.0", OLD))
    assert wished(host, "server", "1.0.0", OLD, None) == "FAILED NOT_ALLOWED"
    assert wished(host, "person", "1.0.0", OLD, None) == "DOWNLOADING"


def test_a_person_goes_down_to_what_is_listed_and_not_below_the_floor() -> None:
    assert wished(shop("1.5.0"), "person", "1.1.0", NEW, policy(floor="1.1.0")) == "DOWNLOADING"
    assert wished(shop("1.5.0"), "person", "1.0.5", NEW, policy(floor="1.1.0")) == "FAILED BELOW_FLOOR"


def test_a_version_that_was_kept_has_its_time() -> None:
    host = shop()
    kept(host, "1.1.0", NEW, None, 7)
    assert host.disk.committed_at == WALL + host.at
    assert host.crash().disk.committed_at == WALL + host.at


def started_at(host: ManagedHost) -> float | None:
    return host.disk.started_at


def interval(host: ManagedHost) -> ManagedHost:
    host.state = replace(host.state, policy=Policy(min_interval_seconds=600.0))
    return host


def test_stops_on_a_required_way_and_ways_back_count_as_no_update() -> None:
    host = interval(shop())
    rules = policy(intermediates=["1.5.0"], floor="2.0.0")
    kept(host, "1.5.0", NEW, rules, 7)
    assert started_at(host) is None
    kept(host, "2.0.0", NEWER, rules, 8)
    assert started_at(host) is not None
    assert host.disk.current is not None
    assert host.disk.current.version == "2.0.0"


def test_to_and_fro_between_two_versions_is_one_update_each_time() -> None:
    """Down at once, up again only after the interval: no server restarts a product as often as it likes."""
    host = interval(shop())
    kept(host, "1.1.0", NEW, None, 7)
    started = host.disk.started_at
    kept(host, "1.0.0", OLD, None, 8)
    assert (host.disk.current.version, host.disk.started_at) == ("1.0.0", started)
    host.tell(SessionOpened(9), Assigned(9, "1.1.0", 6, 60))
    host.tell(TargetFound(host.last(FindTarget).job, NEW, PLAIN))
    host.tell(SlotReady(host.last(FillSlot).job))
    assert host.said[-1] == "9 STAGED TOO_SOON"


def test_an_automatic_way_back_to_a_revoked_digest_is_not_taken_and_says_so() -> None:
    """The new version stays, unhealthy as it is; the one before must not run."""
    host = shop()
    rules = policy(revoked=(Revoked(OLD, Version.parse("1.0.0"), "it calls home"),))
    host.tell(SessionOpened(7), Assigned(7, "1.1.0", 6, 60))
    host.tell(TargetFound(host.last(FindTarget).job, NEW, PLAIN, policy=rules))
    host.tell(SlotReady(host.last(FillSlot).job))
    host.tell(GoGiven(7, 7, host.last(AskGo).ask))
    host.up_to(Step.RESTART)
    host.ends(Code.START_FAILED)
    assert host.attempt is None
    assert host.said[-1] == "7 ROLLBACK_FAILED DIGEST_REVOKED"
    assert "it calls home" in host.journal[-1].message
    assert (host.disk.current, host.disk.broken) == (Installed("1.1.0", NEW, "backup-1"), True)
    assert "switch_back" not in host.steps


def test_before_the_switch_a_revoked_version_simply_goes_on_running() -> None:
    host = shop(revoked=(Ban(OLD, "it calls home"),))
    host.tell(SessionOpened(7), Assigned(7, "1.1.0", 6, 60))
    rules = policy(revoked=(Revoked(OLD, Version.parse("1.0.0"), "it calls home"),))
    host.tell(TargetFound(host.last(FindTarget).job, NEW, MIGRATING, policy=rules))
    host.tell(SlotReady(host.last(FillSlot).job))
    host.tell(GoGiven(7, 7, host.last(AskGo).ask))
    host.up_to(Step.SMOKE)
    host.ends(Code.STEP_FAILED)
    assert host.steps[-1] == "restore"
    host.ends()
    while host.attempt is not None:
        host.ends() if host.attempt.step is not Step.HEALTH_BACK else host.looks()
    assert host.disk.outcomes[-1].said is Said.ROLLED_BACK
    assert host.disk.current == Installed("1.0.0", OLD)


def test_what_runs_is_only_said_to_be_revoked_or_below_the_floor() -> None:
    host = shop()
    host.effects.clear()
    host.tell(Ruled(policy(floor="2.0.0", revoked=(Revoked(OLD, ONE_ONE, "not ours"),)), frozenset({OLD})))
    said = ruling.notes(host.disk, host.state.running.version, host.state.running.sha256)
    assert [note.code for note in said] == [Code.DIGEST_REVOKED, Code.BELOW_FLOOR]
    assert (host.attempt, host.effects) == (None, [])
    host.tell(Ruled(None, frozenset({OLD})))
    said = ruling.notes(host.disk, host.state.running.version, host.state.running.sha256)
    assert [note.code for note in said] == [Code.DIGEST_REVOKED], "a policy that is gone takes no revocation back"


def test_a_stage_is_kept_while_nothing_speaks_against_it() -> None:
    host = shop()
    wished(host, "server", "1.1.0", NEW, None)
    host.tell(SlotReady(host.last(FillSlot).job))
    host.tell(Ruled(policy(floor="1.1.0"), frozenset({OLD, NEW})))
    assert host.attempt is not None
    assert host.attempt.stage is Stage.STAGED
