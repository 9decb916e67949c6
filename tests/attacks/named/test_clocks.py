"""A host whose clock is at 1970, or at 2100: nothing begins by it, and nothing that runs ends."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import TrustError
from fleetroll_publishing import repository
from tests.attacks.named.scene import WANTED, Scene, now

if TYPE_CHECKING:
    from fleetroll_common.trust import TrustClient


class Set:
    """A clock that somebody has set."""

    def __init__(self, clock: Any, shows: datetime) -> None:
        self._clock, self._off = clock, shows - clock.now()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)

    def now(self) -> datetime:
        return self._clock.now() + self._off  # type: ignore[no-any-return]


def set_clock(attacked: Scene, shows: datetime) -> TrustClient:
    """Set the host's clock, for its rules and for its trust; the server learns of it at the next hello."""
    daemon = attacked.host.daemon
    assert daemon is not None
    parts = daemon._parts
    clock = Set(parts.clock, shows)
    parts.trust._clock = clock
    daemon._link._clock = clock
    for seat in daemon._desk._seats.values():
        seat.keeper._clock = clock
    return parts.trust


@pytest.mark.parametrize("year", [1970, 2100])
async def test_clock_at_1970_and_2100(attacked: Scene, year: int) -> None:
    """The server's own time shows that one of the two is wrong: the host waits and says so, whoever is right."""
    set_clock(attacked, datetime(year, 1, 2, tzinfo=UTC))
    sessions = len(attacked.server.sessions)
    attacked.server.session.end()
    await attacked.server.until(lambda: len(attacked.server.sessions) > sessions)
    await attacked.waits("CLOCK_SKEW")


async def test_clock_at_1970_makes_no_expired_list_fresh(attacked: Scene) -> None:
    """A thief replays what expired long ago to a host whose battery is flat, and says that it is 1970."""
    trust = set_clock(attacked, datetime(1970, 1, 2, tzinfo=UTC))
    signers, earlier = attacked.releases.signers, now() - timedelta(days=3)
    attacked.files = {**attacked.files, **repository.refresh_timestamp(attacked.files, signers, earlier)}
    await attacked.refused("METADATA_FREEZE", "timestamp")
    with pytest.raises(TrustError) as caught:
        await asyncio.to_thread(trust.refresh)
    assert caught.value.code is Code.METADATA_FREEZE


async def test_clock_at_2100_blocks_installs_and_stops_nothing(attacked: Scene) -> None:
    """Everything has expired by it: what runs goes on, and comes on again when the clock is right."""
    real = attacked.host.daemon._parts.clock
    trust = set_clock(attacked, datetime(2100, 1, 2, tzinfo=UTC))
    attacked.stamp()
    await attacked.refused("METADATA_FREEZE")
    trust._clock = real
    for seat in attacked.host.daemon._desk._seats.values():
        seat.keeper._clock = real
    await attacked.installs(WANTED)
    assert (await asyncio.to_thread(attacked.shop.page))["version"] == WANTED
