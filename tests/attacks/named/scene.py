"""A real agent that keeps a real service, a server in somebody's hands, and what "nothing happened" has to mean.

The agent is whole: stream, trust, download, unpacking, rules, steps. The server says whatever a test makes it say;
which keys the attacker has is said by which signers the test uses. An attack that is shown under version numbers that
the host has seen already would meet the host's own files, so each one goes on from the one before.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fleetroll.v1 import reasons_pb2, types_pb2
from fleetroll_agent.jobs.keeper import ProductFile
from fleetroll_common.values.product_policy import ProductPolicy
from fleetroll_common.values.version import Version
from fleetroll_publishing import repository
from tests.agent.fake_server.inprocess import InProcessHost, small_artefact
from tests.agent.fake_server.releases import Releases
from tests.agent.fake_server.server import FakeServer
from tests.faults import rulings
from tests.faults.shop import Shop, artefact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from fleetroll_publishing.artefact import BuiltArtefact

SHOP = "shop"
RUNS, WANTED, OLD = "1.1.0", "1.2.0", "1.0.0"
V_WANTED = Version.parse(WANTED)


@dataclass(frozen=True)
class Stock:
    """What was built once: the shop's releases and the agent's, by version."""

    shop: dict[str, BuiltArtefact]
    agent: dict[str, BuiltArtefact]

    @classmethod
    def build(cls, folder: Path) -> Stock:
        shop = {version: artefact(folder, version) for version in (OLD, RUNS, WANTED)}
        return cls(shop, {"1.1.0": small_artefact(folder, "1.1.0")})

    def releases(self) -> Releases:
        """Return a repository that lists them all."""
        known = Releases()
        for version, built in self.shop.items():
            known.publish(version, built, product=SHOP)
        for version, built in self.agent.items():
            known.publish(version, built)
        return known


@dataclass
class Scene:
    """One host, its server, and what was counted."""

    releases: Releases
    server: FakeServer
    host: InProcessHost
    shop: Shop
    tally: Tally
    generation: int = 1
    before: dict[str, Any] = field(default_factory=dict)

    @property
    def files(self) -> dict[str, bytes]:
        """What the server shows."""
        return self.releases.files

    @files.setter
    def files(self, shown: dict[str, bytes]) -> None:
        self.releases.files = shown

    def rule(self, serial: int = 1, product: str = SHOP, **rules: Any) -> None:
        """Let the product's publisher rule."""
        self.files = rulings.ruled(self.files, self.releases.signers, ProductPolicy(product, serial, **rules))

    def stamp(self) -> None:
        """Let the owner sign the timestamp again."""
        self.files = {**self.files, **repository.refresh_timestamp(self.files, self.releases.signers, now())}

    def untouched(self) -> dict[str, Any]:
        """Return all that an attack must not change: what is installed, what runs, what was asked of the launcher."""
        record = ProductFile(self.host.folder, SHOP).read()
        launcher = self.host.launcher
        assert launcher is not None
        assert not self.host.work.done(), "the agent was stopped"
        return {
            "installed": record.current,
            "link": self.shop.link.readlink(),
            "pid": (self.shop.home / "pid").read_text(),
            "page": self.shop.seen(),
            "current slot": sorted(path.name for path in self.shop.link.resolve().iterdir()),
            "armed": launcher.said("arm"),
            "started": [told.step for told in self.host.journal() if told.step and told.generation > 1],
        }

    def assign(self, version: str = WANTED, product: str = SHOP, **more: Any) -> int:
        """Let the server order a version; return the generation."""
        self.generation += 1
        self.server.assign(version, self.generation, product=product, soak=0.2, **more)
        return self.generation

    async def refused(self, code: str, says: str = "", version: str = WANTED, product: str = SHOP, **more: Any) -> str:
        """Order a version and see it refused by this reason, with nothing changed; return the message."""
        generation = self.assign(version, product, **more)
        await self.server.until(lambda: self.server.result(generation, product))
        return self.ended(generation, code, says, product)

    def ended(self, generation: int, code: str, says: str = "", product: str = SHOP) -> str:
        """See that an attempt has ended by this reason, with nothing changed; return the message."""
        told = self.server.result(generation, product)
        assert told is not None
        state = types_pb2.AttemptState.Name(told.state).removeprefix("ATTEMPT_STATE_")
        why = reasons_pb2.ReasonCode.Name(told.code).removeprefix("REASON_CODE_")
        assert state in ("FAILED", "SKIPPED"), told
        assert why == code, told
        assert says in told.message, told
        self.see_nothing_changed()
        return str(told.message)

    async def waits(self, code: str, version: str = WANTED) -> None:
        """Order a version and see that it waits for this reason, with nothing changed."""
        generation = self.assign(version)
        await self.server.until(lambda: any(code in reason for reason in self.reasons(generation)))
        await asyncio.sleep(0.3)
        assert self.server.result(generation, SHOP) is None
        self.see_nothing_changed()

    def reasons(self, generation: int) -> Iterator[str]:
        """Yield the codes that were reported of an attempt."""
        for told in self.server.agent.reports:
            if told.generation == generation:
                yield reasons_pb2.ReasonCode.Name(told.code)

    def see_nothing_changed(self) -> None:
        """Count what the attack has brought about."""
        after = self.untouched()
        same_install = all(after[name] == self.before[name] for name in ("installed", "link", "current slot", "armed"))
        same_run = after["pid"] == self.before["pid"] and after["page"] == self.before["page"]
        self.tally.add(installs=not (same_install and after["started"] == self.before["started"]), stopped=not same_run)
        assert after == self.before

    async def installs(self, version: str = WANTED) -> None:
        """See that an honest order is still taken."""
        generation = self.assign(version)
        await self.server.until(lambda: self.server.result(generation, SHOP))
        told = self.server.result(generation, SHOP)
        assert told is not None
        assert told.state == types_pb2.ATTEMPT_STATE_SUCCEEDED, told
        assert (await asyncio.to_thread(self.shop.page))["version"] == version

    def staged_slot(self, version: str = WANTED) -> Path:
        """Return the folder of a staged version."""
        (found,) = (self.host.folder / "slots" / SHOP).glob(f"{version}-*")
        return found


@dataclass
class Tally:
    """What the attacks of one test came to."""

    attacks: int = 0
    installs: int = 0
    stopped: int = 0

    def add(self, *, installs: bool, stopped: bool) -> None:
        self.attacks += 1
        self.installs += installs
        self.stopped += stopped


def now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def scene(
    stock: Stock, folder: Path, tally: Tally, settings: Callable[[str], str] = lambda text: text
) -> AsyncIterator[Scene]:
    """Give a running host on which 1.1.0 of the shop is installed; ``settings`` changes its agent.toml beforehand."""
    releases, shop = stock.releases(), Shop(folder / "shop")
    shop.start()
    try:
        async with FakeServer(releases) as server:
            host = InProcessHost(folder / "state", server)
            await host.enrol()
            path = host.folder / "agent.toml"
            path.write_text(settings(path.read_text() + shop.settings()))
            async with host.running():
                await server.until(lambda: server.sessions)
                known = Scene(releases, server, host, shop, tally)
                server.assign(RUNS, 1, product=SHOP, soak=0.2)
                await server.until(lambda: server.result(1, SHOP))
                assert (await asyncio.to_thread(shop.page))["version"] == RUNS
                known.before = known.untouched()
                yield known
    finally:
        shop.stop()
