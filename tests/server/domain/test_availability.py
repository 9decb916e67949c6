"""Closed time: exactly what no spell covers, and it moves every clock by what of it the clock had run in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from fleetroll_server.domain.availability import (
    KEPT,
    MAX_GAP,
    TICK,
    Span,
    Spell,
    closed_until_now,
    closed_within,
    goes_on,
    moved_on,
)
from fleetroll_server.domain.deadlines import GRANTED_SECONDS
from fleetroll_server.domain.states import AttemptState
from fleetroll_server.gateway.convert_in import MAX_TIME_LIMIT

START = datetime(2026, 3, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def spell(began: float, ticked: float, *, over: bool = True) -> Spell:
    return Spell(at(began), at(ticked), over=over)


SPELLS = st.builds(
    lambda began, length, over: spell(began, began + length, over=over),
    st.integers(0, 60),
    st.integers(0, 30),
    st.booleans(),
)


def test_a_spell_lasts_while_its_last_sign_is_young_and_nothing_was_refused() -> None:
    mine = spell(0, 100, over=False)
    assert goes_on(mine, at(110), refused=False)
    assert not goes_on(mine, at(110.1), refused=False), "more than two ticks are missing"
    assert not goes_on(mine, at(101), refused=True)
    assert not goes_on(spell(0, 100), at(101), refused=False), "a drain ended it"
    assert goes_on(mine, at(-3600), refused=False), "a clock that was set back closes nothing"


def test_one_tick_may_fail_and_the_record_outlives_every_trial() -> None:
    assert MAX_GAP >= 2 * TICK
    assert KEPT >= 10 * MAX_TIME_LIMIT


def test_nothing_is_closed_before_the_first_spell_of_all() -> None:
    assert closed_until_now([], at(50)) is None
    assert closed_within([], at(0), at(50)) == []
    assert closed_within([spell(20, 50)], at(0), at(50)) == [], "what was before is not known"


def test_a_server_that_goes_on_while_another_one_is_gone_closes_nothing() -> None:
    both = [spell(0, 40), spell(30, 95, over=False)]
    assert closed_until_now(both, at(100)) is None
    assert closed_within(both, at(10), at(100)) == []


def test_a_gap_between_two_spells_is_closed_and_so_is_the_time_since_the_last_one() -> None:
    record = [spell(60, 80), spell(0, 40)]
    assert closed_within(record, at(10), at(100)) == [Span(at(40), at(60)), Span(at(80), at(100))]
    assert closed_within(record, at(50), at(70)) == [Span(at(50), at(60))]
    assert closed_within(record, at(65), at(75)) == []
    assert closed_until_now(record, at(100)) == Span(at(80), at(100))


@given(st.lists(SPELLS, min_size=1, max_size=6), st.integers(0, 100), st.integers(0, 100))
def test_closed_is_what_no_spell_covers(spells: list[Spell], since: int, now: int) -> None:
    spans = closed_within(spells, at(since), at(now))
    known = min(spell.began_at for spell in spells)
    for second in range(since, now):
        half = at(second + 0.5)
        covered = half < known or any(one.began_at < half < one.until(at(now)) for one in spells)
        assert any(span.began_at < half < span.ended_at for span in spans) != covered, second
    edges = [edge for span in spans for edge in (span.began_at, span.ended_at)]
    assert edges == sorted(edges)
    assert all(at(since) <= edge <= at(now) for edge in edges)


@given(st.lists(SPELLS, min_size=1, max_size=6), st.integers(90, 130))
def test_the_time_that_is_closed_still_is_the_last_of_all_closed_time(spells: list[Spell], now: int) -> None:
    last = closed_until_now(spells, at(now))
    spans = closed_within(spells, at(0), at(now))
    assert (last is None and not [s for s in spans if s.ended_at == at(now)]) or spans[-1] == last


@given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 100), st.integers(1, 200))
def test_a_clock_keeps_exactly_the_open_time_that_it_had(began: int, length: int, since: int, allowed: int) -> None:
    """A clock that runs from ``since``: what it has outside of the closed time is what its state allows."""
    closed = Span(at(began), at(began + length))
    due = at(since + allowed)
    moved = moved_on(AttemptState.TRIAL, due, at(since), closed)
    overlap = max(timedelta(), closed.ended_at - max(at(since), closed.began_at))
    assert moved - at(since) - overlap == timedelta(seconds=allowed)


def test_the_clock_of_a_permit_runs_from_the_end_of_its_session() -> None:
    closed = Span(at(0), at(3600))
    due = at(3600 + GRANTED_SECONDS)
    assert moved_on(AttemptState.GRANTED, due, at(-500), closed) == due, "its session ended when the servers were back"
    assert moved_on(AttemptState.PROMOTED, due, at(3599), closed) == due + timedelta(hours=1), (
        "the trial's clock goes on"
    )
    late = at(100 + GRANTED_SECONDS)
    assert moved_on(AttemptState.GRANTED, late, at(-500), closed) == late + timedelta(seconds=3500)
