"""A defect in looking at anchors is said, and ends neither the looking nor the agent."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import Any

from fleetroll_agent.session.anchoring import AnchorsKeeper
from fleetroll_common.values.clock import FakeClock
from tests.faults.anchored_agent import SETTINGS


class Defect:
    """A trust client that fails as none should."""

    timestamp_version = 1

    def __init__(self) -> None:
        self.asked = 0
        self.twice = asyncio.Event()

    def anchors(self) -> None:
        self.asked += 1
        if self.asked > 1:
            self.twice.set()
        raise AttributeError("a defect")


class Line:
    """No session."""

    address = ""


async def test_a_defect_does_not_end_the_agent() -> None:
    trust, unused = Defect(), Any
    settings = replace(SETTINGS, reconnect_cap_seconds=0.1)
    keeper = AnchorsKeeper(unused, trust, Line(), unused, FakeClock(), settings)  # type: ignore[arg-type]
    running = asyncio.create_task(keeper.run())
    await asyncio.wait_for(trust.twice.wait(), 10)
    assert not running.done()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
