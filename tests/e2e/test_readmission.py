"""Readmission with the real programs: on the wrong host, on the right one, and on a machine that takes its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.fleet.processes import AGENT, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.fleet.fleet import Fleet
    from tests.e2e.fleet.host import Host
    from tests.e2e.fleet.processes import Done
    from tests.e2e.fleet.template import Template

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

REFUSED = 21
KEYS = "SELECT id, public_key, next_key, acked, epoch, quarantined FROM agent ORDER BY id"


@pytest.fixture
def fleet(template: Template, tmp_path: Path) -> Iterator[Fleet]:
    """Run a server and two hosts."""
    fleet = template.copy(tmp_path, "h1", "h2")
    try:
        fleet.start_server()
        for host in fleet.hosts.values():
            host.start()
        fleet.wait_online()
        yield fleet
    finally:
        fleet.end()


def string_for(fleet: Fleet, name: str) -> str:
    """Return the readmission string that an admin is given for a host."""
    done = fleet.cli("agents", "readmit", name, "--reason", "the right host")
    assert done.code == 0, done.said
    return done.out.strip()


def at(host: Host, command: str, join: str, *more: str) -> Done:
    """Run ``fleetroll-agent readmit`` or ``enroll`` at a host."""
    return run(*AGENT, command, join, "--state", str(host.state), *more)


def identity(host: Host) -> dict[str, bytes]:
    """Return every file of a host's identity."""
    return {path.name: path.read_bytes() for path in (host.state / "identity").iterdir()}


def known(fleet: Fleet) -> list[Any]:
    """Return what the server holds of keys, enrolments, and uses of tokens."""
    queries = (KEYS, "SELECT * FROM enrolment", "SELECT * FROM retired_key", "SELECT id, uses FROM join_token")
    return [sorted(map(repr, fleet.records.rows(query))) for query in queries]


def is_refused(done: Done, *says: str) -> None:
    """See that the command said in one line what is wrong."""
    assert (done.code, done.out, "Traceback" in done.err) == (REFUSED, "", False), done.said
    (line,) = [line for line in done.err.splitlines() if line.startswith("fleetroll-agent: ")]
    assert all(part in line for part in ("(INVALID_ARGUMENT)", "agent_id", *says)), line


def test_a_string_typed_on_the_wrong_host_changes_nothing_and_still_readmits_the_right_one(fleet: Fleet) -> None:
    right, wrong = fleet.hosts["h1"], fleet.hosts["h2"]
    join = string_for(fleet, "h1")
    wrong.stop()
    running, here, there = right.untouched(), identity(wrong), known(fleet)
    is_refused(at(wrong, "readmit", join), right.agent_id, wrong.agent_id, "nothing was changed")
    assert (identity(wrong), known(fleet)) == (here, there)
    assert fleet.agents()["h1"].online, "the healthy host was not cut off"
    wrong.start()
    fleet.wait_online()
    assert right.untouched() == running
    right.stop()
    key = identity(right)["key"]
    done = at(right, "readmit", join)
    assert (done.code, f"readmitted as {right.agent_id}" in done.out) == (0, True), done.said
    assert identity(right)["key"] != key
    right.start()
    fleet.wait_online()
    assert not any(agent.quarantined for agent in fleet.agents().values())


def test_a_fresh_machine_takes_an_agents_place_only_when_it_is_told_to(fleet: Fleet) -> None:
    lost, fresh = fleet.hosts.pop("h2"), fleet.add_host("fresh")
    join = string_for(fleet, "h2")
    there = known(fleet)
    is_refused(at(fresh, "enroll", join), lost.agent_id, "--agent-id", "nothing was changed")
    assert (identity(fresh), known(fleet)) == ({}, there)
    assert fleet.agents()["h2"].online
    lost.stop()
    done = at(fresh, "enroll", join, "--agent-id", lost.agent_id, "--name", "h2")
    assert (done.code, f"enrolled as {lost.agent_id}" in done.out) == (0, True), done.said
    assert fresh.agent_id == lost.agent_id
    fresh.start()
    fleet.wait_online("h1", "h2")
    assert len(fleet.agents()) == len(there[0]), "no agent was added"
