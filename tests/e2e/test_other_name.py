"""A release that is signed as one version and says that it is another: nobody keeps it, and people hear why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll.v1 import reasons_pb2, types_pb2
from tests.e2e.fleet.releases import CALLED, OTHER_NAME
from tests.e2e.fleet.template import FIRST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.fleet.fleet import Fleet
    from tests.e2e.fleet.template import Template

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LEASE_SECONDS = 12.0
"""Longer than a trial takes to find its server on a machine that others use."""
SECONDS = 60.0


@pytest.fixture
def fleet(template: Template, tmp_path: Path) -> Iterator[Fleet]:
    """A fleet of one host."""
    fleet = template.copy(tmp_path / "fleet", "h1")
    try:
        fleet.start_server()
        yield fleet
    finally:
        fleet.end()


def alarms(fleet: Fleet, rollout: str) -> list[dict[str, Any]]:
    """Return what ``fleetroll events`` shows of it."""
    shown = json.loads(fleet.cli("events", "--rollout", rollout, "--json").out)
    return [event for event in shown["events"] if event["kind"] == "alert.came_back_other"]


def test_a_release_that_calls_itself_another_version_is_an_alarm_and_goes_back(fleet: Fleet) -> None:
    host = fleet.hosts["h1"]
    host.start()
    fleet.wait_online("h1")
    rollout = fleet.rollout(OTHER_NAME, "h1", lease=LEASE_SECONDS)
    host.wait("people are told", lambda: bool(alarms(fleet, rollout)), SECONDS)
    (alarm,) = alarms(fleet, rollout)
    assert alarm["code"] == "REASON_CODE_CAME_BACK_OTHER"
    assert f"calls itself {CALLED}, the release is {OTHER_NAME}" in alarm["message"]
    assert host.boot()["trial"] is not None, "it was told while it was on trial"
    assert fleet.place(rollout, "h1").attempt.code == reasons_pb2.REASON_CODE_CAME_BACK_OTHER

    assert fleet.outcome(rollout, SECONDS) == "HALTED"
    attempt = fleet.place(rollout, "h1").attempt
    assert (attempt.state, attempt.unproven) == (types_pb2.ATTEMPT_STATE_ROLLED_BACK, True)
    assert attempt.code == reasons_pb2.REASON_CODE_CAME_BACK_OTHER, "all that its host can say is that no Promote came"
    assert f"calls itself {CALLED}, the release is {OTHER_NAME}" in attempt.message
    assert "SUCCEEDED" not in host.told(1)
    fleet.wait_online("h1")
    (product,) = fleet.agents()["h1"].products
    assert (product.current_version, host.boot()["current"]["version"], host.boot()["trial"]) == (FIRST, FIRST, None)
    assert len(alarms(fleet, rollout)) == 1
