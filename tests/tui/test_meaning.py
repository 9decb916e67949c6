"""What numbers mean: freshness, gates, bars, what starts, what changed, which decisions there are, versions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_tui.model import decisions
from fleetroll_tui.model.link import STALE_SECONDS, Link
from fleetroll_tui.model.progress import (
    SHARES,
    cells,
    ended,
    gate,
    seconds_left,
    shares,
    starts_on_advance,
    starts_on_resume,
    what_changed,
)
from fleetroll_tui.model.updates import Alive, Lost, Older, Page, Resync, Stand
from fleetroll_tui.model.values import Decision, Late, Limits, Rollout, Switch, Wave
from fleetroll_tui.model.versions import parsed, versions_behind

LIMITS = Limits(max_concurrent=4, max_failed=3)


def wave(number: int, state: str, hosts: int, *, bad: int = 0, attempted: int = 0, **counts: int) -> Wave:
    return Wave(number, state, hosts, counts, bad=bad, attempted=attempted)


def rollout(state: str = "running", *waves: Wave, **values: object) -> Rollout:
    counts: dict[str, int] = {}
    for each in waves:
        for name, hosts in each.counts.items():
            counts[name] = counts.get(name, 0) + hosts
    facts = {"revision": 3, "limits": LIMITS, "counts": counts} | values
    return Rollout("ro-1", "eu", "web", "1.5.0", state, waves=waves, **facts)  # type: ignore[arg-type]


def test_it_is_live_while_the_server_is_heard_and_stale_when_not() -> None:
    link = Link()
    assert link.words(0.0) == "connecting"
    link.take(Alive(5_000.0), 10.0)
    link.loaded = True
    assert link.words(10.4) == "live 0.4 s"
    assert link.server_offset == 4_990.0
    assert not link.stale(10.0 + STALE_SECONDS)
    assert link.stale(10.1 + STALE_SECONDS)
    assert link.words(22.0) == "stale 12 s"


def test_a_lost_connection_is_stale_at_once_and_counts_its_tries() -> None:
    link = Link(loaded=True)
    link.take(Alive(0.0), 10.0)
    link.take(Lost("UNAVAILABLE", "refused", tries=3), 11.0)
    assert link.stale(11.0)
    assert link.words(22.0) == "stale 12 s, reconnecting (3)"
    link.take(Older(()), 22.0)
    assert link.stale(22.0), "an old event is no sign of life of the watch"


def test_from_a_resync_until_its_snapshot_is_whole_it_is_stale() -> None:
    link = Link(loaded=True)
    link.take(Alive(0.0), 10.0)
    link.take(Resync(0.0, "slow"), 23.0)
    link.take(Lost("RESYNC", "a snapshot is awaited: slow"), 23.0)
    assert link.stale(23.0)
    assert link.words(24.0) == "stale 1 s, read anew"
    link.take(Page(0.0, Stand(), last=True), 25.0)
    assert link.words(25.0) == "live 0.0 s"


def test_a_server_that_never_answered_is_not_live() -> None:
    link = Link()
    link.take(Lost("UNAVAILABLE", "refused", tries=2), 1.0)
    assert link.words(2.0) == "no answer, trying again (2)"
    link.take(Lost("UNAUTHENTICATED", "no", final=True), 3.0)
    assert link.words(4.0) == "refused: UNAUTHENTICATED"


@given(st.dictionaries(st.sampled_from(SHARES), st.integers(0, 10**6)), st.integers(0, 200))
def test_a_bar_is_as_wide_as_it_should_be_and_shows_whoever_is_there(parts: dict[str, int], width: int) -> None:
    found = cells(parts, width)
    there = [part for part, hosts in parts.items() if hosts]
    assert sum(found.values()) == (width if there else 0)
    assert all(number >= 0 for number in found.values())
    if width >= len(there):
        assert all(found[part] for part in there)


@given(st.dictionaries(st.sampled_from(SHARES), st.integers(-(2**31), 2**31 - 1)), st.integers(-5, 10**6))
def test_a_bar_is_made_of_any_numbers_whatever(parts: dict[str, int], width: int) -> None:
    there = {part: hosts for part, hosts in parts.items() if hosts > 0}
    assert cells(parts, width) == dict.fromkeys(parts, 0) | cells(there, width)


def test_numbers_below_zero_that_nearly_outweigh_the_others_take_no_time() -> None:
    assert cells({"done": 2**31 - 1, "bad": -(2**31) + 50}, 40) == {"done": 40, "bad": 0}


def test_who_is_counted_in_no_state_is_pending() -> None:
    assert shares({"succeeded": 3, "lost": 1, "trial": 2, "skipped": 1}, 10) == {
        "done": 3,
        "active": 2,
        "bad": 1,
        "other": 1,
        "pending": 3,
    }
    assert ended({"succeeded": 3, "lost": 1, "trial": 2, "skipped": 1, "pending": 4}) == 5


@pytest.mark.parametrize(
    ("bad", "max_failed", "close", "over"),
    [
        (0, 3, False, False),
        (1, 3, False, False),
        (2, 3, True, False),
        (3, 3, False, True),
        (0, 1, False, False),
        (1, 1, False, True),
    ],
)
def test_a_gate_is_close_when_the_next_bad_host_halts(bad: int, max_failed: int, close: bool, over: bool) -> None:
    at = wave(1, "open", 20, bad=bad, attempted=10)
    found = gate(rollout("running", at, limits=Limits(max_failed=max_failed, failure_limit=0.5)), at)
    assert (found.close, found.over, found.rate) == (close, over, bad / 10)


@pytest.mark.parametrize(
    ("bad", "attempted", "close", "over"),
    [(0, 1000, False, False), (5, 1000, False, False), (23, 1000, True, False), (30, 1000, False, True)],
)
def test_a_gate_is_measured_by_its_rate_too(bad: int, attempted: int, close: bool, over: bool) -> None:
    """At 2 %: 23 of 1,000 are surely 1.6 % or more, 30 surely more than 2.2 %, which is what the server fails."""
    at = wave(1, "open", 2000, bad=bad, attempted=attempted)
    found = gate(rollout("running", at, limits=Limits(max_failed=100, failure_limit=0.02)), at)
    assert (found.close, found.over) == (close, over)


def test_who_was_offered_the_version_is_among_those_that_start() -> None:
    """A resume lets them go at once: nobody may be told that nothing starts."""
    paused = rollout("paused", wave(1, "open", 6, succeeded=1, staged=3, downloading=1, offered=1))
    starts = starts_on_resume(paused)
    assert (starts.waiting, starts.offered) == (5, 5)
    assert starts.at_once == min(5, paused.limits.max_concurrent)


def test_what_starts_is_bounded_by_the_room_that_is_left() -> None:
    paused = rollout("paused", wave(1, "open", 10, succeeded=3, applying=1, pending=6))
    assert (starts_on_resume(paused).waiting, starts_on_resume(paused).at_once) == (6, 3)
    waiting = rollout("running", wave(1, "passed", 2, succeeded=2), wave(2, "awaiting_approval", 10, pending=10))
    assert (starts_on_advance(waiting).wave, starts_on_advance(waiting).at_once) == (2, 4)


def test_continuing_past_a_failed_canary_starts_the_next_wave_and_says_so() -> None:
    canary, rest = wave(1, "failed", 1, bad=1, attempted=1, rolled_back=1), wave(2, "pending", 47, pending=47)
    assert starts_on_resume(rollout("halted", canary, rest)).wave == 2
    by_hand = starts_on_resume(rollout("halted", canary, rest, manual=True))
    assert (by_hand.wave, by_hand.waiting) == (1, 0)


def test_the_time_left_is_told_only_while_it_runs_and_hosts_get_done() -> None:
    running = rollout("running", wave(1, "open", 10, succeeded=4, pending=6))
    assert seconds_left(running, 2.0) == 180.0
    assert seconds_left(running, 0.0) is None
    assert seconds_left(replace(running, state="paused"), 2.0) is None


def test_what_changed_is_said_in_words() -> None:
    before = rollout("running", wave(1, "open", 10, bad=0))
    after = rollout(
        "halted", wave(1, "failed", 10, bad=2), revision=5, why=Decision("gate", "2 bad", "WAVE_NOT_PASSED")
    )
    assert what_changed(before, after) == [
        "state running → halted: 2 bad",
        "bad hosts 0 → 2",
        "wave 1 open → failed",
    ]
    assert what_changed(before, replace(before, revision=4)) == ["revision 3 → 4"]
    assert what_changed(before, before) == []


@pytest.mark.parametrize(
    ("state", "pause", "go_on", "cancel"),
    [
        ("running", True, False, True),
        ("paused", False, True, True),
        ("halted", False, True, True),
        ("scheduled", True, False, True),
        ("completed", False, False, False),
        ("cancelled", False, False, False),
        ("superseded", False, False, False),
    ],
)
def test_each_state_takes_its_decisions(state: str, pause: bool, go_on: bool, cancel: bool) -> None:
    one = rollout(state, wave(1, "open", 2, pending=2))
    assert (decisions.why_not_pause(one) == "") is pause
    assert (decisions.why_not_continue(one, []) == "") is go_on
    assert (decisions.why_not_cancel(one) == "") is cancel


def test_only_a_wave_that_waits_is_opened() -> None:
    waits = rollout("running", wave(1, "passed", 2), wave(2, "awaiting_approval", 2))
    assert decisions.why_not_advance(waits) == ""
    assert decisions.waits_for_person(waits) == "wave 2 waits to be opened"
    assert "no wave waits" in decisions.why_not_advance(rollout("running", wave(1, "open", 2)))
    assert "paused" in decisions.why_not_advance(rollout("paused", wave(1, "open", 2, pending=2)))
    untold = rollout("paused", wave(1, "baking", 2, skipped=2))
    assert decisions.why_not_advance(untold) == "", "a gate that can't tell is passed by a person"


def test_nothing_goes_on_under_a_kill_switch_of_its_scope() -> None:
    halted = rollout("halted", wave(1, "failed", 1))
    for scope in ("global", "fleet/eu"):
        assert "L lifts it" in decisions.why_not_continue(halted, [Switch(scope, active=True)])
    assert decisions.why_not_continue(halted, [Switch("fleet/us", active=True)]) == ""


def test_late_hosts_keep_a_completed_rollout_within_reach() -> None:
    late = rollout("completed", wave(1, "passed", 2), late=Late(left=2))
    assert decisions.why_not_pause(late) == ""
    assert decisions.why_not_cancel(late) == ""
    stopped = replace(late, late=Late(left=2, stopped=Decision(code="PAUSED")))
    assert decisions.why_not_continue(stopped, []) == ""
    assert decisions.waits_for_person(stopped) == "late hosts stopped"
    for_good = replace(late, late=Late(left=2, stopped=Decision(code="SUPERSEDED")))
    assert "for good" in decisions.why_not_continue(for_good, [])


def test_versions_behind_are_counted_among_those_that_are_known() -> None:
    known = ["1.0.0", "1.4.2", "1.5.0", "1.5.0+build", "junk", "2.0.0-rc.1"]
    assert versions_behind("1.4.2", known) == 2
    assert versions_behind("0.0.0+dev", known) == 0
    assert versions_behind("", known) == 0
    assert parsed("1.5") is None
