"""A host with a product and a schedule of its own, and the server that it loses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.schedule import run
from tests.agent.fake_server.inprocess import InProcessHost
from tests.agent.fake_server.releases import Releases
from tests.faults.shop import Shop, artefact

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent.fake_server.server import FakeServer


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    """Return a repository with the shop's releases."""
    folder, known = tmp_path_factory.mktemp("shop"), Releases()
    for version in ("1.0.0", "1.1.0"):
        known.publish(version, artefact(folder, version), product="shop")
    known.publish("1.2.0", artefact(folder, "1.2.0", fault="unhealthy"), ("beta",), product="shop")
    return known


@pytest.fixture
async def host(server: FakeServer, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InProcessHost:
    """Return a host with 1.0.0 of the shop and a schedule of its own; its daemon does not run."""
    monkeypatch.setattr(run, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(run, "SOAK_SECONDS", 0.3)
    enrolled = InProcessHost(tmp_path / "state", server)
    await enrolled.enrol()
    path = enrolled.folder / "agent.toml"
    own = f'[host]\noffline = "local_schedule"\noffline_sources = ["{tmp_path}/other", "{tmp_path}/mirror"]\n'
    path.write_text(path.read_text().replace("[host]\n", own) + shop.settings(auto_update="true"))
    async with enrolled.running():
        server.assign("1.0.0", 1, product="shop", soak=0.2)
        await server.until(lambda: server.result(1, "shop"))
    return enrolled
