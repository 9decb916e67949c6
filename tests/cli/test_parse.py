"""What people type is read, or refused with the field, the value and the remedy."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fleetroll.v1 import rollouts_pb2
from fleetroll_cli.limits import limits_of
from fleetroll_cli.parse import duration, labels, waves
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("1.5h", 5400), ("7d", 604800), ("0s", 0), ("0.25s", 0.25)]
)
def test_durations_have_a_number_and_a_unit(text: str, seconds: float) -> None:
    """Each unit counts."""
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "-5s", "5w", "1e9s", "5 s", "٣s", "nan", "5s5s"])
def test_a_duration_that_is_none_is_refused_by_its_field(text: str) -> None:
    """The field's name is in the message."""
    with pytest.raises(RequestError, match="soak") as refused:
        duration(text, "soak")
    assert refused.value.code is Code.INVALID_ARGUMENT
    assert refused.value.remedy


def test_labels_are_pairs_and_values_may_hold_equals_signs() -> None:
    """Only the first sign parts."""
    assert labels(["site=ams", "note=a=b"]) == {"site": "ams", "note": "a=b"}


@pytest.mark.parametrize("pairs", [["site"], ["=ams"], ["a=1", "a=2"], [""]])
def test_a_label_that_is_no_new_pair_is_refused(pairs: list[str]) -> None:
    """No key, no sign, or the same key twice."""
    with pytest.raises(RequestError, match="label"):
        labels(pairs)


def test_waves_are_counts_percentages_names_and_the_rest() -> None:
    """In the order in which they were typed."""
    read = waves("1,10%,web-1+web-2,rest")
    assert [wave.WhichOneof("size") for wave in read] == ["count", "percent", "count", "rest"]
    assert read[0].count == 1
    assert read[1].percent == pytest.approx(10.0)
    assert (read[2].count, list(read[2].hosts)) == (2, ["web-1", "web-2"])


def test_no_waves_are_left_to_the_server() -> None:
    """An empty option means the server's default."""
    assert waves("") == []


@pytest.mark.parametrize("text", [",", "1,,2", "10%%", "+", "1.5", "50 %"])
def test_a_wave_that_is_none_is_refused(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(RequestError, match="waves"):
        waves(text)


def test_limits_that_are_not_given_stay_unset() -> None:
    """So that the server's defaults hold, and are shown."""
    assert limits_of({"max_failed": None}, {"soak": ""}, "") == rollouts_pb2.RolloutLimits()


def test_limits_that_are_given_are_sent_also_when_they_are_zero() -> None:
    """A zero is the server's to refuse, not ours to hide."""
    limits = limits_of({"max_failed": 0}, {"soak": "3s"}, "skip")
    assert limits.HasField("max_failed")
    assert limits.soak.ToTimedelta() == timedelta(seconds=3)
    assert limits.offline_policy == rollouts_pb2.OFFLINE_POLICY_SKIP


def test_an_unknown_offline_policy_is_refused() -> None:
    """By name."""
    with pytest.raises(RequestError, match="offline"):
        limits_of({}, {}, "retry")
