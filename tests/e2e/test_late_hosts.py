"""Hosts that are off while a rollout completes get the release when they come; a bad one stops it for the others."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import reasons_pb2, types_pb2
from tests.e2e.fleet.host import wait
from tests.e2e.fleet.releases import DIES_ON_SOME, GOOD, NO_FROBNICATOR
from tests.e2e.fleet.template import FIRST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.fleet.fleet import Fleet
    from tests.e2e.fleet.template import Template

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

HOSTS = ("h1", "h2", "h3")
SECONDS = 60.0


@pytest.fixture
def fleet(template: Template, tmp_path: Path) -> Iterator[Fleet]:
    """A fleet whose server runs, and of whose hosts only the first one does."""
    fleet = template.copy(tmp_path / "fleet", *HOSTS)
    try:
        fleet.start_server()
        fleet.hosts["h1"].start()
        fleet.wait_online("h1")
        yield fleet
    finally:
        fleet.end()


def state(fleet: Fleet, rollout: str, name: str) -> str:
    """Return where a host stands in its rollout."""
    number = fleet.place(rollout, name).attempt.state
    return types_pb2.AttemptState.Name(number).removeprefix("ATTEMPT_STATE_")


def stands(fleet: Fleet, rollout: str, name: str, wanted: str) -> None:
    """Wait until the host stands there."""
    wait(
        f"{name} is {wanted}",
        lambda: state(fleet, rollout, name) == wanted,
        SECONDS,
        lambda: f"{fleet.place(rollout, name)}\n{fleet.rollout_of(rollout)}",
    )


def completed(fleet: Fleet, version: str) -> str:
    """Roll a release out on the host that is there while the others are off; return the rollout."""
    rollout = fleet.rollout(version, *HOSTS)
    assert fleet.outcome(rollout) == "COMPLETED"
    late = fleet.rollout_of(rollout).late
    assert (late.left, late.waiting) == (2, 2)
    return rollout


def test_a_host_that_was_off_comes_back_after_the_completion_and_updates(fleet: Fleet) -> None:
    begin = time.monotonic()
    rollout, host = completed(fleet, GOOD), fleet.hosts["h2"]
    host.start()
    stands(fleet, rollout, "h2", "SUCCEEDED")
    boot = host.boot()
    assert (boot["current"]["version"], boot["previous"]["version"], boot["trial"]) == (GOOD, FIRST, None)
    assert state(fleet, rollout, "h3") == "PENDING"
    shown = fleet.rollout_of(rollout).late
    assert (shown.left, shown.waiting, shown.HasField("stopped")) == (1, 1, False)
    assert fleet.is_completed(rollout)
    print(f"late host: updated behind a completed rollout ({time.monotonic() - begin:.0f} s)")


def test_a_late_host_that_goes_bad_stops_the_release_for_the_next_one(fleet: Fleet) -> None:
    begin = time.monotonic()
    rollout, bad, next_one = completed(fleet, DIES_ON_SOME), fleet.hosts["h2"], fleet.hosts["h3"]
    (bad.state / NO_FROBNICATOR).touch()
    bad.start()
    wait("h2 has its offer", lambda: state(fleet, rollout, "h2") != "PENDING", SECONDS, bad.launcher.said)
    next_one.start()
    next_one.wait("it runs", (next_one.state / "launcher.status").exists)
    fleet.wait_online("h3")
    before = next_one.untouched()
    stands(fleet, rollout, "h2", "ROLLED_BACK")
    stands(fleet, rollout, "h3", "CANCELLED")
    shown = fleet.rollout_of(rollout).late
    assert shown.stopped.code == reasons_pb2.REASON_CODE_WAVE_NOT_PASSED
    assert (shown.left, shown.bad) == (0, 1)
    assert fleet.is_completed(rollout), "what was kept is kept, and the rollout stays completed"
    assert next_one.untouched() == before
    assert next_one.journal() == [], "it was offered nothing"
    assert fleet.hosts["h1"].boot()["current"]["version"] == DIES_ON_SOME
    assert (bad.boot()["current"]["version"], bad.boot()["trial"]) == (FIRST, None)
    fleet.wait_online("h2")
    print(f"late host: a bad one stopped the release for the next one ({time.monotonic() - begin:.0f} s)")
