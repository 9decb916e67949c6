"""What all disturbed shops share: their releases, and one host that the program itself enrolled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.crash.real.host import SUCCEEDED
from tests.crash.real.kits import in_memory
from tests.crash.real.points import of_roles
from tests.crash.shop.offers import shop_kit
from tests.crash.shop.world import ShopHost

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.crash.real.host import Kit
    from tests.crash.real.points import Seen

QUIET_SECONDS = 1.0
TRACED = 3
"""A good version, a bad one, and its successor."""


@pytest.fixture(scope="session")
def room() -> Iterator[Path]:
    """Return a folder in memory, where there is one."""
    with in_memory() as folder:
        yield folder


@pytest.fixture(scope="session")
def kit(room: Path) -> Kit:
    """Return what all hosts with a product of slots share."""
    return shop_kit(room, "slots")


@pytest.fixture(scope="session")
def trace(kit: Kit, room: Path) -> list[Seen]:
    """Return the points of an undisturbed life."""
    return asyncio.run(traced(ShopHost(kit, room / "undisturbed")))


async def traced(host: ShopHost) -> list[Seen]:
    """Return the points of an undisturbed life, from the launcher's start to the quiet after the last result."""
    async with host:
        results: list[str] = []
        for _attempt in range(TRACED):
            await host.until(lambda: host.ended(host.assigned), "the result")
            results.append(host.ended(host.assigned))
            host.next_attempt(results, more=len(results) < TRACED)
        await asyncio.sleep(QUIET_SECONDS)
        assert results == [SUCCEEDED, "ROLLED_BACK", SUCCEEDED], f"{results}\n{host.story()}"
        host.check_attempts()
        await host.check_end()
        return of_roles(host.lines(), host.records)
