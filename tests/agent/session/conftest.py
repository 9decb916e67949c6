"""A server and an enrolled host for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.agent.fake_server.inprocess import InProcessHost, small_artefact
from tests.agent.fake_server.releases import Releases

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent.fake_server.server import FakeServer


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    """Return a repository with small releases; 1.2.0 reports another version than its own."""
    folder = tmp_path_factory.mktemp("small")
    known = Releases()
    known.publish("1.1.0", small_artefact(folder, "1.1.0"))
    known.publish("1.2.0", small_artefact(folder, "1.2.0", reported="9.9.9"))
    return known


@pytest.fixture
async def host(server: FakeServer, tmp_path: Path) -> InProcessHost:
    """Return an enrolled host; nothing runs."""
    enrolled = InProcessHost(tmp_path / "state", server)
    await enrolled.enrol()
    return enrolled
