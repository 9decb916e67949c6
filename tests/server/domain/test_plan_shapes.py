"""Plans by selector, range, batch and order: who is meant, and in which wave each stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.selectors import LabelSelector
from fleetroll_common.values.version_range import VersionRange
from fleetroll_server.domain.behind import Newest
from fleetroll_server.domain.eligible import ReleaseFacts
from fleetroll_server.domain.plan import Plan, Selection, Shape, WaveSpec, plan
from fleetroll_server.domain.wave_groups import MAX_WAVES
from fleetroll_server.domain.wave_order import WaveOrder
from tests.server.domain.test_plan import ALL, LINUX, RELEASE, REST, count, fleet, host, left_out, names, sizes

if TYPE_CHECKING:
    import random


def selector(text: str) -> LabelSelector:
    return LabelSelector.parse(text)


def group(text: str, size: Any = None, value: float | None = None) -> WaveSpec:
    return WaveSpec(size, value, selector=selector(text))


def batches(size: int) -> Shape:
    return Shape(batch_size=size)


def ordered(text: str) -> Shape:
    return Shape(order=WaveOrder.parse(text))


def made(selection: Selection, specs: list[WaveSpec], hosts: list[Any], **more: Any) -> Plan:
    return plan(selection, specs, hosts, RELEASE, **more)


def refused(*arguments: Any, **more: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        made(*arguments, **more)
    assert caught.value.remedy
    return caught.value


SITES = [
    host("a", labels={"site": "ams", "rack": "2"}),
    host("b", labels={"site": "fra", "rack": "1"}),
    host("c", labels={"site": "ams", "rack": "1"}, version="0.9.0"),
    host("d", version=""),
    host("e", labels={"site": "ber"}, version="0.0.0+dev"),
    host("f", labels={"site": "ams"}, version="1.2.0"),
]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(selector=selector("site in (ams,fra),rack")), ["a", "b", "c"]),
        (Selection(selector=selector("site!=ams")), ["b", "d", "e"]),
        (Selection(selector=selector("site=ams"), labels={"rack": "1"}), ["c"]),
        (Selection(versions=VersionRange.parse(">=0.9,<1")), ["c"]),
        (Selection(versions=VersionRange.parse("<2")), ["a", "b", "c", "f"]),
        (Selection(behind=True), ["a", "b", "c"]),
        (Selection(behind=True, selector=selector("site=ams"), exclude=("a",)), ["c"]),
        (Selection(hosts=("a", "d", "f"), behind=True), ["a"]),
    ],
)
def test_everything_that_is_said_of_a_selection_must_be_true(selection: Selection, expected: list[str]) -> None:
    found = made(selection, [], SITES, newest=Newest([RELEASE]))
    assert names(found) == [expected]


def test_who_is_not_selected_is_no_exclusion() -> None:
    found = made(Selection(selector=selector("site=ams")), [], [*SITES, host("g", version="1.1.0")])
    assert left_out(found) == {}


def test_behind_goes_by_the_newest_release_not_by_the_one_that_is_rolled_out() -> None:
    newest = Newest([RELEASE, ReleaseFacts("agent", "1.3.0", {LINUX: "cd" * 32})])
    assert names(made(Selection(behind=True), [], SITES, newest=newest)) == [["a", "b", "c", "f"]]


@pytest.mark.parametrize(
    ("hosts", "specs", "size", "expected"),
    [
        (10, [], 4, [4, 4, 2]),
        (10, [], 10, [10]),
        (10, [], 99, [10]),
        (1, [], 1, [1]),
        (10, [count(1)], 3, [1, 3, 3, 3]),
        (10, [count(1), WaveSpec("percent", 50)], 4, [1, 5, 4]),
        (3, [count(3)], 2, [3]),
    ],
)
def test_what_the_waves_leave_is_taken_in_batches(hosts: int, specs: list[WaveSpec], size: int, expected: Any) -> None:
    assert sizes(made(ALL, specs, fleet(hosts), shape=batches(size))) == expected


def test_batches_that_are_too_many_waves_are_refused_with_the_size_that_fits() -> None:
    assert len(sizes(made(ALL, [], fleet(100), shape=batches(2)))) == MAX_WAVES
    error = refused(ALL, [count(1)], fleet(100), shape=batches(2))
    assert (error.code, error.details["field"]) == ("INVALID_ARGUMENT", "batch_size")
    assert error.remedy == "say at least 3"
    assert len(sizes(made(ALL, [count(1)], fleet(100), shape=batches(3)))) == 34
    full = refused(ALL, [count(1)] * MAX_WAVES, fleet(100), shape=batches(50))
    assert full.remedy == "say fewer waves before the batches"


@pytest.mark.parametrize(("specs", "size"), [([REST], 2), ([count(1), REST], 2), ([], -1)])
def test_a_batch_size_that_can_not_be_meant_is_refused(specs: list[WaveSpec], size: int) -> None:
    assert refused(ALL, specs, fleet(3), shape=batches(size)).details["field"] == "batch_size"


def test_a_canary_group_by_selector_comes_first_and_is_all_of_it() -> None:
    hosts = [*fleet(4), host("x", labels={"canary": "yes"}), host("c", labels={"canary": "yes"})]
    assert names(made(ALL, [group("canary=yes"), REST], hosts)) == [["c", "x"], ["h001", "h002", "h003", "h004"]]
    assert names(made(ALL, [group("canary", "count", 3)], hosts)) == [["c", "x", "h001"], ["h002", "h003", "h004"]]
    assert names(made(ALL, [group("canary", "count", 1), REST], hosts))[0] == ["c"]


def test_names_stand_before_a_selector_and_nobody_stands_twice() -> None:
    hosts = [host(name, labels={"canary": "yes"}) for name in "abcd"]
    specs = [WaveSpec(None, hosts=("c",), selector=selector("canary")), WaveSpec(None, hosts=("b",)), REST]
    assert names(made(ALL, specs, hosts)) == [["c", "a", "d"], ["b"]]


def test_a_selector_that_means_nobody_is_refused_whatever_size_its_wave_has() -> None:
    for spec in (group("canary"), group("canary", "count", 2), group("canary", "rest")):
        error = refused(ALL, [spec], fleet(3))
        assert (error.details["field"], "no selected host matches canary" in error.message) == (
            "waves[1].label_selector",
            True,
        )
    hosts = [host("a", labels={"canary": ""}), host("b")]
    error = refused(ALL, [group("canary"), group("canary"), REST], hosts)
    assert error.details["field"] == "waves[2].label_selector"


def test_a_group_by_selector_that_is_left_out_is_refused_unless_it_has_proved_the_release() -> None:
    revoked = [host("a", labels={"canary": ""}, revoked=True), host("b")]
    assert "revoked" in refused(ALL, [group("canary"), REST], revoked).message
    proved = [host("a", labels={"canary": ""}, version="1.1.0"), host("b")]
    assert names(made(ALL, [group("canary"), REST], proved)) == [["b"]]


def test_waves_are_filled_by_the_value_of_a_label_and_hosts_without_it_come_last() -> None:
    found = made(Selection(exclude=("f",)), [count(2)], SITES, shape=ordered("label:rack"))
    assert names(found) == [["b", "c"], ["a", "d", "e"]]


def test_waves_are_filled_as_the_hosts_were_listed() -> None:
    chosen = Selection(hosts=("c", "id-a", "b", "c"))
    assert names(made(chosen, [count(2)], SITES, shape=ordered("list"))) == [["c", "a"], ["b"]]
    assert refused(ALL, [], SITES, shape=ordered("list")).details["field"] == "order_by"


@pytest.mark.parametrize("text", ["rack", "label:", "label:" + "k" * 64, "NAME", "label"])
def test_an_order_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        WaveOrder.parse(text)
    assert (caught.value.details["field"], bool(caught.value.remedy)) == ("order_by", True)


@pytest.mark.parametrize("text", ["name", "list", "label:rack"])
def test_an_order_reads_as_itself_from_its_text(text: str) -> None:
    assert str(WaveOrder.parse(text)) == text
    assert str(WaveOrder.parse("")) == "name"


LABELS = st.dictionaries(st.sampled_from(["rack", "canary"]), st.sampled_from(["1", "2", "10"]))


@given(
    st.lists(LABELS, min_size=1, max_size=30),
    st.lists(st.sampled_from([count(1), count(4), WaveSpec("percent", 30)]), max_size=3),
    st.integers(1, 40),
    st.sampled_from(["name", "label:rack", "label:none"]),
    st.randoms(use_true_random=False),
)
def test_every_host_stands_in_one_wave_whatever_the_shape_and_the_order_it_was_read_in(
    labels: list[dict[str, str]], specs: list[WaveSpec], size: int, order: str, shuffled: random.Random
) -> None:
    hosts = [host(f"h{number:02}", labels=each) for number, each in enumerate(labels)]
    shape = Shape(size, WaveOrder.parse(order))
    found = made(ALL, specs, hosts, shape=shape)
    assert sorted(name for wave in names(found) for name in wave) == [each.name for each in hosts]
    assert all(0 < len(wave) <= size for wave in names(found)[len(specs) :])
    again = hosts[:]
    shuffled.shuffle(again)
    assert names(made(ALL, specs, again, shape=shape)) == names(found)
