"""Limits: defaults that are safe, thresholds that say something, stored plans that say everything."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.limits import OfflinePolicy, RolloutLimits

THRESHOLDS = ("max_concurrent", "max_failed", "failure_limit", "min_sample", "max_out")
SECONDS = ("bake_seconds", "soak_seconds", "lease_seconds", "not_after_seconds")
OTHER_COUNTS = ("max_downloading", "max_attempts")
DAY = 86_400


def refused(said: dict[str, object]) -> RequestError:
    with pytest.raises(RequestError) as caught:
        RolloutLimits.from_request(said)
    return caught.value


def test_a_bare_rollout_updates_one_host_at_a_time_and_stops_at_the_first_failure() -> None:
    limits = RolloutLimits.from_request({})
    assert limits == RolloutLimits(
        max_concurrent=1,
        max_failed=1,
        failure_limit=0.02,
        min_sample=1,
        bake_seconds=0,
        soak_seconds=60,
        lease_seconds=300,
        not_after_seconds=7 * DAY,
        offline_policy=OfflinePolicy.WAIT,
        max_downloading=50,
        max_attempts=3,
        max_out=1,
    )


def test_what_is_said_replaces_its_default_and_nothing_else() -> None:
    limits = RolloutLimits.from_request({"max_concurrent": 5, "offline_policy": "skip", "bake_seconds": 1.5})
    assert limits == dataclasses.replace(
        RolloutLimits(), max_concurrent=5, max_out=5, offline_policy=OfflinePolicy.SKIP, bake_seconds=1.5
    )


@pytest.mark.parametrize(("concurrent", "failed", "out"), [(1, 1, 1), (5, 1, 5), (1, 3, 3), (10, 4, 13)])
def test_max_out_left_out_lets_the_gate_speak_before_the_budget_starves(concurrent: int, failed: int, out: int) -> None:
    limits = RolloutLimits.from_request({"max_concurrent": concurrent, "max_failed": failed})
    assert limits.max_out == out
    # One host less than the gate forgives is broken, and as many as may run at once still fit.
    assert (failed - 1) + concurrent <= limits.max_out


@pytest.mark.parametrize("name", THRESHOLDS)
@pytest.mark.parametrize("value", [0, -1, 0.0, -0.5, math.nan, math.inf, -math.inf, "", "1", None, True, False, []])
def test_t2_a_threshold_that_says_nothing_is_refused(name: str, value: object) -> None:
    error = refused({name: value})
    assert error.code is Code.THRESHOLD_MISSING
    assert error.details["field"] == name
    assert name in error.message
    assert repr(value) in error.message
    assert error.remedy


@pytest.mark.parametrize("name", THRESHOLDS)
def test_t2_a_stored_plan_without_a_threshold_is_refused_not_filled_in(name: str) -> None:
    stored = RolloutLimits().to_json()
    del stored[name]
    with pytest.raises(RequestError) as caught:
        RolloutLimits.from_stored(stored)
    assert caught.value.code is Code.THRESHOLD_MISSING
    assert caught.value.details["field"] == name


@pytest.mark.parametrize("name", THRESHOLDS)
@pytest.mark.parametrize("value", [0, None, ""])
def test_t2_a_stored_plan_with_a_threshold_that_says_nothing_is_refused(name: str, value: object) -> None:
    with pytest.raises(RequestError) as caught:
        RolloutLimits.from_stored(RolloutLimits().to_json() | {name: value})
    assert caught.value.code is Code.THRESHOLD_MISSING


@pytest.mark.parametrize("name", [*SECONDS, *OTHER_COUNTS, "offline_policy"])
def test_a_stored_plan_says_every_limit(name: str) -> None:
    stored = RolloutLimits().to_json()
    del stored[name]
    with pytest.raises(RequestError) as caught:
        RolloutLimits.from_stored(stored)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert caught.value.details["field"] == name


@pytest.mark.parametrize(
    "said",
    [
        {"max_concurrent": 1_000_001},
        {"max_failed": 1_000_001},
        {"failure_limit": 1.01},
        {"failure_limit": 2},
        {"max_out": 2_000_001},
        {"bake_seconds": -1},
        {"bake_seconds": 30 * DAY + 1},
        {"bake_seconds": math.nan},
        {"soak_seconds": 0},
        {"soak_seconds": "60"},
        {"soak_seconds": DAY + 1, "lease_seconds": DAY},
        {"lease_seconds": DAY + 1},
        {"lease_seconds": math.inf},
        {"not_after_seconds": 0},
        {"not_after_seconds": 90 * DAY + 1},
        {"max_downloading": 0},
        {"max_downloading": 1.0},
        {"max_attempts": 0},
        {"max_attempts": 101},
        {"offline_policy": "perhaps"},
        {"offline_policy": ""},
        {"offline_policy": None},
        {"offline_policy": 1},
        {"max_fail": 1},
    ],
    ids=str,
)
def test_any_other_bad_value_is_refused_by_name_with_a_remedy(said: dict[str, object]) -> None:
    error = refused(said)
    name, value = next(iter(said.items()))
    assert error.code is Code.INVALID_ARGUMENT
    assert error.details["field"] == name
    assert f"limits.{name}: {value!r}" in error.message
    assert error.remedy


@pytest.mark.parametrize(("soak", "lease"), [(60, 60), (300, 300), (301, 300), (400, 300)])
def test_a_lease_that_no_soak_could_fit_into_is_refused(soak: float, lease: float) -> None:
    error = refused({"soak_seconds": soak, "lease_seconds": lease})
    assert error.code is Code.INVALID_ARGUMENT
    assert error.details["field"] == "lease_seconds"


def test_a_longer_soak_than_the_default_lease_needs_a_longer_lease() -> None:
    assert refused({"soak_seconds": 600}).details["field"] == "lease_seconds"
    assert RolloutLimits.from_request({"soak_seconds": 600, "lease_seconds": 601}).lease_seconds == 601


def test_max_out_below_max_concurrent_is_refused() -> None:
    error = refused({"max_concurrent": 5, "max_out": 4})
    assert (error.code, error.details["field"]) == (Code.INVALID_ARGUMENT, "max_out")
    assert RolloutLimits.from_request({"max_concurrent": 5, "max_out": 5}).max_out == 5


def test_bounds_themselves_are_allowed() -> None:
    said: dict[str, object] = {"failure_limit": 1, "bake_seconds": 0, "soak_seconds": DAY - 1, "lease_seconds": DAY}
    said |= {"max_concurrent": 1_000_000, "max_failed": 1_000_000, "max_attempts": 100, "not_after_seconds": 90 * DAY}
    assert RolloutLimits.from_request(said).max_out == 1_999_999


def test_limits_can_not_be_built_without_their_checks() -> None:
    with pytest.raises(RequestError) as caught:
        RolloutLimits(max_failed=0)
    assert caught.value.code is Code.THRESHOLD_MISSING
    with pytest.raises(RequestError) as caught:
        dataclasses.replace(RolloutLimits(), failure_limit=math.nan)
    assert caught.value.code is Code.THRESHOLD_MISSING


def test_a_value_of_any_length_is_refused_with_a_short_message() -> None:
    assert len(refused({"max_failed": "9" * 10_000}).message) < 200
    assert len(refused({"x" * 10_000: 1}).message) < 200


COUNTS = st.integers(1, 1_000_000)


@given(
    concurrent=COUNTS,
    failed=COUNTS,
    share=st.floats(0, 1, exclude_min=True),
    sample=COUNTS,
    bake=st.floats(0, 30 * DAY),
    soak=st.floats(0, DAY, exclude_min=True, exclude_max=True),
    policy=st.sampled_from(OfflinePolicy),
)
def test_what_is_stored_is_what_is_read(
    concurrent: int, failed: int, share: float, sample: int, bake: float, soak: float, policy: OfflinePolicy
) -> None:
    limits = RolloutLimits(
        max_concurrent=concurrent,
        max_failed=failed,
        failure_limit=share,
        min_sample=sample,
        bake_seconds=bake,
        soak_seconds=soak,
        lease_seconds=DAY,
        offline_policy=policy,
    )
    read = RolloutLimits.from_stored(json.loads(json.dumps(limits.to_json())))
    assert read == limits
    assert type(read.offline_policy) is OfflinePolicy
