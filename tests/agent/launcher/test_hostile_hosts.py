"""Real launchers on hosts that refuse what they need: a disk, a log, a readable slot."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.launcher_host import Host


def test_a_host_that_takes_no_record_runs_its_version_and_shows_it_the_record(host: Host) -> None:
    host.enrol(host.slot("1.0.0", "hears"))
    (host.state / "boot.json.new").mkdir()
    host.launch()
    host.until(lambda: "heard 1.0.0" in host.journal())
    assert not host.record().crashes


def test_an_agent_that_says_that_its_host_refuses_is_a_stated_state_and_costs_its_version_nothing(host: Host) -> None:
    host.enrol(host.slot("1.0.0", "exits", code=78))
    host.launch()
    host.until(lambda: host.status() == "host_refuses" and host.starts("1.0.0") > 6)
    assert host.record().crashes == ()
