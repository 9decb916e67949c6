"""The measure of the console still measures: both are alive, and take changes and keys."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest
from bench import feed

from fleetroll_tui.model.updates import Changed, Page

if TYPE_CHECKING:
    from fleetroll_tui.model.updates import Update


@pytest.mark.parametrize("which", ["console", "datatable"])
def test_a_short_run_takes_changes_and_answers_keys(which: str) -> None:
    options = ("--only", which, "--hosts", "200", "--rate", "200", "--seconds", "2")
    done = subprocess.run(
        [sys.executable, "-m", "bench.console", *options], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["changes_per_second"] > 0
    assert found["keys"] > found["lost"] == 0


async def test_what_is_told_again_is_other_events_of_other_instants_of_rollouts_that_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed, "CYCLE_SECONDS", 2 * feed.EVERY_SECONDS)
    told: list[Update] = []
    async with aclosing(feed.Feed(20, 60).watch()) as updates:  # type: ignore[type-var]  # it is a generator
        while len(told) < 6:
            told.append(await anext(updates))
    stands, changes = told[0], [each for each in told if isinstance(each, Changed)]
    events = [event for each in changes for event in each.happenings]
    assert isinstance(stands, Page)
    assert len(events) == len({event.id for event in events}) == 3 * len(changes) == 15
    times = [each.happenings[0].at for each in changes]
    assert times == sorted(set(times))
    assert {event.rollout_id for event in events} <= {rollout.id for rollout in stands.stand.rollouts}
