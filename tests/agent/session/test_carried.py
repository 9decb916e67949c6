"""Mirrors and bundles as an operator makes them, at a host as it runs: the server is spared, or not needed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent import parts
from fleetroll_agent.bundle import open_source
from fleetroll_agent.fetch import MirrorSource
from fleetroll_agent.jobs.artefacts import Artefacts, Ways
from fleetroll_agent.parts import assemble
from fleetroll_agent.slots import SlotStore
from fleetroll_common.trust import MetadataAbsent
from fleetroll_common.values.clock import FakeClock, SystemClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import TrustError
from fleetroll_common.values.version import Version
from fleetroll_publishing.carrying import BundleWish, MirrorWish, update_mirror, write_bundle
from tests.faults.served import served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.agent.fake_server.inprocess import InProcessHost
    from tests.agent.fake_server.releases import Releases
    from tests.agent.fake_server.server import FakeServer

DAYS = 86_400.0


@dataclass
class Remote:
    """A server's repository as the command line reads it."""

    releases: Releases

    def fetch(self, name: str, max_bytes: int) -> bytes:
        if name not in self.releases.files:
            raise MetadataAbsent(name)
        return self.releases.files[name][: max_bytes + 1]

    def target(self, path: str) -> Iterator[bytes]:
        yield self.releases.artefacts[path]


@pytest.fixture
def mirror(tmp_path: Path, releases: Releases) -> Path:
    """Return a mirror of the server's repository."""
    update_mirror(tmp_path / "mirror", Remote(releases), MirrorWish(), SystemClock())
    return tmp_path / "mirror"


@pytest.fixture
def bundle(tmp_path: Path, releases: Releases) -> Path:
    """Return a bundle with release 1.1.0 of the agent."""
    wish = BundleWish((("agent", Version(1, 1, 0)),))
    return write_bundle(tmp_path / "agent.bundle", Remote(releases), wish, SystemClock()).path


async def test_an_update_from_a_mirror_behind_a_web_server_asks_the_server_for_no_byte(
    server: FakeServer, host: InProcessHost, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The artefacts of a mirror's folder are found by the pattern of the settings."""
    server.script.grant = False
    with served(mirror) as address:
        ways = Ways(mirrors=(MirrorSource(f"{address}/targets/{{path}}"),))
        monkeypatch.setattr(parts, "_ways", lambda *_parts: ways)
        async with host.running():
            await server.until(lambda: server.sessions)
            server.assign("1.1.0", 7)
            await server.until(lambda: "STAGED" in server.states(7))
    assert server.fetched == []


@pytest.mark.parametrize("kind", ["bundle", "mirror"])
async def test_a_host_without_its_server_stages_what_was_carried_to_it(
    server: FakeServer, host: InProcessHost, bundle: Path, mirror: Path, kind: str
) -> None:
    """From the root that it pinned when it was enrolled, to a slot that is complete."""
    await server.stop()
    made = await asyncio.to_thread(assemble, host.folder, host.slot)
    slots = SlotStore(host.folder)
    source = await asyncio.to_thread(open_source, str(bundle if kind == "bundle" else mirror))
    found, waived = await source.find(made.trust, "agent", "1.1.0")
    await Artefacts(host.folder, "agent", slots, Ways()).stage(found, source.targets)
    slot = slots.find(found.custom.version, found.target.sha256)
    assert slot is not None
    assert slots.check(slot.path).is_clean
    assert waived == ()


async def test_forty_days_later_a_bundle_is_staged_and_a_mirror_refused(
    server: FakeServer, host: InProcessHost, bundle: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network path has to show fresh lists; what a person carried says what was waived."""
    await server.stop()
    later = FakeClock(SystemClock().now())
    later.advance(40 * DAYS)
    monkeypatch.setattr(parts, "SystemClock", lambda: later)
    made = await asyncio.to_thread(assemble, host.folder, host.slot)
    with served(mirror) as address, pytest.raises(TrustError) as caught:
        await open_source(address).find(made.trust, "agent", "1.1.0")
    assert caught.value.code is Code.METADATA_FREEZE
    found, waived = await open_source(str(bundle)).find(made.trust, "agent", "1.1.0")
    assert (str(found.custom.version), waived) == ("1.1.0", ("timestamp", "snapshot"))
