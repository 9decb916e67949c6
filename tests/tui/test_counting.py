"""The history as a model: whatever comes live, is listed or is missed, in any order, each event is counted once."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fleetroll_tui.model.events import Gap
from fleetroll_tui.model.history import MAX_LOGS, WHOLE, History, Scope
from fleetroll_tui.model.values import Happening

MOST = 50
"""Events of one example: each in a minute of its own, and all within the hour that rates reach back."""
RING, LOG = 12, 9
SCOPES: tuple[Scope, ...] = (WHOLE, ("ro-0", ""), ("ro-1", ""), ("", "ag-0"), ("", "ag-2"))


def event(number: int) -> Happening:
    return Happening(
        f"e{number}",
        60.0 * number + 60.0,
        "attempt.state",
        rollout_id=f"ro-{number % 2}",
        host_id=f"ag-{number % 3}",
        state="failed",
    )


def listed(past: list[Happening], scope: Scope, size: int) -> list[Happening]:
    """What a server lists, newest first."""
    rollout_id, host_id = scope
    found = [each for each in reversed(past) if rollout_id in {"", each.rollout_id} and host_id in {"", each.host_id}]
    return found[:size]


STEPS = st.lists(
    st.tuples(st.sampled_from(["tell", "miss", "list", "list early"]), st.sampled_from(SCOPES), st.integers(0, 15)),
    max_size=25,
)


@given(st.integers(0, 20), STEPS)
def test_each_event_is_counted_once_and_shown_once_at_its_place(
    before: int, steps: list[tuple[str, Scope, int]]
) -> None:
    history = History(RING, LOG)
    told: set[str] = set()
    past = [event(number) for number in range(before)]
    history.stands(60.0 * before + 1)
    for name, listed_scope, size in steps:
        coming = [event(number) for number in range(len(past), min(MOST, len(past) + min(size, 6)))]
        if name != "list":
            past += coming
        if name == "miss":
            history.resync("too slow", log_replaced=False)
        if name in {"list", "list early"}:  # the early one knows already what the watch tells only now
            history.take_list(listed_scope, listed(past, listed_scope, size), history.resyncs)
        if name in {"tell", "list early"}:
            for each in coming:
                history.take(each)
            told |= {each.id for each in coming}
        for scope in SCOPES:
            shown = list(history.log(scope))
            assert len({each.id for each in shown}) == len(shown)
            assert all(one.at <= two.at for one, two in pairwise(shown))
    now = 60.0 * MOST + 60.0
    counted = history.rates.bad(now, MOST + 1)
    assert max(counted) <= 1
    assert {number for number, hosts in enumerate(counted) if hosts} >= {int(each[1:]) for each in told}
    for rollout in (0, 1):
        mine = history.rates_of(f"ro-{rollout}").bad(now, MOST + 1)
        assert max(mine) <= 1
        assert {number for number, hosts in enumerate(mine) if hosts} >= {
            int(each[1:]) for each in told if int(each[1:]) % 2 == rollout
        }


@given(st.integers(0, 20), STEPS)
def test_of_a_minute_that_is_said_to_be_counted_whole_everything_was_counted(
    before: int, steps: list[tuple[str, Scope, int]]
) -> None:
    history = History(RING, LOG)
    past = [event(number) for number in range(before)]
    history.stands(60.0 * before + 1)
    for name, listed_scope, size in steps:
        coming = [event(number) for number in range(len(past), min(MOST, len(past) + min(size, 6)))]
        past += coming if name != "list" else []
        if name == "miss":
            history.resync("too slow", log_replaced=False)
            history.stands(60.0 * len(past) + 1)
        if name in {"list", "list early"}:
            history.take_list(listed_scope, listed(past, listed_scope, size), history.resyncs)
        if name in {"tell", "list early"}:
            for each in coming:
                history.take(each)
    now = 60.0 * len(past) + 59
    for rollout_id in ("", "ro-0", "ro-1"):
        rates = history.rates_of(rollout_id) if rollout_id else history.rates
        truth = [int(rollout_id in {"", each.rollout_id}) for each in past]
        counted, whole = rates.bad(now, len(past)), rates.whole(now, len(past))
        for hosts, known, happened in zip(counted, whole, truth, strict=True):
            assert hosts == happened if known else hosts <= happened


def test_a_gap_stands_until_a_list_reaches_over_it() -> None:
    history = History()
    for number in range(3):
        history.take(event(number))
    history.resync("too slow", log_replaced=False)
    past = [event(number) for number in range(9)]
    history.take_list(WHOLE, listed(past, WHOLE, 4), 1)
    assert [each.id for each in history.ring] == ["e0", "e1", "e2", "gap:e2", "e5", "e6", "e7", "e8"]
    history.take_list(WHOLE, listed(past, WHOLE, 7), 1)
    assert [each.id for each in history.ring] == [f"e{number}" for number in range(9)]


def test_a_list_reaches_over_a_gap_too_when_it_leaves_out_what_only_the_watch_tells() -> None:
    history = History()
    for number in range(3):
        history.take(event(number))
    history.resync("too slow", log_replaced=False)
    history.take_list(WHOLE, [event(4), event(3), event(1)], 1)
    assert [each.id for each in history.ring] == [f"e{number}" for number in range(5)]


def test_a_list_that_a_resync_overtook_is_asked_for_again_and_one_of_another_log_says_nothing() -> None:
    history = History()
    history.resync("too slow", log_replaced=False)
    history.take_list(WHOLE, [event(1)], 0)
    assert history.due(WHOLE)
    assert [each.id for each in history.ring] == ["e1"]
    history.resync("another database", log_replaced=True)
    history.take_list(WHOLE, [event(2)], 1)
    assert history.due(WHOLE)
    assert len(history.ring) == 0
    history.take_list(WHOLE, [event(3)], 2)
    assert not history.due(WHOLE)


def test_as_many_logs_are_kept_as_were_looked_at_last() -> None:
    history = History()
    for number in range(MAX_LOGS + 1):
        history.take_list(("", f"ag-{number}"), [], 0)
        history.log(("", "ag-0"))
    assert not history.due(("", "ag-0"))
    assert history.due(("", "ag-1"))


def test_a_log_that_begins_in_the_ring_has_its_gaps() -> None:
    history = History()
    history.take(event(0))
    history.resync("too slow", log_replaced=False)
    history.take(event(3))
    assert [type(each) for each in history.log(("", "ag-0"))] == [Happening, Gap, Happening]
    assert [type(each) for each in history.log(("", "ag-1"))] == [], "where nothing is known, nothing is missing"


def test_a_list_is_not_counted_again_when_its_log_was_given_up_meanwhile() -> None:
    history = History()
    past = [event(number) for number in range(10)]
    history.take_list(WHOLE, listed(past, WHOLE, 1), 0)
    for _ in range(2):
        history.take_list(("ro-0", ""), listed(past, ("ro-0", ""), 3), 0)
        for number in range(MAX_LOGS):
            history.log(("", f"ag-{number}"))
    assert sum(history.rates_of("ro-0").bad(60.0 * MOST + 60.0, MOST + 1)) == 3
    history.take_list(("ro-0", ""), listed(past, ("ro-0", ""), 5), 0)
    assert sum(history.rates_of("ro-0").bad(60.0 * MOST + 60.0, MOST + 1)) == 5
