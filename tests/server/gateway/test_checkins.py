"""When a host that polls comes again is named in its welcome."""

from __future__ import annotations

import pytest

from fleetroll_server.gateway.checkins import check_in_seconds


@pytest.mark.parametrize(
    ("wait", "chance", "seconds"),
    [(None, 0.5, 3600), (None, 0.0, 3240), (None, 1.0, 3960), (600, 0.5, 600), (5, 0.5, 60), (9000, 0.5, 3600)],
)
def test_the_interval_is_spread_and_what_can_go_on_sooner_is_waited_for(
    wait: float | None, chance: float, seconds: float
) -> None:
    assert check_in_seconds(3600, wait, chance) == pytest.approx(seconds)
