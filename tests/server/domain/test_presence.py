"""How long a host without a session counts as online."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fleetroll_server.domain.presence import checks_in_seconds, online_until
from fleetroll_server.gateway.gateway import SILENCE_SECONDS

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(("interval", "seconds"), [(0, 60), (60, 120), (3600, 7200), (10, 60)])
def test_it_is_three_heartbeats_or_two_intervals_and_never_less_than_the_heartbeats(
    interval: float, seconds: float
) -> None:
    assert online_until(NOW, interval) - NOW == timedelta(seconds=seconds)


def test_a_session_that_ends_for_silence_leaves_an_offline_host() -> None:
    assert online_until(NOW) <= NOW + timedelta(seconds=SILENCE_SECONDS)


@pytest.mark.parametrize(("own", "named", "expected"), [(None, 3600, 0), (60, 3600, 3600), (7200, 3600, 7200)])
def test_a_host_may_go_by_the_longer_of_its_own_interval_and_the_servers(
    own: float | None, named: float, expected: float
) -> None:
    assert checks_in_seconds(own, named) == expected
