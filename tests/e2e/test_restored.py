"""A server that is lost and restored, with the real programs: its hosts go on, and every word of theirs comes back."""

from __future__ import annotations

import json
import re
import shutil
from functools import partial
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.jobs.values import Said
from tests.e2e.fleet.host import wait
from tests.e2e.fleet.processes import SERVER, run
from tests.e2e.fleet.releases import GOOD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.fleet.fleet import Fleet
    from tests.e2e.fleet.host import Host
    from tests.e2e.fleet.template import Template

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SOAK_SECONDS = 12.0


@pytest.fixture
def fleet(template: Template, tmp_path: Path) -> Iterator[Fleet]:
    """Run a server and three hosts."""
    fleet = template.copy(tmp_path, "h1", "h2", "h3")
    try:
        fleet.start_server()
        for host in fleet.hosts.values():
            host.start()
        fleet.wait_online()
        yield fleet
    finally:
        fleet.end()


def lost_time(fleet: Fleet) -> str:
    """Update one host, and have another on trial; return the rollout that goes on."""
    done = fleet.rollout(GOOD, "h1")
    wait("h1 is updated", lambda: fleet.is_completed(done), 90.0, fleet.server.said)
    trying = fleet.rollout(GOOD, "h2", soak=SOAK_SECONDS, lease=200.0)
    h2 = fleet.hosts["h2"]
    h2.wait("is on trial", lambda: any(report.said is Said.TRIAL for report in h2.journal()), 60.0)
    return trying


def settled(fleet: Fleet) -> None:
    """Wait until every host is back, kept its version, and the server holds its whole journal."""
    fleet.wait_online()
    h2 = fleet.hosts["h2"]
    h2.wait("kept its version", lambda: any(report.said is Said.SUCCEEDED for report in h2.journal()), 90.0)
    for host in fleet.hosts.values():
        host.wait("is held by the server", partial(is_held, fleet, host), 30.0)
        told = [report.said for report in host.journal()]
        assert told.count(Said.SUCCEEDED) == (host.name in {"h1", "h2"}), "nothing is applied twice"
    versions = {name: host.boot()["current"]["version"] for name, host in fleet.hosts.items()}
    assert versions == {"h1": GOOD, "h2": GOOD, "h3": "1.0.0"}
    assert fleet.records.rows("SELECT 1 FROM event WHERE kind = 'alert.identity_cloned'") == []
    assert fleet.records.rows("SELECT 1 FROM agent WHERE quarantined") == []


def is_held(fleet: Fleet, host: Host) -> bool:
    """Tell whether the server holds every report of the host's journal."""
    return len(fleet.records.reports(host.agent_id)) >= len(host.journal())


def ended(fleet: Fleet) -> None:
    """End the recovery by the command line; then the last host is updated."""
    shown = fleet.cli("recovery", "show", "--json")
    assert shown.code == 0, shown.said
    recovery = json.loads(shown.out)["recovery"]
    assert recovery["active"] is True
    assert "nothing is offered" in fleet.cli("recovery", "show").out
    missing = int(recovery.get("hosts_not_seen", recovery.get("hostsNotSeen", 0)))
    refused = fleet.cli("recovery", "end", "--not-seen", str(missing + 1), "--reason", "all are back")
    assert refused.code != 0
    assert "STALE_DECISION" in refused.err
    done = fleet.cli("recovery", "end", "--not-seen", str(missing), "--reason", "all are back")
    assert done.code == 0, done.said
    last = fleet.rollout(GOOD, "h3")
    wait("h3 is updated", lambda: fleet.is_completed(last), 90.0, fleet.server.said)


def test_a_restored_server_takes_its_fleet_back(fleet: Fleet, tmp_path: Path) -> None:
    backup, secret = tmp_path / "backup", tmp_path / "secret"
    secret.write_text("only for this test\n")
    words = ("--data", str(fleet.data.path), "--out", str(backup), "--passphrase-file", str(secret))
    made = run(*SERVER, "backup", *words)
    assert made.code == 0, made.said
    assert re.search(r"\d+ rows, \d+ files", made.out)
    lost_time(fleet)
    fleet.stop_server()
    lost = fleet.data.path.rename(tmp_path / "lost")
    words = ("--data", str(fleet.data.path), "--from", str(backup), "--passphrase-file", str(secret))
    back = run(*SERVER, "restore", *words, "--stops", str(lost / "stops.log"))
    assert back.code == 0, back.said
    assert "recovery" in back.out
    fleet.start_server()
    settled(fleet)
    ended(fleet)


def test_a_folder_that_was_copied_back_is_noticed_by_the_first_host(fleet: Fleet, tmp_path: Path) -> None:
    fleet.stop_server()
    shutil.copytree(fleet.data.path, tmp_path / "copy")
    fleet.start_server()
    fleet.wait_online()
    lost_time(fleet)
    fleet.stop_server()
    shutil.rmtree(fleet.data.path)
    (tmp_path / "copy").rename(fleet.data.path)
    fleet.start_server()
    settled(fleet)
    ended(fleet)
