"""Deadlines: every wait for a host's word ends, and what its end means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.deadlines import OFFLINE_SECONDS, Expiry, deadline, expiry, returning_until, silence_counts
from fleetroll_server.domain.states import (
    ATTEMPT_TRANSITIONS,
    BAD,
    BEFORE_GO,
    ENDED_ROLLOUT,
    FINAL,
    PAST_GO,
    AttemptState,
    RolloutState,
    Trigger,
    WaveState,
)
from fleetroll_server.gateway.gateway import SILENCE_SECONDS

A, T = AttemptState, Trigger
NOW = datetime(2026, 3, 1, tzinfo=UTC)
MEGABYTE = 1024 * 1024


def seconds(state: AttemptState, *, online: bool = True, size_bytes: int = 0, announced: float | None = None) -> float:
    """Seconds until the deadline; -1 where none runs."""
    limit = timedelta(seconds=announced) if announced is not None else None
    due = deadline(state, NOW, online=online, size_bytes=size_bytes, announced=limit)
    return -1 if due is None else (due - NOW).total_seconds()


def test_an_offer_waits_thirty_seconds_over_a_live_session_and_never_without_one() -> None:
    assert seconds(A.OFFERED) == 30
    assert seconds(A.OFFERED, online=False) == -1


def test_a_download_has_five_minutes_and_its_size_at_the_slowest_line_that_is_waited_for() -> None:
    assert seconds(A.DOWNLOADING) == 300
    assert seconds(A.DOWNLOADING, size_bytes=64 * MEGABYTE) == 300 + 1024
    assert seconds(A.DOWNLOADING, size_bytes=64 * MEGABYTE, online=False) == -1


def test_a_go_waits_only_while_its_session_is_gone() -> None:
    assert seconds(A.GRANTED) == -1
    assert seconds(A.GRANTED, online=False) == 90


def test_no_go_can_be_used_after_its_host_was_given_up() -> None:
    go_seconds = 60
    assert seconds(A.GRANTED, online=False) > go_seconds


@pytest.mark.parametrize("state", [A.APPLYING, A.TRIAL, A.PROMOTED, A.SOAKING])
@pytest.mark.parametrize("online", [True, False])
def test_after_go_a_host_has_what_it_announced_and_thirty_seconds(state: AttemptState, online: bool) -> None:
    assert seconds(state, online=online, announced=45) == 75
    assert seconds(state, online=online) == 630


@pytest.mark.parametrize("announced", [0.0, -5.0])
def test_a_host_that_announces_nothing_real_gets_the_default(announced: float) -> None:
    assert seconds(A.TRIAL, announced=announced) == 630


@pytest.mark.parametrize("state", [A.PENDING, A.STAGED, A.LOST, *sorted(FINAL - {A.SUCCEEDED})])
def test_where_the_end_of_waiting_or_nothing_rules_no_deadline_runs(state: AttemptState) -> None:
    assert seconds(state) == -1
    assert seconds(state, online=False) == -1
    assert expiry(state) is None


@pytest.mark.parametrize(
    ("state", "trigger", "code"),
    [
        (A.OFFERED, T.FAIL, Code.DISPATCH_FAILED),
        (A.DOWNLOADING, T.FAIL, Code.DOWNLOAD_FAILED),
        (A.GRANTED, T.LOSE, Code.HOST_WENT_OFFLINE),
        (A.APPLYING, T.LOSE, Code.HOST_WENT_OFFLINE),
        (A.TRIAL, T.LOSE, Code.NEVER_CAME_BACK),
        (A.PROMOTED, T.LOSE, Code.HOST_WENT_OFFLINE),
        (A.SOAKING, T.LOSE, Code.HOST_WENT_OFFLINE),
        (A.SUCCEEDED, T.LOSE, Code.HOST_WENT_OFFLINE),
    ],
)
def test_each_deadline_does_what_its_state_needs(state: AttemptState, trigger: Trigger, code: Code) -> None:
    rule = expiry(state)
    assert rule == Expiry(trigger, code, rule.message if rule else "")
    assert ATTEMPT_TRANSITIONS[state][trigger] in BAD


def test_a_host_that_succeeded_may_be_silent_for_as_long_as_a_session_may() -> None:
    assert seconds(A.SUCCEEDED, online=False) == SILENCE_SECONDS
    assert seconds(A.SUCCEEDED) == -1


def test_its_silence_counts_while_its_wave_may_be_judged_and_never_afterwards() -> None:
    counted = {(rollout, wave) for rollout in RolloutState for wave in WaveState if silence_counts(rollout, wave)}
    judged, taken_back = {WaveState.OPEN, WaveState.BAKING}, RolloutState.ROLLING_BACK
    assert counted == {
        (rollout, wave) for rollout in set(RolloutState) - ENDED_ROLLOUT - {taken_back} for wave in judged
    }


def test_silence_past_go_is_lost_and_never_success() -> None:
    for state in PAST_GO - {A.LOST}:
        rule = expiry(state)
        assert rule is not None
        assert ATTEMPT_TRANSITIONS[state][rule.trigger] is A.LOST


def test_each_state_with_a_deadline_has_an_expiry_and_the_other_way_round() -> None:
    for state in A:
        timed = {seconds(state, online=online) for online in (True, False)} != {-1}
        assert timed is (expiry(state) is not None)


def test_before_go_offline_hosts_are_judged_by_the_offline_policy_alone() -> None:
    assert {seconds(state, online=False) for state in BEFORE_GO} == {-1}


def test_a_host_that_left_may_be_on_its_way_back_for_the_offline_limit() -> None:
    left, limit = NOW, timedelta(seconds=OFFLINE_SECONDS)
    assert returning_until(left, left) == left + limit
    assert returning_until(left, left + limit - timedelta(microseconds=1)) == left + limit
    assert returning_until(left, left + limit) is None
    assert returning_until(None, left) is None, "nobody left"
