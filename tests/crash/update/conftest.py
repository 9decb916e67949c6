"""What all disturbed updates share: two releases, a CA, and one host that the program itself enrolled."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleetroll_server.certificates import make_ca
from tests.agent.fake_server.artefacts import build
from tests.agent.fake_server.hosts import RealHost
from tests.agent.fake_server.releases import Releases
from tests.agent.fake_server.server import FakeServer
from tests.crash.update.cases import traced
from tests.crash.update.world import NEW, OLD, Kit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.crash.update.points import Seen


@pytest.fixture(scope="session")
def room() -> Iterator[Path]:
    """Return a folder in memory, where there is one: a sync that costs nothing changes nothing for SIGKILL."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="update-", dir=memory if memory.is_dir() else None))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def kit(room: Path) -> Kit:
    """Publish, and enrol the host whose first slot all others take."""
    known = Kit(Releases(), make_ca("test", datetime.now(UTC)), room / "template", room / "code")
    known.code.mkdir()
    known.releases.publish(OLD, build(room, OLD))
    known.releases.publish(NEW, build(room, NEW), ("beta",))

    async def enrol() -> None:
        async with FakeServer(known.releases, known.ca) as server:
            code, _out, err = await RealHost(known.template).enroll(server.join_string())
            assert code == 0, err

    asyncio.run(enrol())
    return known


@pytest.fixture(scope="session")
def trace(kit: Kit, room: Path) -> list[Seen]:
    """Return the points of an undisturbed update."""
    return asyncio.run(traced(kit, room / "undisturbed"))
