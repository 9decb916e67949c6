"""The fleet from updates: a snapshot replaces, a change replaces by id, sums are right at every moment."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fleetroll_tui.model.counted import Counted
from fleetroll_tui.model.events import Rates
from fleetroll_tui.model.fields import HOST_FIELDS
from fleetroll_tui.model.fleet import Crew, Fleet
from fleetroll_tui.model.listing import Listing
from fleetroll_tui.model.updates import Alive, Changed, Lost, Older, Page, Resync, Stand
from fleetroll_tui.model.values import Attempt, Happening, Host, Member, Product, Rollout, Switch
from fleetroll_tui.screens.overview import FILTERS

NOW = 1_000_000.0


def host(number: int, *, online: bool = True, state: str = "", current: str = "1.0.0", revoked: bool = False) -> Host:
    product = Product("web", current, "2.0.0", state, Attempt(code="EXITED" if state == "failed" else ""))
    return Host(f"ag-{number}", f"f{number % 2}", f"edge-{number}", online=online, products=(product,), revoked=revoked)


HOSTS = st.builds(
    host,
    st.integers(0, 8),
    online=st.booleans(),
    state=st.sampled_from(["", "failed", "applying", "succeeded", "lost"]),
    current=st.sampled_from(["1.0.0", "2.0.0", "", "0.0.0+dev", "2.1.0"]),
    revoked=st.booleans(),
)


def page(*hosts: Host, last: bool = True, **things: Any) -> Page:
    return Page(NOW, Stand(hosts=hosts, **things), last)


def counted(sums: Counter[str]) -> dict[str, int]:
    return {name: number for name, number in sums.items() if number}


@given(st.lists(st.tuples(st.sampled_from(["page", "change"]), st.lists(HOSTS, max_size=6)), max_size=12))
def test_sums_are_those_of_the_hosts_that_are_known(said: list[tuple[str, list[Host]]]) -> None:
    fleet = Fleet()
    known: dict[str, Host] = {}
    for kind, hosts in said:
        known = (known if kind == "change" else {}) | {each.id: each for each in hosts}
        fleet.take(page(*hosts) if kind == "page" else Changed(NOW, Stand(hosts=tuple(hosts))))
    assert fleet.hosts.things == known
    lasting = [each for each in known.values() if not each.revoked]
    found = {
        "online": sum(each.online for each in lasting),
        "offline": sum(not each.online for each in lasting),
        "behind": sum(each.product.current == "1.0.0" for each in lasting),
        "updating": sum(each.product.state == "applying" for each in lasting),
        "failed": sum(each.product.state in {"failed", "lost"} for each in lasting),
    }
    assert counted(fleet.tiles) == {tile: number for tile, number in found.items() if number}
    for tile, text in FILTERS.items():
        opened = Listing(fleet.hosts, HOST_FIELDS)
        opened.filter_by(text)
        opened.refresh(NOW)
        assert len(opened) == found[tile], "a tile opens the hosts that it counts"
    assert counted(fleet.versions) == dict(Counter(each.product.current for each in lasting))
    bad = [each.product for each in lasting if each.product.state in {"failed", "lost"}]
    assert counted(fleet.codes) == dict(Counter(product.last_attempt.code for product in bad))


def test_pages_replace_only_when_the_last_one_is_there() -> None:
    fleet = Fleet()
    fleet.take(page(host(1)))
    fleet.take(page(host(2), last=False))
    assert set(fleet.hosts.things) == {"ag-1"}
    fleet.take(page(host(3)))
    assert set(fleet.hosts.things) == {"ag-2", "ag-3"}


def test_a_sign_of_life_between_two_pages_loses_none() -> None:
    fleet, crew = Fleet(), Crew("ro-1")
    for update in (page(host(1), last=False), Alive(NOW), page(host(2))):
        fleet.take(update)
    assert set(fleet.hosts.things) == {"ag-1", "ag-2"}
    one, two = (Page(NOW, Stand(members=(Member(f"ag-{at}", "", 1),)), last=at == 2) for at in (1, 2))
    for update in (one, Alive(NOW), two):
        crew.take(update)
    assert set(crew.members.things) == {"ag-1", "ag-2"}


def test_a_snapshot_that_broke_off_leaves_nothing_behind() -> None:
    for broken in (Lost("UNAVAILABLE", "gone"), Resync(NOW, "too slow")):
        fleet = Fleet()
        fleet.take(page(host(1), last=False))
        fleet.take(broken)
        fleet.take(page(host(2)))
        assert set(fleet.hosts.things) == {"ag-2"}


def test_it_is_loaded_with_the_first_whole_snapshot_and_stays_so() -> None:
    fleet = Fleet()
    fleet.take(page(last=False))
    fleet.take(Alive(NOW))
    assert not fleet.loaded
    fleet.take(page())
    fleet.take(Lost("UNAVAILABLE", "gone"))
    assert fleet.loaded


def test_rollouts_and_switches_are_replaced_by_their_ids() -> None:
    fleet = Fleet()
    running = Rollout("ro-1", "f1", "web", "2.0.0", "running")
    fleet.take(page(rollouts=(running,), switches=(Switch("fleet/f1", active=True), Switch("global", active=False))))
    assert [switch.scope for switch in fleet.pressed] == ["fleet/f1"]
    halted = Rollout("ro-1", "f1", "web", "2.0.0", "halted")
    fleet.take(Changed(NOW, Stand(rollouts=(halted,), switches=(Switch("fleet/f1", active=False),))))
    assert fleet.rollouts.get("ro-1") == halted
    assert fleet.pressed == []


def test_events_are_counted_once_into_the_rates() -> None:
    fleet = Fleet()
    done = Happening("ev-1", NOW, "attempt.state", state="succeeded", rollout_id="ro-1")
    bad = Happening("ev-2", NOW - 60, "attempt.state", state="rolled_back", rollout_id="ro-1")
    fleet.take(Changed(NOW, Stand(), (done,)))
    fleet.take(Changed(NOW, Stand(), (done,)))
    fleet.take(Older((done, bad)))
    rates = fleet.rates_of("ro-1")
    assert rates.done(NOW, 3) == [0, 0, 1]
    assert rates.bad(NOW, 3) == [0, 1, 0]
    assert fleet.rates.done(NOW, 1) == [1]


def since(at: float) -> Counted:
    counted = Counted()
    counted.back_to(at)
    return counted


def test_the_rate_is_the_mean_since_the_first_host_was_done() -> None:
    rates = Rates(since(NOW - 3600))
    for minute, hosts in ((-3, 6), (-1, 3)):
        for number in range(hosts):
            rates.add(Happening(f"{minute}/{number}", NOW + 60 * minute, "attempt.state", state="succeeded"))
    assert rates.done_per_minute(NOW) == 3.0
    assert Rates(since(NOW - 3600)).done_per_minute(NOW) == 0.0


def test_rates_keep_what_they_show_and_no_more() -> None:
    rates = Rates(Counted())
    for minute in range(1_000):
        rates.add(Happening(str(minute), NOW + 60 * minute, "attempt.state", state="succeeded"))
    assert sum(rates.done(NOW + 60 * 999, 60)) == 60
    assert len(rates._done) <= 121


def test_a_crew_is_replaced_and_changed_like_the_fleet() -> None:
    crew = Crew("ro-1")
    one, two = Member("ag-1", "edge-1", 1, Attempt(from_version="1.0.0")), Member("ag-2", "edge-2", 1)
    crew.take(Page(NOW, Stand(members=(one,)), last=False))
    seen = [crew.loaded]
    crew.take(Page(NOW, Stand(members=(two,)), last=True))
    assert [*seen, crew.loaded] == [False, True]
    assert set(crew.members.things) == {"ag-1", "ag-2"}
    crew.take(Changed(NOW, Stand(members=(Member("ag-2", "edge-2", 2, Attempt(from_version="1.0.0")),))))
    assert crew.from_versions() == Counter({"1.0.0": 2})


def rollout(number: int, state: str) -> Changed:
    return Changed(NOW, Stand(rollouts=(Rollout(f"ro-{number}", "f1", "web", "2.0.0", state),)))


def test_a_halt_is_new_once_and_not_when_it_stood_already() -> None:
    fleet = Fleet()
    stood = tuple(Rollout(f"ro-{at}", "f1", "web", "2.0.0", state) for at, state in ((1, "halted"), (2, "running")))
    fleet.take(page(rollouts=stood))
    assert fleet.new_halts() == []
    fleet.take(rollout(1, "halted"))
    for state in ("halted", "halted"):
        fleet.take(rollout(2, state))
    assert [each.id for each in fleet.new_halts()] == ["ro-2"]
    assert fleet.new_halts() == []
    fleet.take(page(rollouts=tuple(replace(each, state="halted") for each in stood)))
    assert fleet.new_halts() == [], "a snapshot tells it again"
    fleet.take(rollout(2, "running"))
    fleet.take(page(rollouts=tuple(replace(each, state="halted") for each in stood)))
    assert [each.id for each in fleet.new_halts()] == ["ro-2"], "it went on, and halted while nothing was heard"


def test_what_stands_halted_in_another_database_is_no_news() -> None:
    fleet = Fleet()
    fleet.take(page())
    fleet.take(Resync(NOW, "of another database", log_replaced=True))
    fleet.take(page(rollouts=(Rollout("ro-1", "f1", "web", "2.0.0", "halted"),)))
    assert fleet.new_halts() == []
    fleet.take(rollout(2, "halted"))
    assert [each.id for each in fleet.new_halts()] == ["ro-2"]
