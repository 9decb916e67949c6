"""Plans: every selected host stands in one wave or is left out with one reason, always in the same order."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.platform import Platform
from fleetroll_server.domain.eligible import HostFacts, ReleaseFacts
from fleetroll_server.domain.plan import Plan, Selection, WaveSpec, plan

LINUX = Platform.parse("linux-x86_64-cp311")
RELEASE = ReleaseFacts("agent", "1.1.0", {LINUX: "ab" * 32})
ALL = Selection()


def host(name: str, **facts: Any) -> HostFacts:
    known: dict[str, Any] = {"labels": {}, "platform": LINUX, "version": "1.0.0", "revoked": False, "claimed_by": ""}
    return HostFacts(agent_id=f"id-{name}", name=name, **(known | facts))


def fleet(count: int) -> list[HostFacts]:
    return [host(f"h{number:03}") for number in range(1, count + 1)]


def names(made: Plan) -> list[list[str]]:
    assert [wave.number for wave in made.waves] == list(range(1, len(made.waves) + 1))
    return [[member.name for member in wave.hosts] for wave in made.waves]


def sizes(made: Plan) -> list[int]:
    return [len(wave) for wave in names(made)]


def left_out(made: Plan) -> dict[str, Code]:
    return {found.host.name: found.code for found in made.exclusions}


def refused(*arguments: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        plan(*arguments)
    return caught.value


def count(number: float | None, *hosts: str) -> WaveSpec:
    return WaveSpec("count", number, hosts)


def percent(number: float | None, *hosts: str) -> WaveSpec:
    return WaveSpec("percent", number, hosts)


def named(*hosts: str) -> WaveSpec:
    return WaveSpec(None, None, hosts)


REST = WaveSpec("rest")


@pytest.mark.parametrize("hosts", [1, 2, 3])
def test_without_specifications_there_is_one_wave_of_all_by_name(hosts: int) -> None:
    made = plan(ALL, [], fleet(hosts)[::-1], RELEASE)
    assert names(made) == [[member.name for member in fleet(hosts)]]
    assert made.exclusions == ()


def test_hosts_of_the_same_name_stand_by_id() -> None:
    twins = [replace(host("a"), agent_id=agent_id) for agent_id in ("id-2", "id-1")]
    made = plan(ALL, [], twins, RELEASE)
    assert [member.agent_id for member in made.waves[0].hosts] == ["id-1", "id-2"]


@pytest.mark.parametrize(
    ("hosts", "specs", "expected"),
    [
        (1, [count(1)], [1]),
        (2, [count(1)], [1, 1]),
        (3, [count(1), REST], [1, 2]),
        (3, [count(1), count(1)], [1, 1, 1]),
        (3, [REST], [3]),
        (10, [percent(10), percent(50)], [1, 5, 4]),
        (3, [percent(1)], [1, 2]),
        (1, [percent(0.1)], [1]),
        (3, [percent(100)], [3]),
        (1000, [percent(16.1)], [161, 839]),
        (100, [percent(7)], [7, 93]),
        (10, [count(2), percent(25), REST], [2, 3, 5]),
    ],
    ids=str,
)
def test_waves_have_the_sizes_that_are_asked_for(hosts: int, specs: list[WaveSpec], expected: list[int]) -> None:
    assert sizes(plan(ALL, specs, fleet(hosts), RELEASE)) == expected


@pytest.mark.parametrize("hosts", [1, 2, 3])
def test_t6_a_canary_group_larger_than_the_fleet_takes_what_there_is(hosts: int) -> None:
    assert sizes(plan(ALL, [count(5), count(5), REST], fleet(hosts), RELEASE)) == [hosts]


def test_a_wave_without_hosts_is_dropped_and_the_numbers_have_no_hole() -> None:
    made = plan(ALL, [count(2), count(1), named("h003")], fleet(3), RELEASE)
    assert names(made) == [["h001", "h002"], ["h003"]]


def test_named_hosts_come_first_in_their_order_and_are_kept_for_their_wave() -> None:
    made = plan(ALL, [count(3, "h005", "h002"), named("h001"), REST], fleet(6), RELEASE)
    assert names(made) == [["h005", "h002", "h003"], ["h001"], ["h004", "h006"]]


def test_a_percentage_smaller_than_its_named_hosts_takes_them_all() -> None:
    assert names(plan(ALL, [percent(1, "h003", "h002")], fleet(3), RELEASE)) == [["h003", "h002"], ["h001"]]


def test_hosts_may_be_named_by_id() -> None:
    made = plan(Selection(hosts=("id-h003", "h001")), [named("id-h003")], fleet(3), RELEASE)
    assert names(made) == [["h003"], ["h001"]]


def test_an_id_wins_over_a_name() -> None:
    odd = [host("a"), host("id-a")]
    assert names(plan(Selection(hosts=("id-a",)), [], odd, RELEASE)) == [["a"]]


def test_labels_must_all_be_equal() -> None:
    hosts = [
        host("a", labels={"site": "x", "rack": "1"}),
        host("b", labels={"site": "x"}),
        host("c", labels={"site": "y", "rack": "1"}),
        host("d"),
    ]
    assert names(plan(Selection(labels={"site": "x"}), [], hosts, RELEASE)) == [["a", "b"]]
    assert names(plan(Selection(labels={"site": "x", "rack": "1"}), [], hosts, RELEASE)) == [["a"]]
    assert names(plan(Selection(hosts=("b", "c"), labels={"site": "x"}), [], hosts, RELEASE)) == [["b"]]


def test_excluded_hosts_take_no_part_by_name_or_id() -> None:
    made = plan(Selection(exclude=("h002", "id-h003")), [], fleet(4), RELEASE)
    assert names(made) == [["h001", "h004"]]
    assert made.exclusions == ()


@pytest.mark.parametrize(
    ("selection", "specs", "field"),
    [
        (Selection(hosts=("h001", "ghost")), [], "selection.hosts"),
        (Selection(exclude=("ghost",)), [], "selection.exclude"),
        (ALL, [count(1), named("ghost")], "waves[2].hosts"),
    ],
)
def test_an_unknown_name_is_refused_by_name(selection: Selection, specs: list[WaveSpec], field: str) -> None:
    error = refused(selection, specs, fleet(2), RELEASE)
    assert error.code is Code.HOST_NOT_FOUND
    assert "'ghost'" in error.message
    assert (error.details["field"], error.details["host"]) == (field, "ghost")
    assert error.remedy


def test_a_name_that_two_living_hosts_share_must_be_said_as_an_id() -> None:
    twins = [replace(host("a"), agent_id=agent_id) for agent_id in ("id-1", "id-2")]
    error = refused(Selection(hosts=("a",)), [], twins, RELEASE)
    assert error.code is Code.INVALID_ARGUMENT
    assert "id-1, id-2" in error.remedy
    # Leaving out too many is the safe side.
    assert names(plan(Selection(exclude=("a",)), [], [*twins, host("b")], RELEASE)) == [["b"]]


def test_a_name_means_the_living_host_when_a_revoked_one_had_it_before() -> None:
    old = replace(host("a", revoked=True), agent_id="id-0")
    made = plan(Selection(hosts=("a",)), [], [old, host("a")], RELEASE)
    assert [member.agent_id for member in made.waves[0].hosts] == ["id-a"]
    assert made.exclusions == ()


def test_each_host_that_is_left_out_has_one_reason_that_names_it() -> None:
    hosts = [
        host("a", revoked=True, version="1.1.0"),
        host("b", version="1.1.0", platform=Platform.parse("plan9-mips-cp311")),
        host("c", platform=Platform.parse("plan9-mips-cp311")),
        host("d", platform=None),
        host("e", version=""),
        host("f", version="1.1.0-rc.1"),
        host("g", version="1.2.0"),
        host("h", keeps=False, version="", platform=None),
        host("i", keeps=False, revoked=True),
    ]
    made = plan(ALL, [], hosts, RELEASE)
    assert left_out(made) == {
        "a": Code.HOST_REVOKED,
        "b": Code.ALREADY_AT_TARGET,
        "c": Code.NO_ARTIFACT,
        "d": Code.NO_ARTIFACT,
        "h": Code.NOT_OPTED_IN,
        "i": Code.HOST_REVOKED,
    }
    assert names(made) == [["e", "f", "g"]]
    for found in made.exclusions:
        assert found.message.startswith(f"{found.host.name}: ")


@pytest.mark.parametrize(
    ("built_for", "reached"),
    [("linux/x86_64", ["a", "b"]), ("linux/any", ["a", "b", "c"]), ("any", ["a", "b", "c", "d"])],
)
def test_an_artefact_that_depends_on_less_reaches_more_hosts(built_for: str, reached: list[str]) -> None:
    """A host that never told what it is stays out even then: nobody knows where it would look."""
    told = ["linux/x86_64/cp311", "linux/x86_64/cp312", "linux/aarch64/cp311", "darwin/aarch64/cp313"]
    hosts = [host(name, platform=Platform.parse(text)) for name, text in zip("abcd", told, strict=True)]
    wide = replace(RELEASE, artifacts={Platform.parse(built_for): "cd" * 32})
    assert names(plan(ALL, [], [*hosts, host("e", platform=None)], wide)) == [reached]


def test_percentages_are_of_the_hosts_that_take_part() -> None:
    hosts = [*fleet(4), *(host(f"z{number}", version="1.1.0") for number in range(16))]
    assert sizes(plan(ALL, [percent(50)], hosts, RELEASE)) == [2, 2]


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
def test_a_second_rollout_on_a_host_is_refused_with_its_name_and_the_first_one_s(version: str) -> None:
    """A host at the target may yet be moved by who holds it."""
    hosts = [host("a"), host("b", claimed_by="rollout-1", version=version), host("c", claimed_by="rollout-2")]
    error = refused(ALL, [], hosts, RELEASE)
    assert error.code is Code.ROLLOUT_ACTIVE
    assert error.message == "rollout rollout-1 is active on b and 1 more"
    assert (error.details["host"], error.details["rollout"]) == ("b", "rollout-1")


def test_a_claim_on_a_host_that_takes_no_part_stands_in_nobody_s_way() -> None:
    hosts = [host("a"), host("b", claimed_by="rollout-1"), host("c", claimed_by="rollout-1", revoked=True)]
    assert names(plan(Selection(exclude=("b",)), [], hosts, RELEASE)) == [["a"]]


def test_a_rollout_for_nobody_is_refused_with_the_count_and_the_reasons() -> None:
    hosts = [host("a", revoked=True), host("b", version="1.1.0"), host("c", version="1.1.0")]
    error = refused(ALL, [], hosts, RELEASE)
    assert error.code is Code.NO_HOSTS
    assert error.message == "no host is left: 3 of 3 selected are excluded: 2 ALREADY_AT_TARGET, 1 HOST_REVOKED"


def test_an_empty_fleet_and_a_selection_without_hosts_are_told_apart() -> None:
    assert refused(ALL, [], [], RELEASE).message == "no host is left: the fleet has none"
    error = refused(Selection(labels={"site": "x"}), [], fleet(3), RELEASE)
    assert (error.code, error.message) == (Code.NO_HOSTS, "no host is left: the selection has none")


@pytest.mark.parametrize(
    "specs",
    [
        [WaveSpec(None)],
        [count(0)],
        [count(-1)],
        [count(1.5)],
        [count(None)],
        [count(float("nan"))],
        [count(float("inf"))],
        [count(True)],
        [count(1, "h001", "h002")],
        [percent(0)],
        [percent(-5)],
        [percent(100.1)],
        [percent(None)],
        [percent(float("nan"))],
        [REST, count(1)],
        [REST, REST],
        [named("h001"), named("h001")],
        [named("h001", "id-h001")],
        [count(1)] * 51,
    ],
    ids=str,
)
def test_waves_that_can_not_be_are_refused_with_a_remedy(specs: list[WaveSpec]) -> None:
    error = refused(ALL, specs, fleet(100), RELEASE)
    assert error.code is Code.INVALID_ARGUMENT
    assert error.details["field"].startswith("waves")
    assert error.remedy


def test_the_wave_for_the_rest_counts_among_the_fifty() -> None:
    assert len(plan(ALL, [count(1)] * 50, fleet(50), RELEASE).waves) == 50
    assert len(plan(ALL, [count(1)] * 49, fleet(60), RELEASE).waves) == 50
    assert refused(ALL, [count(1)] * 50, fleet(60), RELEASE).code is Code.INVALID_ARGUMENT


def test_a_named_host_outside_the_selection_is_refused() -> None:
    error = refused(Selection(exclude=("h001",)), [named("h001")], fleet(3), RELEASE)
    assert error.code is Code.INVALID_ARGUMENT
    assert "h001 is not selected" in error.message


def test_a_canary_group_that_would_vanish_unproven_is_refused() -> None:
    hosts = [host("a", revoked=True), host("b")]
    error = refused(ALL, [named("a"), REST], hosts, RELEASE)
    assert error.code is Code.INVALID_ARGUMENT
    assert "a: its identity was revoked" in error.message


def test_a_canary_group_that_runs_the_target_already_leaves_no_wave_behind() -> None:
    hosts = [host("a", version="1.1.0"), host("b"), host("c")]
    made = plan(ALL, [named("a"), count(1), REST], hosts, RELEASE)
    assert names(made) == [["b"], ["c"]]
    assert left_out(made) == {"a": Code.ALREADY_AT_TARGET}


def test_a_place_whose_named_host_is_left_out_goes_to_the_next_by_name() -> None:
    hosts = [host("a", revoked=True), host("b"), host("c"), host("d")]
    assert names(plan(ALL, [count(2, "a", "d"), REST], hosts, RELEASE)) == [["d", "b"], ["c"]]


HOSTS = st.lists(
    st.builds(
        HostFacts,
        agent_id=st.integers(0, 999).map("id-{}".format),
        name=st.sampled_from("abcdefgh"),
        labels=st.dictionaries(st.sampled_from(["site"]), st.sampled_from("xy")),
        platform=st.sampled_from([LINUX, Platform.parse("linux-aarch64-cp311"), None]),
        version=st.sampled_from(["", "1.0.0", "1.1.0"]),
        revoked=st.booleans(),
        claimed_by=st.just(""),
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda facts: facts.agent_id,
)
SPECS = st.lists(
    st.one_of(
        st.builds(count, st.integers(1, 12)),
        st.builds(percent, st.floats(0, 100, exclude_min=True, allow_subnormal=False)),
    ),
    max_size=6,
)


@given(HOSTS, SPECS, st.booleans(), st.sampled_from([{}, {"site": "x"}]), st.data())
def test_every_selected_host_is_in_one_wave_or_left_out_once_and_the_order_is_stable(
    hosts: list[HostFacts], specs: list[WaveSpec], rest: bool, labels: dict[str, str], data: st.DataObject
) -> None:
    chosen = data.draw(st.lists(st.sampled_from([facts.agent_id for facts in hosts]), unique=True))
    selection = Selection(hosts=tuple(chosen), labels=labels)
    selected = [facts for facts in hosts if not chosen or facts.agent_id in chosen]
    selected = [facts for facts in selected if labels.items() <= facts.labels.items()]
    waves = [*specs, REST] if rest else specs
    if all(facts.revoked or facts.version == "1.1.0" or facts.platform != LINUX for facts in selected):
        assert refused(selection, waves, hosts, RELEASE).code is Code.NO_HOSTS
        return
    made = plan(selection, waves, hosts, RELEASE)
    in_waves = [member for wave in made.waves for member in wave.hosts]
    placed = [facts.agent_id for facts in in_waves] + [found.host.agent_id for found in made.exclusions]
    assert sorted(placed) == sorted(facts.agent_id for facts in selected)
    assert all(wave.hosts for wave in made.waves)
    # Without named hosts the order over all waves is the stored order: by name, then id.
    assert [(m.name, m.agent_id) for m in in_waves] == sorted((m.name, m.agent_id) for m in in_waves)
    shuffled = random.Random(7).sample(hosts, len(hosts))
    assert plan(selection, waves, shuffled, RELEASE) == made


@given(HOSTS, st.integers(1, 12), st.data())
def test_named_hosts_stand_where_they_were_named(hosts: list[HostFacts], places: int, data: st.DataObject) -> None:
    able = [replace(facts, revoked=False, version="1.0.0", platform=LINUX) for facts in hosts]
    ids = [facts.agent_id for facts in able]
    late = data.draw(st.lists(st.sampled_from(ids), unique=True, min_size=1, max_size=5))
    made = plan(ALL, [count(places), named(*late)], able, RELEASE)
    where = {member.agent_id: wave.number for wave in made.waves for member in wave.hosts}
    assert len({where[agent_id] for agent_id in late}) == 1
    first = 2 if len(late) < len(able) else 1
    assert where[late[0]] == first
    assert [member.agent_id for member in made.waves[first - 1].hosts] == late


@pytest.mark.parametrize(
    ("running", "taken"),
    [("0.9.9", False), ("1.2.0-rc.1", False), ("1.2.0", True), ("1.10.0", True), ("", True), ("unknown", True)],
)
def test_a_host_below_what_the_release_updates_is_left_out_by_name(running: str, taken: bool) -> None:
    release = replace(RELEASE, supported_from="1.2.0")
    made = plan(ALL, [], [host("a", version=running), host("b", version="1.3.0")], release)
    assert left_out(made) == ({} if taken else {"a": Code.BELOW_SUPPORTED})
    assert names(made) == [["a", "b"] if taken else ["b"]]
