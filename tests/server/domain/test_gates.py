"""Gates: a wave passes on evidence alone; silence, and failure below the threshold, never open the next one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fleetroll_common.values.codes import Code
from fleetroll_common.values.rates import wilson_lower_bound
from fleetroll_server.domain.gates import (
    CohortCounters,
    Counters,
    GateResult,
    Verdict,
    verdict,
)
from fleetroll_server.domain.limits import RolloutLimits

DEFAULT = RolloutLimits()
LENIENT = RolloutLimits(max_failed=1000, failure_limit=1.0)
"""Nothing but the rules without a threshold can stop a wave."""


def wave(planned: int, *, ok: int = 0, bad: int = 0, flying: int = 0, skipped: int = 0, waiting: int = 0) -> Counters:
    """A wave whose other hosts are pending."""
    return Counters(
        planned=planned,
        attempted=ok + bad + flying,
        bad=bad,
        ended=ok + bad + skipped,
        waiting=waiting,
        succeeded=ok,
    )


def judge(counters: Counters, limits: RolloutLimits = DEFAULT, *cohorts: CohortCounters) -> Verdict:
    return verdict(counters, cohorts, limits).verdict


@pytest.mark.parametrize("hosts", [1, 2, 3])
def test_a_small_fleet_passes_when_every_host_succeeded_and_not_before(hosts: int) -> None:
    for done in range(hosts):
        assert judge(wave(hosts, ok=done)) is Verdict.OPEN
        assert judge(wave(hosts, ok=done, flying=1)) is Verdict.OPEN
    assert judge(wave(hosts, ok=hosts)) is Verdict.PASS


@pytest.mark.parametrize("hosts", [1, 2, 3, 100])
def test_with_the_defaults_the_first_bad_host_stops_a_wave_of_any_size(hosts: int) -> None:
    result = verdict(wave(hosts, bad=1), (), DEFAULT)
    assert result == GateResult(Verdict.FAIL, Code.WAVE_NOT_PASSED, "1 bad of 1 attempted, stops at 1")
    assert judge(wave(hosts, ok=hosts - 1, bad=1)) is Verdict.FAIL


def test_the_evidence_names_every_number_that_was_compared() -> None:
    assert verdict(wave(3, ok=2, bad=1), (), DEFAULT).evidence == "1 bad of 3 attempted, stops at 1"
    open_wave = verdict(wave(5, ok=2, flying=1, skipped=1, waiting=1), (), DEFAULT)
    assert open_wave.evidence == "0 bad of 3 attempted, stops at 1; 2 succeeded, 3 of 5 ended, 1 waiting"
    assert verdict(wave(2, ok=2), (), DEFAULT).evidence == "0 bad of 2 attempted, stops at 1; 2 succeeded, 2 of 2 ended"


@pytest.mark.parametrize("hosts", [1, 2, 3, 50])
@pytest.mark.parametrize("limits", [LENIENT, RolloutLimits(max_failed=51), RolloutLimits(max_failed=51, min_sample=99)])
def test_t1_a_wave_whose_hosts_all_end_badly_below_the_threshold_does_not_advance(
    hosts: int, limits: RolloutLimits
) -> None:
    assert judge(wave(hosts, bad=hosts), limits) is Verdict.FAIL


def test_t1_also_where_the_others_of_the_wave_wait_or_were_skipped() -> None:
    assert judge(wave(5, bad=1, waiting=3, skipped=1), LENIENT) is Verdict.FAIL


@pytest.mark.parametrize("limits", [DEFAULT, LENIENT])
def test_t3_the_only_canary_failed_and_the_gate_stays_shut(limits: RolloutLimits) -> None:
    assert judge(wave(1, bad=1), limits) is Verdict.FAIL


def test_t6_a_canary_that_vanished_keeps_the_wave_open_until_its_deadline_and_then_fails_it() -> None:
    assert judge(wave(1, flying=1)) is Verdict.OPEN
    assert judge(wave(1, bad=1)) is Verdict.FAIL


def test_t6_a_canary_group_smaller_than_its_min_sample_needs_all_of_its_hosts() -> None:
    limits = RolloutLimits(min_sample=5)
    assert judge(wave(2, ok=1), limits) is Verdict.OPEN
    assert judge(wave(2, ok=2), limits) is Verdict.PASS


def test_t19_skipped_hosts_are_no_failures() -> None:
    assert judge(wave(3, ok=1, skipped=2)) is Verdict.PASS


@pytest.mark.parametrize("hosts", [1, 2, 3])
def test_t19_a_wave_of_skipped_hosts_alone_is_no_success_either(hosts: int) -> None:
    result = verdict(wave(hosts, skipped=hosts), (), DEFAULT)
    assert (result.verdict, result.code) == (Verdict.INCONCLUSIVE, Code.WAVE_NOT_PASSED)
    assert result.evidence.endswith("needs 1 attempted and 1 succeeded")


def test_too_few_attempted_hosts_leave_the_decision_to_a_person() -> None:
    limits = RolloutLimits(min_sample=3)
    assert judge(wave(4, ok=2, skipped=2), limits) is Verdict.INCONCLUSIVE
    assert judge(wave(4, ok=3, skipped=1), limits) is Verdict.PASS


def test_attempts_that_people_called_back_are_no_evidence() -> None:
    """Attempted, ended, neither bad nor succeeded."""
    called_back = Counters(planned=2, attempted=2, bad=0, ended=2, waiting=0, succeeded=0)
    assert judge(called_back) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("hosts", [1, 2, 3])
def test_a_wave_that_sleeps_passes_nothing_and_halts_nothing(hosts: int) -> None:
    assert judge(wave(hosts, waiting=hosts)) is Verdict.OPEN
    assert judge(wave(hosts, waiting=hosts), LENIENT) is Verdict.OPEN


def test_one_sleeping_laptop_does_not_hold_back_the_others() -> None:
    assert judge(wave(3, ok=2, waiting=1)) is Verdict.PASS


def test_a_sleeping_host_that_could_complete_the_sample_keeps_the_wave_open() -> None:
    assert judge(wave(3, ok=2, waiting=1), RolloutLimits(min_sample=3)) is Verdict.OPEN
    assert judge(wave(3, skipped=2, waiting=1)) is Verdict.OPEN


def test_a_host_in_flight_is_neither_bad_nor_good() -> None:
    assert judge(wave(3, ok=2, flying=1)) is Verdict.OPEN


def test_the_share_stops_a_large_wave_before_the_number_does() -> None:
    limits = RolloutLimits(max_failed=100, failure_limit=0.02)
    assert judge(wave(1000, ok=480, bad=20), limits) is Verdict.FAIL
    assert judge(wave(1000, ok=490, bad=10), limits) is Verdict.OPEN
    assert judge(wave(500, ok=490, bad=10), limits) is Verdict.PASS
    evidence = verdict(wave(1000, ok=480, bad=20), (), limits).evidence
    assert evidence == "20 bad of 500 attempted: at least 2.8% fail (95 % bound), stops above 2 %"


def test_a_rate_at_the_limit_is_not_above_it() -> None:
    at_limit = RolloutLimits(max_failed=100, failure_limit=wilson_lower_bound(2, 10))
    assert judge(wave(10, ok=8, bad=2), at_limit) is Verdict.PASS
    assert judge(wave(10, ok=7, bad=3), at_limit) is Verdict.FAIL


COHORT_LIMITS = RolloutLimits(max_failed=1000, failure_limit=0.1)
LARGE = wave(1000, ok=900, bad=10)


@pytest.mark.parametrize(
    ("cohort", "expected"),
    [
        (CohortCounters("arch=arm64", 1, 1), Verdict.OPEN),
        (CohortCounters("arch=arm64", 2, 1), Verdict.OPEN),
        (CohortCounters("arch=arm64", 2, 2), Verdict.FAIL),
        (CohortCounters("arch=arm64", 3, 1), Verdict.OPEN),
        (CohortCounters("arch=arm64", 3, 2), Verdict.FAIL),
        (CohortCounters("arch=arm64", 3, 3), Verdict.FAIL),
        (CohortCounters("arch=arm64", 50, 2), Verdict.OPEN),
        (CohortCounters("arch=arm64", 0, 0), Verdict.OPEN),
    ],
    ids=str,
)
def test_a_cohort_fails_the_wave_that_hides_it(cohort: CohortCounters, expected: Verdict) -> None:
    assert judge(LARGE, COHORT_LIMITS) is Verdict.OPEN
    result = verdict(LARGE, [CohortCounters("arch=x86_64", 905, 5), cohort], COHORT_LIMITS)
    assert result.verdict is expected
    assert ("arch=arm64" in result.evidence) == (expected is Verdict.FAIL)


def test_a_cohort_whose_hosts_all_fail_stops_the_wave_whatever_the_share() -> None:
    assert judge(LARGE, LENIENT, CohortCounters("os=a", 2, 2)) is Verdict.FAIL


@pytest.mark.parametrize(
    ("bad", "attempted", "bound"), [(0, 0, 0.0), (0, 12, 0.0), (1, 1, 0.2699), (1, 10, 0.0226), (2, 3, 0.2535)]
)
def test_the_lower_bound_is_wilson_s(bad: int, attempted: int, bound: float) -> None:
    assert wilson_lower_bound(bad, attempted) == pytest.approx(bound, abs=5e-5)


@given(st.integers(1, 5000), st.data())
def test_the_bound_solves_the_equation_that_defines_it(attempted: int, data: st.DataObject) -> None:
    """The bound b is where the observed rate lies exactly z standard errors (of b) above b."""
    bad = data.draw(st.integers(1, attempted))
    bound = wilson_lower_bound(bad, attempted)
    rate = bad / attempted
    assert 0 < bound < rate
    assert rate - bound == pytest.approx(1.6448536269514722 * (bound * (1 - bound) / attempted) ** 0.5, rel=1e-6)


@pytest.mark.parametrize(("bad", "attempted"), [(2, 1), (-1, 3), (1, 0)])
def test_a_rate_that_can_not_be_has_no_bound(bad: int, attempted: int) -> None:
    with pytest.raises(ValueError, match="rate"):
        wilson_lower_bound(bad, attempted)


SOUND = wave(3, ok=2, bad=0, skipped=1)


def test_a_bad_host_that_was_not_counted_as_attempted_is_still_bad() -> None:
    assert judge(SOUND) is Verdict.PASS
    assert judge(replace(SOUND, attempted=0, bad=1), LENIENT) is Verdict.FAIL
    assert judge(SOUND, LENIENT, CohortCounters("site=a", 0, 2)) is Verdict.FAIL


def test_counts_below_zero_are_no_credit() -> None:
    assert verdict(replace(SOUND, bad=-1), (), DEFAULT) == verdict(SOUND, (), DEFAULT)
    assert judge(replace(SOUND, attempted=-1)) is Verdict.INCONCLUSIVE
    assert judge(SOUND, DEFAULT, CohortCounters("site=a", -1, -1)) is Verdict.PASS


def test_a_wave_whose_parts_do_not_add_up_is_not_over() -> None:
    assert judge(replace(SOUND, waiting=1)) is Verdict.OPEN
    assert judge(replace(SOUND, ended=4)) is Verdict.OPEN


ANY = st.integers(-3, 6)


@given(st.builds(Counters, *[ANY] * 6), st.lists(st.builds(CohortCounters, st.just("a=b"), ANY, ANY), max_size=3))
def test_judging_never_raises_and_counts_out_of_step_never_pass_a_bad_host(
    counters: Counters, cohorts: list[CohortCounters]
) -> None:
    result = verdict(counters, cohorts, DEFAULT)
    assert result.verdict is Verdict.FAIL or counters.bad < 1
    if result.verdict is Verdict.PASS:
        assert counters.ended + counters.waiting == counters.planned
        assert counters.attempted >= 1
        assert counters.succeeded >= 1


@st.composite
def waves(draw: st.DrawFn) -> Counters:
    ok, bad, flying, called_back, skipped, waiting, pending = (draw(st.integers(0, 12)) for _ in range(7))
    planned = ok + bad + flying + called_back + skipped + waiting + pending
    assume(planned > 0)
    ended = ok + bad + called_back + skipped
    return Counters(planned, ok + bad + flying + called_back, bad, ended, waiting, ok)


LIMITS = st.builds(
    RolloutLimits,
    max_failed=st.integers(1, 8),
    failure_limit=st.floats(0.01, 1.0),
    min_sample=st.integers(1, 8),
)


@given(waves(), LIMITS)
def test_more_bad_hosts_never_turn_a_failure_into_anything_else(counters: Counters, limits: RolloutLimits) -> None:
    assume(judge(counters, limits) is Verdict.FAIL)
    if counters.succeeded:
        turned = replace(counters, bad=counters.bad + 1, succeeded=counters.succeeded - 1)
        assert judge(turned, limits) is Verdict.FAIL
    for _ in range(10):
        counters = replace(
            counters,
            planned=counters.planned + 1,
            attempted=counters.attempted + 1,
            bad=counters.bad + 1,
            ended=counters.ended + 1,
        )
        assert judge(counters, limits) is Verdict.FAIL


@given(waves(), LIMITS)
def test_a_pass_always_stands_on_success_and_on_every_host_that_could_speak(
    counters: Counters, limits: RolloutLimits
) -> None:
    result = verdict(counters, (), limits)
    if result.verdict is Verdict.PASS:
        assert counters.succeeded >= 1
        assert counters.bad < limits.max_failed
        assert counters.attempted >= min(limits.min_sample, counters.planned)
        assert counters.ended + counters.waiting == counters.planned
    if result.verdict is Verdict.INCONCLUSIVE:
        assert counters.ended == counters.planned
    assert (result.code is None) == (result.verdict in {Verdict.PASS, Verdict.OPEN})
    assert f"{counters.bad} bad of {counters.attempted} attempted" in result.evidence


@given(waves(), LIMITS, st.integers(0, 6), st.integers(0, 6))
def test_a_cohort_can_only_make_the_gate_stricter(counters: Counters, limits: RolloutLimits, bad: int, ok: int) -> None:
    alone = judge(counters, limits)
    assert judge(counters, limits, CohortCounters("site=a", bad + ok, bad)) in {alone, Verdict.FAIL}
