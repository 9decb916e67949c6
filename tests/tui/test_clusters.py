"""Failed hosts are put together by what they said, and a cluster says what its hosts share and the others don't."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_tui.model.clusters import clusters, shape_of
from fleetroll_tui.model.values import Attempt, Host, Member, Product
from fleetroll_tui.screens.failures import EVERY_SECONDS
from tests.tui.driving import console, driven, press, seen, settle


def host(name: str, *, arch: str = "x86_64", **labels: str) -> Host:
    """Return a host."""
    return Host(id=name, name=name, fleet_id="eu", os="linux", arch=arch, labels=labels, products=(Product("agent"),))


def member(name: str, state: str, code: str = "", message: str = "", **values: Any) -> Member:
    """Return a host that was tried."""
    attempt = Attempt(state=state, code=code, message=message, from_version="1.0.0", granted_at=1.0)
    return Member(name, name, 1, attempt, **values)


def test_the_sentence_that_a_person_on_call_needs() -> None:
    arms = [host(f"arm-{n}", arch="arm64") for n in range(20)]
    others = [host(f"x86-{n}") for n in range(40)]
    crew = [
        member(one.id, "rolled_back", "HEALTH_TIMEOUT", f"no answer after {n} s") for n, one in enumerate(arms[:19])
    ]
    crew += [member(one.id, "failed", "DOWNLOAD_FAILED", "stalled") for one in others[:3]]
    crew += [member(one.id, "succeeded") for one in others[3:]]
    first, second = clusters(crew, {one.id: one for one in (*arms, *others)})
    assert first.words == "19 of 22: HEALTH_TIMEOUT, all arch=arm64"
    assert (first.shape, first.hosts, first.failed) == ("no answer after # s", 19, 22)
    assert (second.code, second.hosts) == ("DOWNLOAD_FAILED", 3)


def test_what_nearly_all_hosts_have_explains_nothing() -> None:
    hosts = [host(f"h{n}", site="ams") for n in range(10)]
    crew = [member(one.id, "failed" if n < 3 else "succeeded", "START_FAILED") for n, one in enumerate(hosts)]
    (only,) = clusters(crew, {one.id: one for one in hosts})
    assert only.traits == ()
    assert only.words == "3 of 3: START_FAILED"


def test_most_of_a_cluster_is_enough_and_is_said() -> None:
    hosts = [host(f"h{n}", site="ams" if n < 9 else "fra") for n in range(30)]
    crew = [member(one.id, "failed" if n < 10 else "succeeded", "LOCKED") for n, one in enumerate(hosts)]
    (only,) = clusters(crew, {one.id: one for one in hosts})
    assert only.words == "10 of 10: LOCKED, 9 of 10 site=ams"


def test_one_host_alone_shares_nothing() -> None:
    crew = [member("a", "lost", "HOST_WENT_OFFLINE"), *(member(f"b{n}", "succeeded") for n in range(9))]
    known = {"a": host("a", arch="arm64"), **{f"b{n}": host(f"b{n}") for n in range(9)}}
    assert clusters(crew, known)[0].traits == ()


def test_hosts_that_were_not_tried_count_for_nothing() -> None:
    crew = [Member("a", "a", 1, Attempt(state="pending")), Member("b", "b", 1)]
    assert clusters(crew, {}) == ()


def test_the_newest_word_is_the_example() -> None:
    crew = [
        member("old", "failed", "X", "first", changed_at=5.0),
        member("new", "failed", "X", "first", changed_at=9.0),
    ]
    (only,) = clusters(crew, {})
    assert (only.example, only.newest_at) == ("new", 9.0)


@pytest.mark.parametrize(
    ("message", "shape"),
    [
        ("exit code 137 after 2.5 s", "exit code # after # s"),
        ("digest 9f86d081884c7d65 differs", "digest … differs"),
        ("agent-vjhqv5ikl7ujodtmn2y4cq2tiq left", "… left"),
        ("'/opt/shop/1.2.3/bin' is missing", "'…' is missing"),
        ("port 8080: refused\n  by 10.0.0.7", "port #: refused by #"),
    ],
)
def test_what_differs_from_host_to_host_is_left_out(message: str, shape: str) -> None:
    assert shape_of(message) == shape


@given(
    st.lists(st.tuples(st.sampled_from(["failed", "lost", "succeeded", "pending"]), st.sampled_from("AB")), max_size=40)
)
def test_every_failed_host_is_in_exactly_one_cluster(drawn: list[tuple[str, str]]) -> None:
    crew = [member(f"h{n}", state, code) for n, (state, code) in enumerate(drawn)]
    found = clusters(crew, {})
    bad = sum(state in {"failed", "lost"} for state, _ in drawn)
    assert sum(one.hosts for one in found) == bad
    assert all(one.failed == bad for one in found)
    assert clusters(reversed(crew), {}) == found or len({one.newest_at for one in found}) == 1


async def test_the_screen_shows_what_failed_hosts_share_and_leads_to_them() -> None:
    app = console()
    async with driven(app, (140, 40)) as pilot:
        await press(pilot, "2")
        await press(pilot, "x")
        await settle(pilot)
        text = seen(app)
        assert "Failed alike" in text
        assert "HEALTH_TIMEOUT" in text
        await press(pilot, "enter")
        assert "filter code:" in seen(app)
    assert EVERY_SECONDS > 0
