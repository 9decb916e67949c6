"""An owner with a folder of keys, a server and hosts that sell: who the drills of docs/operating/keys.md are for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.e2e.drills import Operator
from tests.e2e.fleet.fleet import Fleet
from tests.e2e.fleet.host import SETTINGS, Host
from tests.e2e.fleet.processes import AGENT, run
from tests.e2e.fleet.releases import Workshop
from tests.e2e.thieves import Thief, stolen

if TYPE_CHECKING:
    from pathlib import Path

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
