"""A server in an attacker's hands, with all its online keys, and a host that holds to its publishers' keys alone.

What it has: the port, the certificate, the sessions of its agents, the database (here: the script), snapshot and
timestamp. What it has not: root, targets and the products' keys. So it can sign any lists over what publishers signed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import reasons_pb2, types_pb2
from fleetroll_agent.jobs.keeper import ProductFile
from fleetroll_common.trust.library import TargetFile
from fleetroll_common.values.product_policy import ProductPolicy, Revoked, Withdrawn
from fleetroll_common.values.version import Version
from fleetroll_publishing.signers import RoleSigners
from tests.agent.fake_server.artefacts import build
from tests.agent.fake_server.inprocess import small_artefact
from tests.agent.fake_server.releases import PRODUCTS, Releases
from tests.faults import rulings
from tests.faults.repositories import role_signers
from tests.faults.shop import Shop, artefact

if TYPE_CHECKING:
    from tests.agent.fake_server.hosts import RealHost
    from tests.agent.fake_server.server import FakeServer

SHOP, AGENT = "shop", "agent"
INTERVAL_SECONDS = 6.0
SETTINGS = """[host]
containers = true
[go]
ask_interval_seconds = 1.0
[products.agent]
min_update_interval_seconds = 0
allowed_channels = ["stable"]
override_local = false
retry_bad = false
"""
RULES = f'min_update_interval_seconds = {INTERVAL_SECONDS:g}\nallowed_channels = ["stable"]\n'
FORBID = "override_local = false\nretry_bad = false\n"


def settings_of(shop: Shop) -> str:
    """Return agent.toml: the stable channel alone, an interval, and nothing that a server may end or repeat."""
    return SETTINGS + shop.settings().replace("min_update_interval_seconds = 0\n", RULES + FORBID)


def stocked(folder: Path) -> Releases:
    """Return what publishers signed: good releases, and one for each reason not to begin it."""
    known = Releases()
    for version in ("0.9.0", "1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0", "2.0.0"):
        known.publish(version, artefact(folder, version), product=SHOP)
    known.publish("1.5.0", artefact(folder, "1.5.0"), ("beta",), product=SHOP)
    known.publish("1.2.1", artefact(folder, "1.2.1", fault="smoke"), product=SHOP)
    known.publish("1.0.0", build(folder, "1.0.0"))
    known.publish("1.1.0", build(folder, "1.1.0"))
    for version, channel in (("0.9.0", "stable"), ("1.3.0", "stable"), ("1.4.0", "stable"), ("1.5.0", "beta")):
        known.publish(version, small_artefact(folder, version), (channel,))
    for product in (SHOP, AGENT):
        known.files = rulings.ruled(known.files, known.signers, policy(product, known.digests[f"{product}/1.4.0"]))
    here = next(path for path in known.artefacts if path.startswith("shop/1.4.0/"))
    known.files = rulings.resigned(known.files, known.signers, "products/shop", lambda role: _foreign(role, here))
    return known


def policy(product: str, revoked: str) -> ProductPolicy:
    """Return what a publisher rules."""
    three, four = Version.parse("1.3.0"), Version.parse("1.4.0")
    return ProductPolicy(
        product,
        1,
        floor=Version.parse("1.0.0"),
        intermediates=(Version.parse("1.9.0"),),
        yanked=(Withdrawn(three, "it eats orders"),),
        revoked=(Revoked(revoked, four, "it was not ours"),),
    )


def _foreign(role: Any, like: str) -> None:
    """List 1.6.0 for another platform alone."""
    path = "shop/1.6.0/plan9-mips-any.tar.zst"
    role.targets[path] = TargetFile.from_dict(role.targets[like].to_dict(), path)
    custom = dict(role.targets[like].unrecognized_fields["custom"])
    role.targets[path].unrecognized_fields["custom"] = custom | {"version": "1.6.0", "os": "plan9", "arch": "mips"}


@dataclass
class Villain:
    """Gives orders to one host, and counts what came of them."""

    server: FakeServer
    host: RealHost
    shop: Shop
    generation: int = 1
    orders: int = 0
    installs: int = 0
    stopped: int = 0
    pids: dict[str, str] = field(default_factory=dict)
    installed: dict[str, str] = field(default_factory=dict)

    @property
    def keys(self) -> RoleSigners:
        """The online ones, and others of its own in the place of those that it has not."""
        owner, own = self.server.releases.signers, role_signers(PRODUCTS, "evil ")
        return RoleSigners(own.root, own.targets, own.products, owner.snapshot, owner.timestamp)

    def send(self, **message: Any) -> None:
        """Say anything over the session."""
        self.orders += 1
        self.server.session.send(**message)

    def assign(self, version: str, product: str = SHOP, **more: Any) -> int:
        """Order a version under the next generation."""
        self.generation += 1
        self.orders += 1
        self.server.assign(version, more.pop("generation", self.generation), product=product, **more)
        return self.generation

    async def refused(self, code: str, version: str, product: str = SHOP, **more: Any) -> None:
        """Order a version, and see it refused for this reason and nothing changed."""
        generation = self.assign(version, product, **more)
        await self.ends(generation, product)
        told = self.server.result(generation, product)
        assert told is not None
        assert told.state in (types_pb2.ATTEMPT_STATE_FAILED, types_pb2.ATTEMPT_STATE_SKIPPED), told
        assert reasons_pb2.ReasonCode.Name(told.code) == f"REASON_CODE_{code}", told
        await self.see()

    async def allowed(self, version: str, product: str = SHOP) -> None:
        """Order what the promise allows, and see it done."""
        generation = self.assign(version, product)
        await self.ends(generation, product)
        told = self.server.result(generation, product)
        assert told is not None
        assert told.state == types_pb2.ATTEMPT_STATE_SUCCEEDED, told
        await self.remember()
        assert self.installed[product] == version

    async def ends(self, generation: int, product: str) -> None:
        await self.server.until(lambda: self.server.result(generation, product))

    def versions(self) -> dict[str, str]:
        """Return what is installed, by product."""
        current = ProductFile(self.host.state, SHOP).read().current
        return {SHOP: "" if current is None else current.version, AGENT: self.host.boot()["current"]["version"]}

    async def remember(self) -> None:
        """Take what runs now as what must go on running."""
        page = await asyncio.to_thread(self.shop.page)
        self.installed = self.versions()
        assert page["version"] == self.installed[SHOP]
        self.pids = self.running()

    def running(self) -> dict[str, str]:
        """Return the processes of the agent and of the service."""
        launcher = self.host.pid
        children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text()
        return {AGENT: children.strip(), SHOP: (self.shop.home / "pid").read_text()}

    async def see(self) -> None:
        """Count what was changed or stopped."""
        await asyncio.sleep(0.05)
        installed, pids = self.versions(), self.running()
        self.installs += installed != self.installed
        self.stopped += pids != self.pids or not self.shop.seen()
        assert (installed, pids) == (self.installed, self.pids)

    async def answers(self) -> None:
        """See that the agent is there and takes the next order as if nothing had been."""
        await self.refused("NOT_LISTED", "6.6.6")

    def message(self, **fields: Any) -> stream_pb2.Assignment:
        """Return an assignment that no script of a server makes."""
        return stream_pb2.Assignment(**fields)
