"""What all disturbed updates share: two releases, a CA, and one host that the program itself enrolled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.agent.fake_server.artefacts import build
from tests.crash.real.kits import in_memory, made
from tests.crash.update.cases import traced
from tests.crash.update.world import NEW, OLD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.agent.fake_server.releases import Releases
    from tests.crash.real.host import Kit
    from tests.crash.real.points import Seen


@pytest.fixture(scope="session")
def room() -> Iterator[Path]:
    """Return a folder in memory, where there is one."""
    with in_memory() as folder:
        yield folder


@pytest.fixture(scope="session")
def kit(room: Path) -> Kit:
    """Publish, and enrol the host whose first slot all others take."""

    def publish(releases: Releases) -> None:
        releases.publish(OLD, build(room, OLD))
        releases.publish(NEW, build(room, NEW), ("beta",))

    return made(room, publish)


@pytest.fixture(scope="session")
def trace(kit: Kit, room: Path) -> list[Seen]:
    """Return the points of an undisturbed update."""
    return asyncio.run(traced(kit, room / "undisturbed"))
