"""How long a host waits before its next stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_agent.session.facts import End, Ended
from fleetroll_agent.session.waits import MAX_AT_ONCE, MAX_NAMED_SECONDS, named_wait_seconds, next_wait_seconds
from fleetroll_agent.settings import Settings
from fleetroll_common.values.codes import Code

SETTINGS = Settings(reconnect_base_seconds=1.0, reconnect_cap_seconds=60.0)
chance = st.floats(0, 1, exclude_max=True)


def wait(ended: Ended, failures: int, random01: float, *, on_trial: bool = False) -> float:
    return next_wait_seconds(ended, failures, SETTINGS, random01, on_trial=on_trial)


@given(st.integers(0, 1000), chance)
def test_the_jitter_comes_after_the_cap(failures: int, random01: float) -> None:
    assert wait(Ended(End.UNREACHABLE), failures, random01) <= 60 * random01


def test_at_the_cap_waits_still_spread_over_the_whole_interval() -> None:
    assert wait(Ended(End.UNREACHABLE), 50, 0.01) < 1
    assert wait(Ended(End.UNREACHABLE), 50, 0.99) > 59


@given(st.integers(1, 1000), chance)
def test_a_trial_does_not_back_off(failures: int, random01: float) -> None:
    assert wait(Ended(End.UNREACHABLE), failures, random01, on_trial=True) <= 1


@given(st.integers(1, 50), chance)
def test_the_time_that_a_server_asks_for_is_kept(failures: int, random01: float) -> None:
    busy = Ended(End.REFUSED, Code.TOO_MANY_HANDSHAKES, retry_after_seconds=17)
    assert wait(busy, failures, random01) >= 17


@pytest.mark.parametrize("kind", [End.REFUSED, End.DRAINED])
@pytest.mark.parametrize("on_trial", [True, False])
@given(st.floats(), st.integers(1, 50), chance)
def test_no_wait_that_a_server_names_silences_a_host(
    kind: End, on_trial: bool, named: float, failures: int, random01: float
) -> None:
    ended = Ended(kind, Code.UNAVAILABLE, retry_after_seconds=named)
    longest = 60 if on_trial else MAX_NAMED_SECONDS
    assert 0 <= wait(ended, failures, random01, on_trial=on_trial) <= longest + 60


@pytest.mark.parametrize(
    ("named", "kept"),
    [(17.5, 17.5), (0, 0), (-1e12, 0), (float("nan"), 0), (float("inf"), 3600), (1e300, 3600), (3600, 3600)],
)
def test_a_named_wait_is_kept_within_its_bounds(named: float, kept: float) -> None:
    assert named_wait_seconds(named) == kept


@given(chance)
def test_hosts_that_were_told_the_same_time_spread_behind_it(random01: float) -> None:
    busy = Ended(End.REFUSED, Code.TOO_MANY_HANDSHAKES, retry_after_seconds=1e9)
    assert wait(busy, 7, random01) == pytest.approx(MAX_NAMED_SECONDS + 60 * random01)


def test_a_drained_host_comes_back_in_its_slot() -> None:
    assert wait(Ended(End.DRAINED, retry_after_seconds=10, opened=True), 0, 0.5) == pytest.approx(10.5)


def test_a_late_hello_is_said_again_at_once_but_not_for_ever() -> None:
    stale = Ended(End.REFUSED, Code.STALE_HELLO)
    assert all(wait(stale, failures, 0.9) == 0 for failures in range(1, MAX_AT_ONCE + 1))
    assert wait(stale, MAX_AT_ONCE + 1, 0.9) > 0


@pytest.mark.parametrize("code", [Code.IDENTITY_REVOKED, Code.IDENTITY_FORKED, Code.PROTOCOL_UNSUPPORTED])
@pytest.mark.parametrize("on_trial", [True, False])
def test_a_host_that_a_person_has_to_let_in_asks_once_an_hour(code: Code, on_trial: bool) -> None:
    assert 1800 <= wait(Ended(End.REFUSED, code), 1, 0.0, on_trial=on_trial) <= 5400
    assert 1800 <= wait(Ended(End.REFUSED, code), 1, 0.999, on_trial=on_trial) <= 5400
