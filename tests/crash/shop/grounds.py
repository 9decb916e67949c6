"""What disturbed shops of one kind share, and the points of one that nothing disturbs."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from tests.crash.real.host import SUCCEEDED
from tests.crash.real.points import of_roles
from tests.crash.shop.offers import shop_kit
from tests.crash.shop.world import ShopHost

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.crash.real.host import Kit
    from tests.crash.real.points import Seen

_T = TypeVar("_T")
QUIET_SECONDS = 1.0
TRACED = 3
"""A good version, a bad one, and its successor."""


class Grounds:
    """For each kind of product what all its hosts share, and the points of an undisturbed life; made when needed."""

    def __init__(self, room: Path) -> None:
        self.room = room

    @cache  # noqa: B019 (as long as the tests run)
    def kit(self, kind: str) -> Kit:
        """Return what all hosts with a product of that kind share."""
        (self.room / kind).mkdir()
        return apart(lambda: shop_kit(self.room / kind, kind))

    @cache  # noqa: B019 (the same)
    def trace(self, kind: str) -> tuple[list[Seen], list[Seen]]:
        """Return the points of an undisturbed life, and those of its first attempt."""
        host = ShopHost(self.kit(kind), self.room / kind / "undisturbed", kind=kind)
        return apart(lambda: asyncio.run(traced(host)))


def apart(work: Callable[[], _T]) -> _T:
    """Do ``work`` in a thread, where it may run a loop of its own: the test that asks first has one already."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


async def traced(host: ShopHost) -> tuple[list[Seen], list[Seen]]:
    """Return the points of an undisturbed life, from the launcher's start to the quiet after the last result, and those
    up to the first result.
    """
    async with host:
        results: list[str] = []
        first = 0
        for _attempt in range(TRACED):
            await host.until(lambda: host.ended(host.assigned), "the result")
            first = first or len(of_roles(host.lines(), host.records))
            results.append(host.ended(host.assigned))
            host.next_attempt(results, more=len(results) < TRACED)
        await asyncio.sleep(QUIET_SECONDS)
        assert results == [SUCCEEDED, "ROLLED_BACK", SUCCEEDED], f"{results}\n{host.story()}"
        host.check_attempts()
        await host.check_end()
        seen = of_roles(host.lines(), host.records)
        return seen, seen[:first]
