"""The drill of a stolen server whose backup is older than exchanges of keys and a publish, with the page's commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_common.durable import load_record
from fleetroll_publishing.demands import ONLINE_ROLES
from fleetroll_publishing.roles import file_name, read_newest_root, standings
from fleetroll_publishing.sealing import is_signed
from fleetroll_server.datafolder import DataFolder
from tests.e2e.fleet.fleet import free_port
from tests.e2e.fleet.host import wait
from tests.e2e.thieves import Thief, online_keys

if TYPE_CHECKING:
    from tests.e2e.fleet.fleet import Fleet
    from tests.e2e.fleet.host import Host
    from tests.e2e.owners import Story

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_a_server_stolen_after_exchanges_and_a_publish_that_its_backup_does_not_have(story: Story) -> None:
    """One host has seen all that came after the backup, another one nothing of it; the thief has the server of then."""
    operator, fleet, host = story.operator, story.fleet, story.host
    operator.run("ceremony")
    operator.run("server")
    fleet.start_server()
    story.join()
    slept = story.another("h2")
    story.sells()
    slept.stop()
    (story.folder / "words").write_text("the passphrase of backups\n")
    words = {"BACKUP": str(story.carry / "server.backup"), "BACKUP_WORDS": str(story.folder / "words")}
    operator.run("stolen-server-backup", **words)
    thieves = thieves_of(fleet)
    exchanges_and_a_publish(story, slept)
    newest = current(fleet)
    thieves += thieves_of(fleet)
    fleet.stop_server()

    fleet.data = DataFolder(story.folder / "restored")
    operator.run("stolen-server-restore", NEW_DATA=str(fleet.data.path), **words)
    fleet.move(f"127.0.0.1:{free_port()}")
    operator.environment.update(fleet.environment)
    fleet.start_server()
    brings_and_exchanges(story)
    after = fleet.records.metadata()
    assert {name: after.get(name) for name in newest} == newest, "all that people had signed is there again"
    operator.run("stolen-server-anchors", NEW_ADDRESS=fleet.address)
    operator.run("stolen-server-carry", VERSION="1.1.0")
    for each in (host, slept):
        operator.run("stolen-server-host", STATE=str(each.state))
        each.start()
    fleet.wait_online("h1", "h2")
    operator.run("stolen-server-end", NOT_SEEN="0")
    story.publishes(again=True)
    story.sells()
    assert slept.shop.read_text() == host.shop.read_text()
    for thief in thieves:
        thief.is_refused(host)
        thief.is_refused(slept)


ROOT_KEYS = '--key "$KEYS/root-1.key" --key "$KEYS/root-2.key"'


def exchanges_and_a_publish(story: Story, slept: Host) -> None:
    """What the backup does not have; the owner's host sees all of it, and is off then."""
    story.operator.shell(f"fleetroll keys rotate timestamp {ROOT_KEYS}")
    story.sells(hosts="--host h1")
    story.operator.shell(f"fleetroll keys rotate root {ROOT_KEYS}")
    for old, new in {"root-4": "root-1", "root-5": "root-2", "root-6": "root-3"}.items():
        (story.keys / f"{old}.key").replace(story.keys / f"{new}.key")
    story.publishes()
    story.host.stop()
    story.host.start()
    story.fleet.wait_online("h1")
    version = read_newest_root(story.fleet.records.metadata()).version
    wait("h1 has seen the newest root", lambda: trusted_root(story.host) == version, 60.0)
    assert trusted_root(slept) == 1
    story.host.stop()


def brings_and_exchanges(story: Story) -> None:
    """The first steps of the drill, and what stands in between."""
    operator, remedy = story.operator, "exchange them: fleetroll keys rotate snapshot timestamp"
    refused = operator.refused(f"fleetroll keys rotate snapshot timestamp {ROOT_KEYS}")
    assert "recovery bring" in refused, "nobody signs on less than was seen"
    said = operator.run("stolen-server-bring")
    assert "taken  3.root.json" in said
    assert remedy in said
    assert remedy in operator.shell("fleetroll recovery show")
    assert "until they are exchanged" in operator.shell("fleetroll keys status")
    assert "exchange them first" in operator.refused("fleetroll recovery end --not-seen 2 --reason early")
    timestamp = story.fleet.records.metadata()["timestamp.json"]
    assert not is_signed(timestamp), "nothing is shown that keys of the thief's server have signed"
    operator.run("stolen-server-root")
    assert "0 of " in operator.run("stolen-server-bring")


def current(fleet: Fleet) -> dict[str, bytes]:
    """Return every root, and of targets and products what the server lists."""
    files = fleet.records.metadata()
    newest = [file_name(one.role, one.version) for one in standings(files) if one.role not in ONLINE_ROLES]
    return {name: data for name, data in files.items() if name.endswith(".root.json") or name in newest}


def thieves_of(fleet: Fleet) -> list[Thief]:
    """Return whoever has read this server now."""
    read = online_keys(fleet)
    return [Thief(fleet, role, [read[role]]) for role in ONLINE_ROLES]


def trusted_root(host: Host) -> int:
    """Return the version of the newest root that a host has seen."""
    record = load_record((host.state / "trust" / "floor.json").read_bytes())
    return int(record["root"])
