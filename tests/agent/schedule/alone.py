"""What happens to a host without a server, and how long a test waits for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fleetroll_agent.schedule.contact import CONTACT_NAME
from fleetroll_common.values.clock import FakeClock, SystemClock
from fleetroll_publishing.carrying import MirrorWish, update_mirror

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fleetroll_agent.daemon import Daemon
    from fleetroll_agent.jobs.values import Outcome
    from tests.agent.fake_server.releases import Releases
    from tests.agent.fake_server.server import FakeServer

DAY = 86_400.0


def mirror(releases: Releases, folder: Path) -> None:
    """Make, or renew, the second of the host's sources."""
    update_mirror(folder / "mirror", releases, MirrorWish(), SystemClock())


def moved(daemon: Daemon, seconds: float = 0.0) -> FakeClock:
    """Let the schedule go by a clock of its own, which has moved on."""
    clock = FakeClock(SystemClock().now())
    schedule = daemon._schedule
    schedule._clock = clock
    schedule._silence = None
    schedule._written = float("-inf")
    clock.advance(seconds)
    return clock


async def until(done: Callable[[], object], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not done():
            await asyncio.sleep(0.02)


def outcomes(daemon: Daemon) -> list[Outcome]:
    return [known for known in daemon._desk.state("shop").record.outcomes if known.local]


async def nothing_begins(daemon: Daemon, clock: FakeClock) -> bool:
    """Let days pass; tell whether no attempt was even begun."""
    for _ in range(5):
        clock.advance(2 * DAY)
        await asyncio.sleep(0.2)
    return daemon._desk.state("shop").record.locals == 0


async def apart(server: FakeServer, daemon: Daemon) -> FakeClock:
    """Take the server away, and let the host notice."""
    await until(lambda: daemon._link.in_touch)
    await until((daemon._parts.folder / CONTACT_NAME).exists)
    await server.stop()
    await until(lambda: not daemon._link.in_touch)
    clock = moved(daemon)
    await until(lambda: daemon._schedule._silence is not None)
    return clock
