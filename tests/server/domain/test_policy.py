"""The policy document: what may be said where, what holds in the end, and whose it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.eligible import HostFacts, ReleaseFacts, objections
from fleetroll_server.domain.hostrules import NO_ZONE, UNRULED, HostRules, openings, rules_of, shut
from fleetroll_server.domain.limits import RolloutLimits
from fleetroll_server.domain.openings import require_openings
from fleetroll_server.domain.policy import (
    DEFAULTS,
    HOST_DEFAULTS,
    LIMIT_DEFAULTS,
    Document,
    Entry,
    Level,
    check_names,
    limits_of,
    merge,
    read_change,
    require_serial,
)

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
"""A Tuesday."""
LEVELS = (Level.GLOBAL, Level.FLEET, Level.AGENT)
ORDER = [(level, product) for level in LEVELS for product in ("", "shop")]
"""The last one that says a field decides it."""
SAID = {
    "pin": st.sampled_from(["major 1", "minor 1.4", None]),
    "allow_major": st.booleans(),
    "bake_seconds": st.just(30.0),
}


def said(**values: Any) -> dict[str, Entry]:
    return {name: Entry(value, "token", "ana", NOW, 3) for name, value in values.items()}


def rules(zone: str = "Europe/Berlin", level: Level = Level.FLEET, **values: Any) -> HostRules:
    return rules_of(merge([Document(level, "", said(**read_change(level, values)))]), zone, NOW)


@given(st.dictionaries(st.sampled_from(ORDER), st.fixed_dictionaries({}, optional=SAID)), st.randoms())
def test_of_six_documents_the_last_one_that_says_a_field_decides_it(
    spoken: dict[tuple[Level, str], dict[str, Any]], chance: Any
) -> None:
    documents = [Document(level, product, said(**values)) for (level, product), values in spoken.items()]
    chance.shuffle(documents)
    held = merge(documents)
    for name, told in held.items():
        where = [
            place
            for place in ORDER
            if name in spoken.get(place, {}) and (place[0] is not Level.AGENT or name in HOST_DEFAULTS)
        ]
        if not where:
            assert (told.value, told.level, told.entry) == (DEFAULTS[name], Level.DEFAULT, None)
        else:
            assert (told.level, told.product) == where[-1]
            assert told.value == spoken[where[-1]][name]
            assert told.entry is not None
            assert told.entry.actor_id == "ana"


def test_a_rollout_with_nothing_but_a_release_has_the_defaults_of_the_limits() -> None:
    assert limits_of(merge([]), {}) == RolloutLimits()


def test_what_a_request_says_goes_before_the_policy_and_max_out_follows() -> None:
    held = merge([Document(Level.FLEET, "", said(max_concurrent=4, max_failed=2))])
    limits = limits_of(held, {"max_failed": 3})
    assert (limits.max_concurrent, limits.max_failed, limits.max_out) == (4, 3, 6)


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("colour", "red", "is no field of a policy"),
        ("max_out", 3, "is no field of a policy"),
        ("channel", "Stable!", "is not a name"),
        ("pin", "minor 1", "is no pin"),
        ("pin", 7, "is no text"),
        ("allow_major", "yes", "neither true nor false"),
        ("windows", "mon 01:00-02:00 UTC", "is no list"),
        ("windows", ["mon 01:00-02:00"], "does not have three parts"),
        ("windows", ["mon 01:00-02:00 Europe/Atlantis"], "no time zone that this server knows"),
        ("windows", ["mon 01:00-02:00 UTC"] * 21, "are too many"),
        ("windows", ["mon 01:00-02:00 UTC" + " " * 200], "longer than 120"),
        ("blackouts", ["2026-12-24 Europe/Atlantis"], "no time zone that this server knows"),
        ("blackouts", ["soon UTC"], "no day such as"),
        ("expected_seconds", 0, "no time that work takes"),
        ("expected_seconds", float("nan"), "no time that work takes"),
        ("expected_seconds", True, "no time that work takes"),
        ("max_concurrent", 0, "is out of bounds"),
        ("failure_limit", 2, "is out of bounds"),
        ("soak_seconds", -1, "is out of bounds"),
        ("lease_seconds", 0, "is out of bounds"),
        ("offline_policy", "hope", "is no policy"),
    ],
)
def test_what_can_not_be_said_is_refused_with_field_value_and_remedy(name: str, value: object, fault: str) -> None:
    with pytest.raises(RequestError, match=fault) as caught:
        read_change(Level.FLEET, {name: value})
    assert caught.value.message.startswith(f"policy.{name}: ")
    assert caught.value.remedy
    assert caught.value.details["field"] == f"policy.{name}"


@pytest.mark.parametrize("name", LIMIT_DEFAULTS)
def test_each_limit_is_read_by_itself_for_a_fleet_and_refused_for_a_host(name: str) -> None:
    value = LIMIT_DEFAULTS[name]
    assert read_change(Level.GLOBAL, {name: value}) == {name: value}
    with pytest.raises(RequestError, match="can't be said for one host"):
        read_change(Level.AGENT, {name: value})
    with pytest.raises(RequestError, match="can't be said for one host"):
        check_names(Level.AGENT, [name])


def test_a_long_soak_can_be_said_before_its_lease() -> None:
    assert read_change(Level.FLEET, {"soak_seconds": 3600.0}) == {"soak_seconds": 3600.0}
    assert read_change(Level.FLEET, {"lease_seconds": 10.0}) == {"lease_seconds": 10.0}


def test_a_decision_on_an_older_document_is_stale_and_says_who_changed_it() -> None:
    require_serial(3, 3, "")
    with pytest.raises(RequestError, match="2 is not the newest, 3: changed by ana") as caught:
        require_serial(2, 3, "changed by ana")
    assert caught.value.code is Code.STALE_DECISION


# What it means for a host.


def objected(
    host_rules: HostRules, *, running: str = "1.4.0", version: str = "1.5.0", channels: tuple[str, ...] = ()
) -> str:
    host = HostFacts("agent-1", "web-1", {}, None, running, revoked=False, claimed_by="", rules=host_rules)
    codes = [found.code for found in objections(host, ReleaseFacts("agent", version, channels=channels))]
    return " ".join(code.value for code in codes if code is not Code.NO_ARTIFACT)


@pytest.mark.parametrize(
    ("values", "facts", "code"),
    [
        ({}, {}, ""),
        ({"pin": "minor 1.4"}, {}, "PINNED"),
        ({"pin": "minor 1.4"}, {"version": "1.4.9"}, ""),
        ({"pin": "major 1"}, {}, ""),
        ({}, {"version": "2.0.0"}, "NOT_ALLOWED"),
        ({"allow_major": True}, {"version": "2.0.0"}, ""),
        ({}, {"version": "2.0.0", "running": ""}, ""),
        ({}, {"version": "2.0.0", "running": "0.0.0+dev"}, ""),
        ({}, {"version": "1.0.0", "running": "0.9.0"}, "NOT_ALLOWED"),
        ({}, {"version": "1.0.0", "running": "2.0.0"}, ""),
        ({}, {"version": "2.0.0", "running": "whatever"}, ""),
        ({"channel": "stable"}, {"channels": ("beta",)}, "CHANNEL_NOT_ALLOWED"),
        ({"channel": "stable"}, {"channels": ("beta", "stable")}, ""),
        ({"channel": None}, {"channels": ("beta",)}, ""),
        ({"updates_off": True}, {}, "OPTED_OUT"),
        ({"windows": ["mon 02:00-02:01 local"]}, {}, "WINDOW_TOO_SHORT"),
        ({"windows": ["mon 02:00-02:01 local"], "expected_seconds": 60}, {}, ""),
        ({"updates_off": True, "pin": "major 3"}, {}, "OPTED_OUT PINNED"),
    ],
)
def test_a_policy_objects_by_code(values: dict[str, Any], facts: dict[str, Any], code: str) -> None:
    assert objected(rules(**values), **facts) == code


def test_hosts_that_nobody_asked_the_policy_about_are_kept_from_nothing() -> None:
    assert objected(UNRULED, version="9.0.0") == ""


def test_a_host_is_shut_until_its_window_opens_by_its_own_clock() -> None:
    found = shut(rules(windows=["tue 14:00-16:00 local"]), NOW)
    assert found is not None
    assert found.opens_at == NOW + timedelta(hours=1)
    assert found.message == "the next opening begins at 2026-12-01 14:00 Europe/Berlin (the fleet's policy)"
    assert shut(rules(windows=["tue 12:30-13:30 local"]), NOW) is None
    assert shut(rules(), NOW) is None


def test_a_zone_that_is_not_known_matters_where_something_goes_by_it() -> None:
    by_host = ["tue 00:00-24:00 local"]
    for zone, why in (("", NO_ZONE), ("Mars/Base", "no time zone")):
        found = shut(rules(zone, windows=by_host), NOW)
        assert found is not None
        assert found.opens_at is None
        assert why in found.message
        assert shut(rules(zone, windows=["tue 00:00-24:00 UTC"]), NOW) is None


def test_a_stored_value_that_no_reader_takes_keeps_the_host_shut() -> None:
    broken = rules_of(merge([Document(Level.FLEET, "", said(pin="nonsense"))]), "UTC", NOW)
    found = shut(broken, NOW)
    assert found is not None
    assert "can't be read" in found.message


def test_openings_are_told_with_their_ends() -> None:
    found = openings(rules("UTC", windows=["mon-fri 22:00-23:00 UTC"], blackouts=["2026-12-02 UTC"]), NOW, 3)
    assert [(begins.day, begins.hour, ends and ends.hour) for begins, ends in found] == [
        (1, 22, 23),
        (3, 22, 23),
        (4, 22, 23),
    ]


# A rollout that ends before windows open.


def host(number: int, host_rules: HostRules) -> HostFacts:
    return HostFacts(f"a{number}", f"web-{number}", {}, None, "1.0.0", revoked=False, claimed_by="", rules=host_rules)


def test_not_after_before_the_next_opening_is_refused_with_the_first_host() -> None:
    saturday = rules("UTC", windows=["sat 02:00-04:00 UTC"])
    hosts = [host(1, UNRULED), host(2, saturday), host(3, saturday), host(4, rules(windows=["tue 13:00-14:00 local"]))]
    with pytest.raises(RequestError, match=r"before web-2 and 1 more may begin: at 2026-12-05 02:00Z") as caught:
        require_openings(hosts, NOW, 3 * 86_400)
    assert caught.value.code is Code.WINDOW
    require_openings(hosts, NOW, 4 * 86_400)


def test_a_host_without_a_zone_refuses_no_rollout() -> None:
    require_openings([host(1, rules("", windows=["mon 02:00-04:00 local"]))], NOW, 3600)


def test_kinds_of_rules_are_calculated_once_however_many_hosts_go_by_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounded by policies and zones, not by hosts."""
    asked: list[HostRules] = []

    def noted(one: HostRules, now: datetime) -> datetime:
        asked.append(one)
        return now

    monkeypatch.setattr("fleetroll_server.domain.openings.start_of", noted)
    kinds = [rules(zone, windows=["mon 02:00-04:00 local"]) for zone in ("UTC", "Asia/Tokyo")]
    require_openings([host(number, kinds[number % 2]) for number in range(5000)], NOW, 3600)
    assert asked == kinds
