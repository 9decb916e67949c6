"""The key ceremony and every drill of docs/operating/keys.md, from empty folders: real server, command line, agent.

After each drill the thief's signatures are refused by host and server, and the owner's next release is installed.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import agents_pb2, server_info_pb2
from fleetroll_client import AdminClient, Endpoint, translate
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError
from fleetroll_server.datafolder import DataFolder
from tests.e2e.drills import drills
from tests.e2e.fleet.fleet import free_port
from tests.e2e.fleet.host import wait
from tests.e2e.fleet.processes import SERVER
from tests.e2e.fleet.releases import Workshop
from tests.e2e.owners import FIRST
from tests.e2e.thieves import Thief, online_keys

if TYPE_CHECKING:
    from tests.e2e.owners import Story

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_the_ceremony_and_every_drill_from_empty_folders(story: Story) -> None:
    operator, fleet, keys = story.operator, story.fleet, story.keys
    said = operator.run("ceremony")
    assert "root's SHA-256: " in said
    operator.run("server")
    assert not any(fleet.data.path.rglob("root*")), "no root key comes near the server"
    fleet.start_server()
    status = operator.run("keep")
    assert "offline: publishers hold" in status
    assert set(online_keys(fleet)) == {"snapshot", "timestamp"}
    operator.shell('mkdir "$CARRY/back" && tar -xf "$CARRY/keys.tar" -C "$CARRY/back"')
    for path in keys.glob("*.key"):
        assert (story.carry / "back" / path.name).read_bytes() == path.read_bytes()
    operator.shell('fleetroll keys status --files "$CARRY/back/metadata"')

    story.join()
    story.sells("publish")
    operator.run("add-product")

    thieves = [Thief(fleet, role, [online_keys(fleet)[role]]) for role in ("timestamp", "snapshot")]
    operator.run("stolen-online")
    story.after(*thieves)

    thief = story.steal("products/agent")
    operator.run("stolen-product")
    story.after(thief)

    thief = story.steal("targets")
    operator.run("stolen-targets")
    story.after(thief)

    thief = story.steal("root", "root-1")
    operator.run("stolen-root", STOLEN=story.key_id(thief))
    story.after(thief)
    assert (keys / "root-4.key").exists()

    thief = story.steal("root", "root-2")
    (keys / "root-2.key").unlink()
    operator.run("lost-root", LOST=story.key_id(thief))
    story.after(thief)

    # What is left of the old files is worth nothing, and the names that the page uses are theirs: keep them apart.
    renamed = {"root-3": "root-1", "root-4": "root-2", "targets-2": "targets", "products-agent-2": "products-agent"}
    for old, new in renamed.items():
        (keys / f"{old}.key").replace(keys / f"{new}.key")
    thief = story.steal("products/shop", "products-shop-1", "products-shop-2")
    operator.run("renew")
    story.after(thief)


def test_a_managed_server_that_was_read_and_the_way_to_offline(story: Story) -> None:
    """Root's keys are what a managed server never had: by them its owner gets everything back."""
    operator, fleet = story.operator, story.fleet
    operator.shell('fleetroll-server init --data "$DATA" --root-keys "$KEYS" --address "$ADDRESS"')
    fleet.start_server()
    assert "managed: the server holds" in operator.shell("fleetroll keys status")
    operator.shell("fleetroll release product add shop")
    artefact = Workshop(story.folder / "workshop").build(FIRST)
    operator.shell(f"fleetroll release publish {artefact}")
    story.begin()
    story.sells(options="")
    read = online_keys(fleet)
    operator.run("stolen-managed")
    for role in ("targets", "products/agent", "snapshot", "timestamp"):
        Thief(fleet, role, [read[role]]).is_refused(story.host)
    assert "managed: the server holds" in operator.shell("fleetroll keys status")
    story.sells(options="")
    read = online_keys(fleet)
    operator.run("to-offline")
    assert "offline: publishers hold" in operator.shell("fleetroll keys status")
    assert set(online_keys(fleet)) == {"snapshot", "timestamp"}
    story.after(*(Thief(fleet, role, [read[role]]) for role in ("targets", "products/agent", "products/shop")))


def test_a_stolen_server_is_believed_by_nobody_after_its_drill(story: Story) -> None:
    """Its keys, its CA and its address are the thief's; the owner has a backup and the keys of people."""
    operator, fleet, host = story.operator, story.fleet, story.host
    operator.run("ceremony")
    operator.run("server")
    fleet.start_server()
    story.join()
    story.sells()
    (story.folder / "words").write_text("the passphrase of backups\n")
    words = {"BACKUP": str(story.carry / "server.backup"), "BACKUP_WORDS": str(story.folder / "words")}
    operator.run("stolen-server-backup", **words)
    read, old_address, old_ca = online_keys(fleet), fleet.address, fleet.ca_pem
    fleet.stop_server()
    taken = DataFolder(story.folder / "taken")
    shutil.copytree(fleet.data.path, taken.path)
    thiefs = (*SERVER, "run", "--data", str(taken.path), "--listen", old_address)
    theirs_says = fleet.processes.start(*thiefs, log=story.folder / "thief.log").said
    wait("the thief's server is ready", lambda: "is ready on" in theirs_says(), 60.0, theirs_says)
    token = fleet.data.admin_token.read_text("ascii").strip()
    with AdminClient(Endpoint(old_address, old_ca, token)) as theirs:
        wait("the host is with the thief", lambda: online(theirs), 60.0)

        new_address, fleet.data = f"127.0.0.1:{free_port()}", DataFolder(story.folder / "restored")
        operator.run("stolen-server-restore", NEW_DATA=str(fleet.data.path), **words)
        fleet.move(new_address)
        operator.environment.update(fleet.environment)
        fleet.start_server()
        assert "0 of " in operator.run("stolen-server-bring"), "nothing was signed since"
        operator.run("stolen-server-root")
        operator.run("stolen-server-anchors", NEW_ADDRESS=new_address)
        operator.run("stolen-server-carry", VERSION=f"1.{story.sold}.0")
        assert online(theirs), "nobody has touched the host"
        operator.run("stolen-server-host", STATE=str(host.state))
        host.stop()
        host.start()
        wait("the host is with its owner", lambda: online(fleet.client), 60.0)
        wait("the host has left the thief", lambda: not online(theirs), 60.0)
    assert not quarantined(fleet.client), "nobody takes it for a copy"
    operator.run("stolen-server-end", NOT_SEEN="0")
    host.stop()
    told = operator.shell("fleetroll agents readmit h1 --reason 'another key, after another root'")
    string = told.strip().splitlines()[-1].split()[-1]
    operator.shell('fleetroll-agent readmit "$STRING" --state "$STATE"', STRING=string, STATE=str(host.state))
    host.start()
    fleet.wait_online("h1")
    trusted = (host.state / "identity" / "ca.pem").read_bytes()
    assert trusted == fleet.ca_pem != old_ca
    with (
        AdminClient(Endpoint(old_address, trusted, token)) as dialled,
        pytest.raises(FleetrollError) as caught,
        translate(),
    ):
        dialled.server_info.GetServerInfo(server_info_pb2.GetServerInfoRequest(), timeout=10)
    assert caught.value.code is Code.UNAVAILABLE
    story.after(*(Thief(fleet, role, [read[role]]) for role in ("timestamp", "snapshot")))


def online(client: AdminClient) -> bool:
    """Tell whether a server sees the host."""
    answer = client.agents.ListAgents(agents_pb2.ListAgentsRequest(), timeout=10)
    return any(agent.online for agent in answer.agents)


def quarantined(client: AdminClient) -> bool:
    """Tell whether a server takes the host for a copy."""
    answer = client.agents.ListAgents(agents_pb2.ListAgentsRequest(), timeout=10)
    return any(agent.quarantined for agent in answer.agents)


def test_every_command_of_the_page_is_run_here() -> None:
    """A drill that nobody runs is a hope."""
    text = Path(__file__).read_text("utf-8")
    assert [name for name in drills() if f'"{name}"' not in text] == []
