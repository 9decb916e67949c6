"""A late host that a newer rollout means, where the older rollout has not noticed yet: it gets nothing more there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import RolloutHostRow, table_of
from tests.faults.stocks import NEWER
from tests.server.engine.test_late_offers import completed

if TYPE_CHECKING:
    from tests.faults.worlds import World


@pytest.fixture
async def superseded_unseen(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """An older rollout that does not look at its late hosts by itself when a newer one means them."""
    first = await completed(world, "host-2", "host-3")
    await world.online("host-2")
    await world.staged("host-2")
    await world.sweep(1)
    monkeypatch.setattr(type(world.services.look_again), "add", lambda *_rollout: None)
    second = await world.roll("host-2", "host-3", version=NEWER)
    assert (await world.host("host-2", first))["state"] == "staged"
    return first, second


async def test_a_superseded_late_host_that_asks_gets_no_go(world: World, superseded_unseen: tuple[str, str]) -> None:
    first, second = superseded_unseen
    assert await world.agent("host-2").refused_go() == "SUPERSEDED"
    assert (await world.host("host-2", first))["code"] == "SUPERSEDED"
    await world.sweep(1)
    await world.update("host-2", NEWER)
    await world.cancel(second)


async def test_a_superseded_late_host_gets_no_offer_at_its_turn(
    world: World, superseded_unseen: tuple[str, str]
) -> None:
    first, second = superseded_unseen
    await world.cancel(second)
    turn = table_of(RolloutHostRow)
    change = sa.update(turn).where(turn.c.name == "host-3", turn.c.rollout_id == first)
    change = every_fleet(change.values(deadline=world.clock.now()), "a test")
    await world.services.store.writer.command(lambda tx: tx.execute(change))
    await world.agent("host-2").report("cancelled")
    await world.drop("host-2")
    await world.sweep(1)
    assert (await world.host("host-3", first))["code"] == "SUPERSEDED", "a person had moved on"
