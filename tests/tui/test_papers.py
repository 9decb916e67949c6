"""What is asked beside the watch: when it is asked for again, what a failure leaves, and who has a release."""

from __future__ import annotations

from collections import Counter

import pytest

from fleetroll.v1 import keys_pb2, releases_pb2, types_pb2
from fleetroll_tui.feed import papers as convert_papers
from fleetroll_tui.model.filters import compile_filter
from fleetroll_tui.model.fleet import Fleet
from fleetroll_tui.model.papers import Papers
from fleetroll_tui.model.readings import AGAIN_SECONDS, EVERY_SECONDS, FAILED_SECONDS, OLD_SECONDS, Failure, Reading
from fleetroll_tui.model.release_fields import RELEASE_FIELDS
from fleetroll_tui.model.releases import RELEASE_STATES, Release, fleets_of, recount, spread_of
from fleetroll_tui.model.signing import DAY, HOUR, Key, Role, Signing, stage, urgent_roles
from fleetroll_tui.model.updates import Alive, Changed, Page, Resync, Stand
from fleetroll_tui.model.values import Happening, Product
from fleetroll_tui.signs import ENDS, RELEASES
from tests.tui import papers
from tests.tui.driving import host

NOW = 1_790_000_000.0
REFUSED = Failure("UNAVAILABLE", "gone")


def had(at: float = 100.0) -> Reading[int]:
    reading = Reading(0)
    reading.asked(at)
    reading.had(7, at)
    return reading


def test_what_was_never_asked_for_is_due_and_what_was_had_is_due_a_minute_later() -> None:
    assert Reading(0).due(0.0)
    reading = had(100.0)
    assert not reading.due(100.0 + EVERY_SECONDS - 1)
    assert reading.due(100.0 + EVERY_SECONDS)


def test_what_happened_makes_it_due_soon_and_never_in_a_storm() -> None:
    reading = had(100.0)
    reading.void()
    assert not reading.due(100.0 + AGAIN_SECONDS / 2)
    assert reading.due(100.0 + AGAIN_SECONDS)
    reading.asked(103.0)
    assert not reading.due(103.0 + AGAIN_SECONDS)


def test_what_happens_while_it_is_asked_for_may_not_be_in_the_answer() -> None:
    reading = Reading(0)
    reading.asked(100.0)
    reading.void()
    reading.had(7, 100.0)
    assert reading.old(100.0)
    assert reading.due(100.0 + AGAIN_SECONDS)


def test_a_failure_keeps_what_was_had_and_is_tried_again_unless_that_is_no_use() -> None:
    reading = had(100.0)
    reading.asked(160.0)
    reading.failed(REFUSED, 161.0)
    assert (reading.value, reading.known, reading.old(161.0), reading.age(161.0)) == (7, True, True, 61.0)
    assert not reading.due(161.0 + FAILED_SECONDS - 1)
    assert reading.due(161.0 + FAILED_SECONDS)
    reading.failed(Failure("PERMISSION_DENIED", "no", final=True), 180.0)
    reading.void()
    assert not reading.due(10_000.0), "it would be refused again"
    reading.forgive()
    assert reading.due(10_000.0), "somebody looks anew"


def test_what_is_too_old_is_said_to_be() -> None:
    reading = had(100.0)
    assert not reading.old(100.0 + OLD_SECONDS)
    assert reading.old(101.0 + OLD_SECONDS)


def settled() -> Papers:
    found = Papers()
    for reading in found.readings().values():
        reading.asked(100.0)
        reading.had(reading.value, 100.0)
    return found


@pytest.mark.parametrize(
    ("kind", "due"),
    [
        ("release.published", {"catalogue", "in_use", "signing"}),
        ("alert.metadata_expiring", {"signing"}),
        ("alert.key_old", {"signing"}),
        ("attempt.state", set()),
    ],
)
def test_events_tell_what_is_to_be_asked_for_again(kind: str, due: set[str]) -> None:
    found = settled()
    found.take(Changed(NOW, Stand(), (Happening("ev-1", NOW, kind),)))
    assert {name for name, reading in found.readings().items() if reading.due(105.0)} == due


def test_a_new_snapshot_makes_everything_due_and_a_sign_of_life_nothing() -> None:
    found = settled()
    found.take(Alive(NOW))
    found.take(Page(NOW, Stand(), last=False))
    assert not any(reading.due(105.0) for reading in found.readings().values())
    for update in (Page(NOW, Stand(), last=True), Resync(NOW, "slow")):
        found = settled()
        found.take(update)
        assert all(reading.due(105.0) for reading in found.readings().values())


def test_hosts_are_counted_by_version_of_each_product_and_leave_when_they_change() -> None:
    fleet = Fleet()
    two = (Product("shop", "1.9.0", "2.0.0"), Product("agent", "0.9.0", "0.9.0"))
    hosts = (host(1, products=two), host(2, products=two, fleet_id="us"), host(3, products=two, revoked=True))
    fleet.take(Page(NOW, Stand(hosts=hosts), last=True))
    old, new, own = Release("a", "shop", "1.9.0"), Release("b", "shop", "2.0.0"), Release("c", "agent", "0.9.0")
    found = Papers()
    found.releases.replace((each.id, each) for each in (old, new, own))
    recount(found.releases, fleet.runs, fleet.wants)
    numbers = {each.id: (each.runs, each.wanted) for each in found.releases}
    assert numbers == {"a": (2, 0), "b": (0, 2), "c": (2, 0)}, "a revoked host counts nowhere"
    assert fleets_of(old, fleet.homes) == {"eu": 1, "us": 1}

    fleet.take(Changed(NOW, Stand(hosts=(host(1, products=(Product("shop", "2.0.0", "2.0.0"),)),))))
    recount(found.releases, fleet.runs, fleet.wants)
    numbers = {each.id: (each.runs, each.wanted) for each in found.releases}
    assert numbers == {"a": (1, 0), "b": (1, 1), "c": (1, 0)}
    assert fleets_of(old, fleet.homes) == {"us": 1}


def test_a_count_that_did_not_change_touches_no_row() -> None:
    found = Papers()
    found.releases.replace([("a", Release("a", "shop", "1.0.0", runs=1))])
    before = found.releases.revision
    recount(found.releases, Counter({"shop\x1f1.0.0": 1}), Counter())
    assert found.releases.revision == before


def test_hosts_are_older_newer_or_of_no_known_version() -> None:
    runs = Counter(
        {
            "shop\x1f1.0.0": 2,
            "shop\x1f2.0.0": 3,
            "shop\x1f3.0.0": 4,
            "shop\x1f": 5,
            "shop\x1f0.1.0": 0,
            "web\x1f1.0.0": 9,
        }
    )
    spread = spread_of(Release("b", "shop", "2.0.0", runs=3, wanted=1), runs)
    assert (spread.older, spread.newer, spread.unknown, spread.hosts) == (2, 4, 5, 14)


@pytest.mark.parametrize(
    ("role", "left", "found"),
    [
        ("targets", 61 * DAY, "good"),
        ("targets", 59 * DAY, "info"),
        ("products/shop", 29 * DAY, "warning"),
        ("root", 6 * DAY, "critical"),
        ("root", -1.0, "expired"),
        ("root", 0.0, "expired"),
        ("timestamp", 23 * HOUR, "good"),
        ("timestamp", 11 * HOUR, "warning"),
        ("timestamp", 2 * HOUR, "critical"),
        ("snapshot", 6 * DAY, "good"),
        ("snapshot", 2 * DAY, "warning"),
        ("snapshot", 0.5 * DAY, "critical"),
    ],
)
def test_the_end_of_a_signature_nears_in_stages_of_its_role(role: str, left: float, found: str) -> None:
    assert stage(role, NOW + left, NOW) == found


def test_of_an_end_or_a_time_that_nobody_knows_nothing_is_alarming() -> None:
    assert stage("root", 0.0, NOW) == stage("root", NOW, 0.0) == "good"


def test_urgent_roles_come_worst_first() -> None:
    roles = (
        Role("root", expires_at=NOW + 6 * DAY),
        Role("targets", expires_at=NOW + 5 * DAY),
        Role("products/shop", expires_at=NOW - 1),
        Role("products/web", expires_at=NOW + 40 * DAY),
    )
    assert [role.name for role, _ in urgent_roles(Signing("managed", roles), NOW)] == [
        "products/shop",
        "targets",
        "root",
    ]


def test_the_server_signs_where_it_holds_enough_keys() -> None:
    here, away = Key("a", held_here=True), Key("b")
    roles = (
        Role("products/shop", threshold=1, keys=(here,)),
        Role("products/web", threshold=2, keys=(here, away)),
        Role("products/agent", threshold=1, keys=(away,)),
    )
    signing = Signing("managed", roles)
    assert [signing.signs_here(name) for name in ("shop", "web", "agent", "new")] == [True, False, False, True]
    assert not Signing("offline").signs_here("new")
    assert not Signing().signs_here("new")


def test_the_filter_language_speaks_of_releases() -> None:
    found = [convert_papers.release(each) for each in papers.releases()]

    def versions(text: str) -> list[str]:
        wanted = compile_filter(text, RELEASE_FIELDS)
        return [each.name for each in found if wanted.holds(each, NOW)]

    assert versions("product:shop state:yanked|listed version:>=2") == ["shop 2.0.0"]
    assert versions("state:revoked") == ["shop 1.9.3"]
    assert versions("channel:canary version:<1") == ["agent 0.9.0"]
    assert versions("is:breaking") == versions("is:migrates") == ["shop 2.0.0"]
    assert versions("published:>100d") == ["web-proxy 1.3.9"]
    assert versions("platform:*cp311 !state:listed") == ["agent 0.9.1"]
    assert versions("noexec") == ["agent 0.9.1"], "the reason is text"
    assert versions("digest:" + found[2].artefacts[0].sha256[:10] + "*") == ["shop 2.0.0"]


def test_the_default_order_has_the_newest_version_of_each_product_first() -> None:
    found = [convert_papers.release(each) for each in papers.releases()]
    mixed = [*found[3:], *found[:3]]
    assert sorted(mixed, key=RELEASE_FIELDS.orders[0].key) == found


def test_every_state_of_the_contract_has_a_sign() -> None:
    states = {convert_papers.release_state(value) for value in releases_pb2.ReleaseState.values()}
    assert states == set(RELEASE_STATES) == set(RELEASES)
    assert convert_papers.release_state(99) == "state 99"
    assert {stage("root", NOW + days * DAY, NOW) for days in (-1, 1, 20, 50, 90)} == set(ENDS)


def test_platforms_are_named_by_what_they_depend_on() -> None:
    def named(*parts: str) -> str:
        artefact = releases_pb2.Artifact(platform=types_pb2.Platform(os=parts[0], arch=parts[1], abi=parts[2]))
        return convert_papers.release(releases_pb2.Release(artifacts=[artefact])).platforms[0]

    assert named("linux", "x86_64", "cp311") == "linux-x86_64-cp311"
    assert named("linux", "x86_64", "any") == "linux-x86_64"
    assert named("any", "any", "any") == "any"
    assert named("", "", "") == "any"


def test_what_a_message_can_carry_and_no_server_says_is_harmless() -> None:
    said = releases_pb2.Release(artifacts=[releases_pb2.Artifact(length=-5)])
    assert convert_papers.release(said).length == 0
    role = keys_pb2.RoleStatus(role="root", threshold=-1)
    assert convert_papers.signing(keys_pb2.GetKeyStatusResponse(roles=[role])).roles[0].threshold == 0
