"""What every test of the console against real hosts stands on: a server, three hosts, and rollouts that end with it."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import rollouts_pb2
from tests.e2e.fleet.fleet import CALL_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.fleet.fleet import Fleet
    from tests.e2e.fleet.template import Template

CANARY, NEXT, OTHER = "h1", "h2", "h3"
CONSOLE = (sys.executable, "-m", "fleetroll_tui")
WAITS = 45.0
SOAKS = 120.0
"""Longer than a test: the rollout that is stopped by hand is under way all the time."""
started: list[str] = []
"""Rollouts of the test that runs."""


@pytest.fixture(scope="module")
def fleet(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Run a server and three hosts."""
    fleet = template.copy(tmp_path_factory.mktemp("console"), CANARY, NEXT, OTHER)
    try:
        fleet.start_server()
        for host in fleet.hosts.values():
            host.start()
        fleet.wait_online()
        yield fleet
    finally:
        fleet.end()


@pytest.fixture(autouse=True)
def nothing_goes_on(fleet: Fleet) -> Iterator[None]:
    """Leave no rollout behind, whatever fails: each test has the hosts to itself."""
    yield
    for rollout in started:
        if state(fleet, rollout) in {"RUNNING", "PAUSED", "HALTED"}:
            fleet.cancel(rollout)
    started.clear()


def where(fleet: Fleet) -> tuple[str, ...]:
    """The options that name the fleet's server."""
    ca, token = fleet.data.tls / "ca.pem", fleet.data.admin_token
    return ("--server", fleet.address, "--ca", str(ca), "--token-file", str(token))


def start(fleet: Fleet, version: str, *hosts: str, waves: tuple[int, ...] = (), soak: float = 1.0) -> str:
    """Start a rollout in waves of so many hosts, then the rest; return its id."""
    sizes = [rollouts_pb2.WaveSpec(count=count) for count in waves]
    request = rollouts_pb2.StartRolloutRequest(
        product="agent",
        version=version,
        selection=rollouts_pb2.Selection(hosts=hosts),
        waves=[*sizes, rollouts_pb2.WaveSpec(rest=True)] if sizes else [],
        limits=rollouts_pb2.RolloutLimits(max_failed=1, max_concurrent=1),
    )
    request.limits.soak.FromTimedelta(timedelta(seconds=soak))
    request.limits.lease.FromTimedelta(timedelta(seconds=soak * 2 + 60))
    started.append(str(fleet.client.rollouts.StartRollout(request, timeout=CALL_SECONDS).rollout.id))
    return started[-1]


def state(fleet: Fleet, rollout: str) -> str:
    """What the server says of a rollout."""
    return rollouts_pb2.RolloutState.Name(fleet.rollout_of(rollout).state).removeprefix("ROLLOUT_STATE_")
