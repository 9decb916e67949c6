"""A host that enrols after a halt begins with what its fleet completed, however many newer releases are listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import rollouts_pb2
from tests.e2e.fleet.fleet import CALL_SECONDS
from tests.e2e.fleet.processes import AGENT, run
from tests.e2e.fleet.releases import DIES_AT_START, GOOD, UNHEALTHY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.fleet.fleet import Fleet
    from tests.e2e.fleet.host import Host
    from tests.e2e.fleet.processes import Done
    from tests.e2e.fleet.template import Template

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

REFUSED = 21


@pytest.fixture(scope="module")
def fleet(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A fleet that completed 1.1.0, halted and cancelled 1.2.0, and has tried nothing of what is listed above them."""
    fleet = template.copy(tmp_path_factory.mktemp("first-version"), "h1", "h2")
    try:
        fleet.start_server()
        for name in ("h1", "h2"):
            fleet.hosts[name].start()
        fleet.wait_online()
        good, bad = fleet.rollout(GOOD, "h1"), fleet.rollout(DIES_AT_START, "h2")
        assert (fleet.outcome(good, 120), fleet.outcome(bad, 120)) == ("COMPLETED", "HALTED")
        fleet.cancel(bad)
        yield fleet
    finally:
        fleet.end()


def enroll(host: Host, join: str) -> Done:
    return run(*AGENT, "enroll", join, "--state", str(host.state), "--name", host.name)


def test_a_host_that_enrols_after_a_halt_comes_up_on_the_completed_release(fleet: Fleet) -> None:
    host = fleet.add_host("new")
    done = enroll(host, fleet.join_string())
    assert (done.code, f"agent {GOOD} is installed" in done.said) == (0, True), done.said
    assert [slot.split("-")[0] for slot in host.slots()] == [GOOD], "nothing else was fetched"
    assert (UNHEALTHY, 1) in fleet.records.rows("SELECT version, listed FROM release"), "newer ones are listed"
    host.start()
    fleet.wait_online("new")
    (product,) = fleet.agents()["new"].products
    assert (product.current_version, host.boot()["current"]["version"], host.boot()["trial"]) == (GOOD, GOOD, None)
    print(f"first version: {GOOD} after a halt of {DIES_AT_START}, with releases up to {UNHEALTHY} listed")


def test_under_the_kill_switch_a_host_gets_its_identity_and_its_first_version_after_the_lift(fleet: Fleet) -> None:
    host, join = fleet.add_host("later"), fleet.join_string()
    press = rollouts_pb2.PressKillSwitchRequest(fleet_id="default", reason="something is wrong")
    fleet.client.rollouts.PressKillSwitch(press, timeout=CALL_SECONDS)
    refused = enroll(host, join)
    assert (refused.code, "(SUSPENDED)" in refused.err, "keeps its identity" in refused.err) == (REFUSED, True, True)
    identity = host.agent_id
    assert not (host.state / "slots").exists()
    lift = rollouts_pb2.LiftKillSwitchRequest(fleet_id="default", reason="it is mended")
    fleet.client.rollouts.LiftKillSwitch(lift, timeout=CALL_SECONDS)
    done = enroll(host, join)
    assert (done.code, f"agent {GOOD} is installed" in done.said) == (0, True), done.said
    assert host.agent_id == identity
