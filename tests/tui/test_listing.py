"""Lists: filter, order, marks and cursor by id; a change costs the same in a list of any length."""

from __future__ import annotations

import gc
import time
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from fleetroll_tui.model.events import Ring
from fleetroll_tui.model.fields import EVENT_FIELDS, HOST_FIELDS
from fleetroll_tui.model.listing import FEW, Listing
from fleetroll_tui.model.lists import ShortList, fill_events
from fleetroll_tui.model.shelf import Shelf
from fleetroll_tui.model.values import Happening, Host, Product

NOW = 10_000.0
STATES = ["", "failed", "applying", "succeeded"]


def host(number: int, state: str = "", version: str = "1.0.0") -> Host:
    return Host(f"ag-{number}", "eu", f"edge-{number:06}", products=(Product("web", version, state=state),))


def filled(count: int) -> tuple[Shelf[Host], Listing[Host]]:
    shelf: Shelf[Host] = Shelf()
    shelf.replace((each.id, each) for each in map(host, range(count)))
    listing = Listing(shelf, HOST_FIELDS)
    listing.refresh(NOW)
    return shelf, listing


def names(listing: Listing[Host]) -> list[str]:
    return [row.name for place in range(len(listing)) if (row := listing.at(place)) is not None]


CHANGES = st.lists(
    st.tuples(st.integers(0, 120), st.sampled_from(STATES), st.sampled_from(["1.0.0", "2.0.0"])), max_size=200
)


@given(st.integers(0, 100), CHANGES, st.sampled_from(["", "state:failed", "edge-00001", "version:<2"]), st.data())
def test_a_list_that_took_changes_is_the_list_made_anew(
    count: int, changes: list[tuple[int, str, str]], text: str, data: st.DataObject
) -> None:
    shelf, listing = filled(count)
    listing.filter_by(text)
    listing.sort_by(
        data.draw(st.sampled_from([order.name for order in HOST_FIELDS.orders])), descending=data.draw(st.booleans())
    )
    for number, state, version in changes:
        shelf.put(f"ag-{number}", host(number, state, version))
        if data.draw(st.booleans()):
            listing.refresh(NOW)
    listing.refresh(NOW)
    anew = Listing(shelf, HOST_FIELDS)
    anew.filter_by(text)
    anew.sort_by(listing.order.name, descending=listing.descending)
    anew.refresh(NOW)
    assert names(listing) == names(anew)
    assert [listing.position(listing.id_at(place)) for place in range(len(listing))] == list(range(len(listing)))


def test_more_changes_than_few_are_merged_alike() -> None:
    shelf, listing = filled(10 * FEW)
    listing.sort_by("state")
    for number in range(0, 10 * FEW, 3):
        shelf.put(f"ag-{number}", host(number, "failed"))
    listing.refresh(NOW)
    rows = [row.state for place in range(len(listing)) if (row := listing.at(place)) is not None]
    assert rows == sorted(rows, key=lambda state: state != "failed")


def test_where_there_is_no_row_nothing_is_marked() -> None:
    _, listing = filled(0)
    short: ShortList[Happening] = ShortList(EVENT_FIELDS)
    for rows in (listing, short):
        rows.mark(rows.id_at(0))
        assert rows.marks == set()


def test_marks_survive_refresh_sort_and_filter() -> None:
    shelf, listing = filled(20)
    for key in ("ag-3", "ag-7"):
        listing.mark(key)
    shelf.put("ag-3", host(3, "failed"))
    listing.sort_by("state", descending=True)
    listing.filter_by("state:failed")
    listing.refresh(NOW)
    listing.filter_by("")
    listing.refresh(NOW)
    shelf.replace((each.id, each) for each in map(host, range(10)))
    listing.refresh(NOW)
    assert listing.marks == {"ag-3", "ag-7"}
    listing.mark("ag-3")
    assert listing.marks == {"ag-7"}


def test_nothing_changed_means_nothing_to_draw() -> None:
    shelf, listing = filled(5)
    assert not listing.refresh(NOW)
    shelf.put("ag-1", host(1, "failed"))
    assert listing.refresh(NOW)
    assert not listing.refresh(NOW)


def test_a_filter_on_time_is_asked_again_though_nothing_changed() -> None:
    shelf, listing = filled(0)
    shelf.put("ag-1", replace(host(1), last_seen_at=NOW - 290))
    listing.filter_by("seen:>5m")
    listing.refresh(NOW)
    assert len(listing) == 0
    listing.refresh(NOW + 20)
    assert len(listing) == 1


def test_the_cursor_is_the_first_row_until_one_is_chosen() -> None:
    shelf, listing = filled(3)
    assert listing.current == host(0)
    listing.cursor = "ag-2"
    shelf.put("ag-2", host(2, "failed"))
    listing.sort_by("state")
    listing.refresh(NOW)
    assert listing.current == host(2, "failed")
    assert listing.position("ag-2") == 0


def seconds_per_change(count: int) -> float:
    shelf, listing = filled(count)
    listing.filter_by("edge")
    listing.refresh(NOW)
    best = 9.9
    for round_ in range(5):
        begin = time.process_time()
        for number in range(2_000):
            shelf.put(f"ag-{number % count}", host(number % count, STATES[(number + round_) % 4]))
        best = min(best, time.process_time() - begin)
    listing.refresh(NOW)
    return best


def test_a_change_costs_the_same_in_a_large_fleet() -> None:
    gc.collect()
    small, large = seconds_per_change(100), seconds_per_change(50_000)
    print(f"2,000 changes: {small * 1e3:.1f} ms among 100 hosts, {large * 1e3:.1f} ms among 50,000")
    assert large < 5 * small + 0.01


def test_a_few_changes_are_taken_in_at_once_in_a_large_fleet() -> None:
    shelf, listing = filled(50_000)
    listing.sort_by("state")
    listing.refresh(NOW)
    for number in range(FEW // 2):
        shelf.put(f"ag-{number}", host(number, "failed"))
    begin = time.process_time()
    listing.refresh(NOW)
    spent = time.process_time() - begin
    assert [listing.at(place) for place in range(FEW // 2)] == [host(number, "failed") for number in range(FEW // 2)]
    print(f"{FEW // 2} changes taken into 50,000 rows in {spent * 1e3:.1f} ms")
    assert spent < 0.02


def test_events_are_listed_newest_first_by_what_they_are_about() -> None:
    ring = Ring(4)
    for number in range(6):
        ring.add(Happening(f"ev-{number}", NOW + number, "attempt.state", host_id=f"ag-{number % 2}"))
    assert not ring.add(Happening("ev-5", NOW, "attempt.state"))
    events: ShortList[Happening] = ShortList()
    assert fill_events(events, ring, NOW, host_id="ag-1")
    assert [events.id_at(place) for place in range(len(events))] == ["ev-5", "ev-3"]
    assert not fill_events(events, ring, NOW, host_id="ag-1")


def test_events_leave_a_log_that_is_filtered_by_time_though_none_comes_in() -> None:
    ring = Ring()
    for number in range(3):
        ring.add(Happening(f"ev-{number}", NOW - 100 * number, "attempt.state"))
    events: ShortList[Happening] = ShortList(EVENT_FIELDS)
    events.filter_by("at:<5m")
    shown = []
    for later in (0.0, 1.0, 90.0, 150.0, 400.0):
        fill_events(events, ring, NOW + later)
        shown.append(len(events))
    assert shown == [3, 3, 3, 2, 0]
    events.filter_by("kind:attempt.*")
    assert fill_events(events, ring, NOW + 400)
    assert not fill_events(events, ring, NOW + 900), "what is asked about no time is not asked again"


def test_what_happened_before_comes_to_its_place_once() -> None:
    ring = Ring(5)
    ring.add(Happening("ev-9", 9.0, "x"))
    older = [Happening(f"ev-{number}", float(number), "x") for number in (9, 8, 7)]
    assert [each.id for each in ring.add_older(older)] == ["ev-8", "ev-7"]
    assert [each.id for each in ring] == ["ev-7", "ev-8", "ev-9"]
    assert ring.add_older(older) == []
    ring.add_older([Happening(f"old-{number}", number / 10, "x") for number in range(9, 0, -1)])
    assert [each.id for each in ring] == ["old-8", "old-9", "ev-7", "ev-8", "ev-9"]
