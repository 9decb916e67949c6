"""What many tests of the agent stand on: a server that shows the releases of the test's own file, and a product."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.agent.fake_server.server import FakeServer
from tests.faults.shop import Shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.agent.fake_server.releases import Releases


@pytest.fixture
async def server(releases: Releases) -> AsyncIterator[FakeServer]:
    """Give a running server."""
    async with FakeServer(releases) as running:
        yield running


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Give a shop that is kept running."""
    home = Shop(tmp_path / "shop")
    home.start()
    yield home
    home.stop()
