"""Hosts done and failed per minute: what was not counted is no zero, and no part of a mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_tui.model.counted import MOST_GAPS
from fleetroll_tui.model.fleet import Fleet
from fleetroll_tui.model.history import WHOLE, History
from fleetroll_tui.model.updates import Changed, Older, Page, Resync, Stand
from fleetroll_tui.model.values import Happening
from fleetroll_tui.paint import Paint
from fleetroll_tui.screens.panels import rate_lines
from fleetroll_tui.theme import PALETTES
from tests.tui import scenes
from tests.tui.driving import NARROW, WIDE, PlayedServer, console, driven, press, seen, settle

if TYPE_CHECKING:
    from fleetroll_tui.model.events import Rates

NOW = 60.0 * (scenes.NOW // 60) + 30
"""The middle of a minute."""
NONE_KNOWN, NONE_DONE = "╌", "▁"


def done(name: str, minutes: float, rollout_id: str = "ro-1") -> Happening:
    """A host that got done so many minutes ago."""
    return Happening(name, NOW - 60 * minutes, "attempt.state", rollout_id=rollout_id, host_id=name, state="succeeded")


def shown(rates: Rates, width: int = 26, height: int = 2) -> list[str]:
    """The lines as text, of the last ten minutes, newest last."""
    lines = rate_lines(rates, Paint(PALETTES["dark"]), NOW, width, height)
    return ["".join(words for words, _ in line) for line in lines]


def watched(*happenings: Happening) -> Fleet:
    """A fleet of which these were listed, newest first, when its snapshot was there."""
    fleet = Fleet()
    fleet.take(Page(NOW, Stand(), last=True))
    fleet.take(Older(happenings))
    return fleet


def test_minutes_before_the_oldest_event_that_was_counted_are_not_known() -> None:
    fleet = watched(done("b", 2), done("a", 4))
    assert fleet.rates.whole(NOW, 6) == [False, False, True, True, True, True]
    assert fleet.rates.done(NOW, 6) == [0, 1, 0, 1, 0, 0]
    first, second = shown(fleet.rates)
    assert first == f"done/min   {NONE_KNOWN * 5}▄{NONE_DONE}▄{NONE_DONE * 2} 0   ╌ not counted"
    assert second == f"failed/min {NONE_KNOWN * 6}{NONE_DONE * 4} 0"


def test_in_tall_columns_it_is_said_beside_the_heading() -> None:
    heading, _, columns, *_ = shown(watched(done("a", 4)).rates, height=6)
    assert heading == "done/min 0   most 1   ╌ not counted"
    assert columns == f"{NONE_KNOWN * 5}█{NONE_DONE * 4}"


def test_where_everything_was_counted_nothing_is_said_and_the_room_is_for_minutes() -> None:
    fleet = watched(done("a", 100))
    assert [line for line in shown(fleet.rates, 76) if "counted" in line] == []
    assert shown(fleet.rates, 76)[0] == f"done/min   {NONE_DONE * 60} 0"


def test_before_anything_was_listed_nothing_but_what_is_told_is_known() -> None:
    fleet = Fleet()
    assert not any(fleet.rates.whole(NOW))
    assert shown(fleet.rates)[0].startswith(f"done/min   {NONE_KNOWN * 10} \N{EN DASH}")
    fleet.take(Page(NOW - 140, Stand(), last=True))
    assert fleet.rates.whole(NOW, 4) == [False, False, True, True], "an idle fleet has zeros from its snapshot on"


def test_the_minute_in_which_counting_began_is_no_part_of_the_mean() -> None:
    fleet = watched(*(done(f"{minutes}/{number}", minutes) for minutes in (1, 2, 3) for number in range(4)))
    for number in range(20):
        fleet.history.take_list(WHOLE, [done(f"old/{number}", 4)], 0)
    assert fleet.rates.done(NOW, 5) == [20, 4, 4, 4, 0]
    assert fleet.rates.done_per_minute(NOW) == 4.0
    assert fleet.rates_of("ro-1").done_per_minute(NOW) == 4.0


def test_a_gap_is_not_known_until_a_list_reaches_over_it() -> None:
    fleet = watched(done("c", 8), done("b", 9), done("a", 100))
    fleet.take(Resync(0.0, "too slow"))
    assert fleet.rates.whole(NOW, 10) == [True, False, *[False] * 8], "nobody tells any more"
    fleet.take(Page(NOW - 120, Stand(), last=True))
    assert fleet.rates.whole(NOW, 10) == [True, *[False] * 7, True, True]
    fleet.history.take_list(WHOLE, [done("f", 3), done("e", 4)], 1)
    assert fleet.rates.whole(NOW, 10) == [True, *[False] * 5, *[True] * 4]
    assert fleet.rates.done_per_minute(NOW) == 0.5, "two hosts in the four minutes that are over and known"
    fleet.history.take_list(WHOLE, [done("f", 3), done("e", 4), done("d", 6), done("c", 8)], 1)
    assert all(fleet.rates.whole(NOW, 10))


def test_a_list_that_a_resync_overtook_closes_no_gap() -> None:
    fleet = watched(done("b", 8), done("a", 100))
    fleet.take(Resync(0.0, "too slow"))
    fleet.take(Page(NOW - 60, Stand(), last=True))
    fleet.history.take_list(WHOLE, [done("b", 8), done("a", 100)], 0)
    assert fleet.rates.whole(NOW, 9) == [*[False] * 8, True]


def test_a_list_counts_for_a_gap_only_as_far_as_its_events_are_taken_in() -> None:
    history = History(ring_events=3)
    history.take(done("a", 9))
    history.resync("too slow", log_replaced=False)
    history.stands(NOW - 300)
    for name in "cdef":  # more than it keeps, before the list is there
        history.take(done(name, 4))
    history.take_list(WHOLE, [done(name, 4) for name in "fedc"] + [done("b", 7), done("a", 9)], 1)
    assert history.rates.done(NOW, 10) == [1, *[0] * 4, 4, 0, 0, 0, 0]
    assert history.rates.whole(NOW, 10)[2] is False, "what was missed then was not counted"


def test_gaps_without_end_are_taken_together_and_what_is_known_stays_true() -> None:
    history = History()
    for number in range(2 * MOST_GAPS):
        history.take(done(f"h{number}", 600 - 2 * number))
        history.resync("too slow", log_replaced=False)
        history.stands(NOW - 60 * (600 - 2 * number) + 60)
    assert len(history._counted._gaps) == MOST_GAPS
    whole = history.rates.whole(NOW, 601)
    assert not any(whole[:200]), "the oldest are one"
    assert whole[-200:] == [True] * 200


def test_another_log_knows_nothing_of_the_minutes_of_the_one_before() -> None:
    fleet = watched(done("b", 2), done("a", 100))
    fleet.take(Resync(0.0, "another database", log_replaced=True))
    assert not any(fleet.rates.whole(NOW, 10))


def test_what_is_kept_as_it_is_learns_nothing_of_what_is_counted_later() -> None:
    fleet = watched(done("b", 2))
    still = fleet.still()
    fleet.take(Older((done("a", 100),)))
    assert all(fleet.rates.whole(NOW, 5))
    assert not all(still.rates.whole(NOW, 5))
    assert not all(still.rates_of("ro-1").whole(NOW, 5))


def test_an_event_without_an_instant_reaches_back_to_no_time() -> None:
    fleet = watched(done("b", 2))
    fleet.take(Changed(NOW, Stand(), (Happening("odd", 0.0, "attempt.state", state="succeeded"),)))
    assert fleet.rates.whole(NOW, 5) == [False, False, False, True, True]


@pytest.mark.parametrize(("size", "ascii_only"), [(WIDE, False), (NARROW, False), (NARROW, True)])
async def test_the_last_hour_says_which_minutes_nobody_counted(size: tuple[int, int], ascii_only: bool) -> None:
    server = PlayedServer()
    server.before = Older(tuple(done(f"h{minutes}", minutes) for minutes in range(5, 20)))
    server.say(Page(NOW, Stand(), last=True))
    app = console(server, ascii_only=ascii_only)
    async with driven(app, size) as pilot:
        await settle(pilot)
        unknown = "?" if ascii_only else NONE_KNOWN
        assert f"{unknown} not counted" in seen(app)
        assert unknown * 10 in seen(app)
        server.before = Older((done("first", 100),))
        server.say(Resync(NOW, "too slow"))
        server.say(Page(NOW, Stand(), last=True))
        await settle(pilot)
        await press(pilot, "1")
        assert "not counted" not in seen(app)
