"""The key ceremony and every drill of docs/operating/keys.md, from empty folders: real server, command line, agent.

After each drill the thief's signatures are refused by host and server, and the owner's next release is installed.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import agents_pb2, server_info_pb2
from fleetroll_client import AdminClient, Endpoint, translate
from fleetroll_common.durable import load_record
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError
from fleetroll_publishing.demands import ONLINE_ROLES
from fleetroll_publishing.roles import file_name, read_newest_root, standings
from fleetroll_publishing.sealing import is_signed
from fleetroll_server.datafolder import DataFolder
from tests.e2e.drills import Operator, drills
from tests.e2e.fleet.fleet import Fleet, free_port
from tests.e2e.fleet.host import SETTINGS, Host, wait
from tests.e2e.fleet.processes import AGENT, SERVER, run
from tests.e2e.fleet.releases import Workshop
from tests.e2e.thieves import Thief, online_keys, stolen

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

FIRST = "1.0.0"
NAMES = ("root", "targets", "products-agent", "products-shop", "products-till")
MEMORY = "64"
"""MiB: the least that is allowed; each drill opens a few files."""


class ShopHost(Host):
    """A host that keeps a shop, which is one file."""

    @property
    def shop(self) -> Path:
        return self.state.parent.parent / f"{self.name}-shop.txt"

    def start(self, *options: str) -> None:
        kept = f'\n[products.shop]\nkind = "file"\npath = "{self.shop}"\nmin_update_interval_seconds = 0\n'
        (self.state / "agent.toml").write_text(SETTINGS + kept)
        log = self.state.parent / f"{self.name}.log"
        self._launcher = self._processes.start(*AGENT, "run", "--state", str(self.state), *options, log=log)


class Story:
    """An owner with a folder of keys, a server and a host that sells."""

    def __init__(self, folder: Path) -> None:
        self.fleet = Fleet(folder)
        self.keys, self.carry = folder / "keys", folder / "carry"
        self.carry.mkdir()
        (folder / "passphrases").mkdir()
        for name in NAMES:
            (folder / "passphrases" / name).write_text(self.passphrase(name) + "\n")
        files = " ".join(f"{name}={folder / 'passphrases' / name}" for name in NAMES)
        environment = {
            **self.fleet.environment,
            "KEYS": str(self.keys),
            "CARRY": str(self.carry),
            "DATA": str(self.fleet.data.path),
            "ADDRESS": self.fleet.address,
            "FLEETROLL_PASSPHRASE_FILE": files,
            "FLEETROLL_MEMORY_MIB": MEMORY,
            "FLEETROLL_YES": "1",
        }
        self.operator = Operator(folder, environment)
        self.folder = folder
        self.sold = 0
        self.host = ShopHost("h1", folder / "hosts" / "h1", self.fleet.processes)

    @staticmethod
    def passphrase(name: str) -> str:
        """Return the passphrase of the key files that begin with ``name``."""
        return f"the passphrase of {name}"

    def steal(self, role: str, *stems: str) -> Thief:
        """Copy keys of a role out of their files."""
        base = role.replace("/", "-")
        return Thief(
            self.fleet, role, [stolen(self.keys / f"{stem}.key", self.passphrase(base)) for stem in stems or (base,)]
        )

    def key_id(self, thief: Thief) -> str:
        """Return the beginning of a stolen key's id, as the status shows it."""
        status = json.loads(self.operator.shell("fleetroll keys status --json"))
        shown = {key["key_id"] for role in status["roles"] for key in role["keys"]}
        keyid = thief.keys[0].public_key.keyid
        assert keyid in shown
        return str(keyid[:16])

    def join(self) -> None:
        """Publish the agent, and let the host enrol and run."""
        artefact = Workshop(self.folder / "workshop").build(FIRST)
        self.operator.run("publish", ARTEFACT=str(artefact))
        self.begin()

    def begin(self) -> None:
        """Enrol the host and start it."""
        self.enrol(self.host)

    def another(self, name: str) -> ShopHost:
        """Enrol one more host and start it."""
        host = ShopHost(name, self.folder / "hosts" / name, self.fleet.processes)
        self.enrol(host)
        return host

    def enrol(self, host: ShopHost) -> None:
        """Enrol a host and start it."""
        join = self.fleet.join_string()
        done = run(*AGENT, "enroll", join, "--state", str(host.state), "--name", host.name)
        assert done.code == 0, done.said
        host.start()
        self.fleet.hosts[host.name] = host
        self.fleet.wait_online(host.name)

    def publishes(self, publish: str = "", options: str = "--keys-dir $KEYS", *, again: bool = False) -> str:
        """Publish the owner's next release of the shop, or the last one ``again``; return its version."""
        self.sold += not again
        version = f"1.{self.sold}.0"
        goods = self.folder / f"goods-{version}.txt"
        goods.write_text(f"shop {version}\n")
        wish = f"--product shop --version {version} --platform any --git-sha abcdef0 --out dist"
        built = self.operator.shell(f"fleetroll release build {wish} {goods}").strip().splitlines()[-1]
        if publish:
            self.operator.run(publish, ARTEFACT=built)
        else:
            self.operator.shell(f"fleetroll release publish {built} {options}")
        return version

    def sells(self, publish: str = "", options: str = "--keys-dir $KEYS", hosts: str = "") -> None:
        """Publish the owner's next release of the shop, and see it installed by the real agent."""
        version = self.publishes(publish, options)
        self.operator.shell(f"fleetroll rollout start --product shop --version {version} --soak 1s --watch {hosts}")
        assert self.host.shop.read_text() == f"shop {version}\n"

    def after(self, *thieves: Thief) -> None:
        """The thieves' control is over, the owner's fleet goes on."""
        for thief in thieves:
            thief.is_refused(self.host)  # a host that slept through the exchange, its line being what the thief shows
        self.sells()
        for thief in thieves:
            thief.is_refused(self.host)


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    made = Story(tmp_path)
    try:
        yield made
    finally:
        made.fleet.end()


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
