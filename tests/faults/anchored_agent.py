"""A host in this process with the agent's own identity, trust, session and anchors; the rest of it is a stub."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fleetroll_agent.identity.store import IdentityStore
from fleetroll_agent.identity.whereabouts import Whereabouts
from fleetroll_agent.jobs.journal import Journal
from fleetroll_agent.parts import LinkedMetadata
from fleetroll_agent.session.anchoring import AnchorsKeeper
from fleetroll_agent.session.enrolling import ask_to_enrol
from fleetroll_agent.session.facts import HostFacts, ProductFacts
from fleetroll_agent.session.freshness import Freshness
from fleetroll_agent.session.link import Link
from fleetroll_agent.session.rotation import Rotation
from fleetroll_agent.settings import Settings
from fleetroll_common.trust import TrustClient
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.ids import SystemIds
from fleetroll_common.values.platform import Platform
from fleetroll_common.wire.joinstring import JoinString

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SETTINGS = Settings(reconnect_base_seconds=0.05, reconnect_cap_seconds=0.3)
BUILT = datetime(2026, 1, 1, tzinfo=UTC)


class AnchoredAgent:
    """One host; its folder outlives its processes."""

    def __init__(self, name: str, folder: Path) -> None:
        """Use ``folder``; nothing runs."""
        self.name, self.folder = name, folder
        self.idle, self.healthy, self.on_trial, self.busy = True, True, False, False
        self.rest_seconds: float | None = None
        self.welcomes = 0
        self.link: Link | None = None
        self.whereabouts: Whereabouts | None = None
        self.agent_id = ""

    @property
    def store(self) -> IdentityStore:
        return IdentityStore(self.folder / "identity", SystemIds())

    @property
    def serial(self) -> int:
        """What the process goes by."""
        return 0 if self.whereabouts is None else self.whereabouts.serial

    @property
    def address(self) -> str:
        """Where its stream is; empty = none is open."""
        return "" if self.link is None else self.link.address

    def trust(self, line: LinkedMetadata) -> TrustClient:
        """Return the host's trust over ``line``."""
        root = self.store.peek().enrolment.root
        return TrustClient(self.folder / "trust", root, line, SystemClock(), BUILT)

    async def enrol(self, join_string: str) -> None:
        """Become an agent."""
        self.folder.mkdir(parents=True, exist_ok=True)
        store = self.store
        answer = await ask_to_enrol(JoinString.decode(join_string), store.candidate(), self.name, {})
        self.agent_id = store.enrol(answer).enrolment.agent_id

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run one process: its end is that of a kill."""
        await self.start()
        try:
            yield
        finally:
            await self.stop()

    async def start(self) -> None:
        """Start a process."""
        store, clock, line = self.store, SystemClock(), LinkedMetadata()
        identity = store.load()
        rotation = Rotation(store, identity, SETTINGS, clock, "boot")
        self.whereabouts = Whereabouts(store, identity)
        journal = Journal(self.folder / "journal", SystemIds())
        self.link = line.link = Link(store, rotation, self, journal, SETTINGS, clock, self.whereabouts)
        trust = self.trust(line)
        keeper = AnchorsKeeper(self.whereabouts, trust, self.link, self, clock, SETTINGS)
        fresh = Freshness(trust, self.link, clock, SETTINGS)
        fresh.each_turn, self.link.noticed = [keeper.look], fresh.noticed
        self._tasks = [asyncio.create_task(one.run()) for one in (self.link, fresh)]

    async def stop(self) -> None:
        """End it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def before_hello(self, _receipt: object, *, evidence: bool = False) -> HostFacts:
        return HostFacts(
            host_name=self.name,
            platform=Platform("linux", "x86_64", "cp311"),
            labels={},
            time_zone="UTC",
            disk_free_bytes=1,
            boot_id="boot",
            agent_version="1.0.0",
            products=(ProductFacts("agent", "1.0.0", "aa" * 32, 0),),
            journal_id=f"journal-{self.name}",
            receipt=None,
            timestamp_version=0,
            anchors_serial=self.serial,
        )

    async def tell(self, _event: object, _product: str | None = None) -> None:
        await asyncio.sleep(0)

    def keeps(self, product: str) -> bool:
        return product == "agent"

    async def acked(self, _journal_id: str, _sequence: int) -> None:
        await asyncio.sleep(0)

    def welcomed(self) -> None:
        self.welcomes += 1

    def heard(self) -> None:
        """Nobody needs to know."""
