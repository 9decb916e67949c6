"""How long each state of an attempt lasted: only where the log has all of it."""

from __future__ import annotations

import pytest

from fleetroll_tui.model.events import Ring
from fleetroll_tui.model.stays import Stay, stays
from fleetroll_tui.model.values import Attempt, Happening
from fleetroll_tui.paint import Paint
from fleetroll_tui.screens.member import attempt_lines
from fleetroll_tui.theme import PALETTES

NOW = 10_000.0


def log(*steps: tuple[str, float], rollout_id: str = "ro-1") -> Ring:
    ring = Ring()
    for state, at in steps:
        ring.add(Happening(f"{rollout_id} {state} {at}", at, "attempt.state", rollout_id=rollout_id, state=state))
    return ring


def attempt(offered: float = 100.0, ended: float = 0.0, granted: float = 0.0) -> Attempt:
    return Attempt("at-1", "ro-1", state="x", offered_at=offered, granted_at=granted, ended_at=ended)


def test_each_state_lasts_until_the_next_and_the_last_goes_on() -> None:
    seen = log(("offered", 100.0), ("downloading", 103.0), ("staged", 110.0))
    assert stays(attempt(), seen, 150.0) == [
        Stay("offered", 3.0),
        Stay("downloading", 7.0),
        Stay("staged", 40.0, over=False),
    ]


def test_an_end_lasts_no_time_and_other_attempts_are_left_out() -> None:
    before, after = (("offered", 50.0), ("failed", 99.5)), (("offered", 190.5), ("downloading", 190.9))
    seen = log(*before, ("offered", 100.0), ("applying", 130.0), ("succeeded", 190.0), *after)
    assert stays(attempt(ended=190.0), seen, NOW) == [Stay("offered", 30.0), Stay("applying", 60.0)]
    assert stays(attempt(ended=190.0), log(("offered", 100.0), ("failed", 110.0), rollout_id="ro-2"), NOW) == []


@pytest.mark.parametrize("offered", [0.0, 90.0])
def test_a_log_that_does_not_reach_back_tells_nothing(offered: float) -> None:
    assert stays(attempt(offered), log(("offered", 100.0), ("applying", 110.0)), NOW) == []


def test_a_log_with_a_gap_in_it_tells_nothing() -> None:
    seen = log(("offered", 100.0), ("downloading", 110.0))
    seen.mark_gap("too slow")
    seen.add(Happening("later", 150.0, "attempt.state", rollout_id="ro-1", state="failed"))
    assert stays(attempt(ended=150.0), seen, NOW) == []


def test_without_a_log_the_attempt_itself_tells_how_long_it_waited_and_ran() -> None:
    paint = Paint(PALETTES["dark"])
    words = [
        "".join(word for word, _ in line)
        for told in (attempt(granted=112.0, ended=195.0), attempt(granted=112.0))
        for line in attempt_lines(told, paint, 200.0, Ring())
    ]
    lasted = [" ".join(line.split()) for line in words if line.startswith("Lasted")]
    assert lasted == ["Lasted 12 s until go 1 min 23 s after it", "Lasted 12 s until go 1 min 28 s after it so far"]
