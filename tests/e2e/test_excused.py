"""A server that is killed while a host is on trial: the way back counts against nobody, and the host updates after."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.fleet.mortal import KILLED, PROGRAM
from tests.e2e.fleet.releases import GOOD
from tests.e2e.fleet.template import FIRST
from tests.faults.plans import Act, Plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.fleet.fleet import Fleet
    from tests.e2e.fleet.host import Host
    from tests.e2e.fleet.template import Template

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LEASE_SECONDS = 8.0
"""Longer than a trial takes to find its server on a machine that others use: the second one has to."""
SECONDS = 60.0


@pytest.fixture
def fleet(template: Template, tmp_path: Path) -> Iterator[Fleet]:
    """A fleet whose server dies as soon as it has written that its one host applies."""
    fleet = template.copy(tmp_path / "fleet", "h1")
    plan = Plan(
        tmp_path / "plan",
        roots=(),
        roles=(("run", "server"),),
        act=Act("server", 1, "commit:host applying", 1, "kill-after"),
    )
    plan.write()
    try:
        fleet.start_server(sys.executable, str(PROGRAM), str(tmp_path / "plan" / "plan.json"))
        yield fleet
    finally:
        fleet.end()


def unproven(host: Host) -> dict[str, int]:
    """Return what the launcher counts against digests."""
    return dict(host.boot()["unproven"])


def test_a_trial_without_a_server_is_excused_and_the_host_ends_up_on_the_new_version(fleet: Fleet) -> None:
    begin, host = time.monotonic(), fleet.hosts["h1"]
    host.start()
    fleet.wait_online("h1")
    rollout = fleet.rollout(GOOD, "h1", lease=LEASE_SECONDS)
    host.wait("it is on trial", lambda: host.boot()["trial"] is not None, SECONDS)
    assert fleet.server.ended == KILLED, "nobody could promote it"
    host.wait("it went back", lambda: host.boot()["trial"] is None, SECONDS)
    boot = host.boot()
    assert (boot["current"]["version"], boot["last"]["reason"]) == (FIRST, "unproven")
    assert list(unproven(host).values()) == [1]

    fleet.launch_server()
    fleet.adopt_server(fleet.server)
    fleet.wait_ready()
    assert fleet.outcome(rollout, SECONDS) == "COMPLETED"
    assert host.boot()["current"]["version"] == GOOD
    assert unproven(host) == {}, "the launcher took it back from its count"
    assert "ROLLED_BACK" in host.told(1)
    assert host.told(2)[-1] == "SUCCEEDED"
    query = "SELECT message FROM event WHERE kind = 'attempt.state' AND message LIKE 'not counted%'"
    assert len(fleet.records.rows(query)) == 1
    assert fleet.records.rows("SELECT tries, attempted FROM rollout_host") == [(1, 1)]
    assert {row for row in fleet.records.rows("SELECT in_use, broken FROM budget")} == {(0, 0)}  # noqa: C416
    print(f"excused: 1 way back for want of a server taken back, then kept ({time.monotonic() - begin:.0f} s)")
