"""A mistyped name is refused: that nothing happened is said of what is there alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fleetroll.v1 import events_pb2, events_pb2_grpc
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import EventRow, FleetRow, table_of
from tests.faults.stocks import FLEET
from tests.server.conftest import Refused, refused
from tests.server.events.test_rights import another_fleet, token

if TYPE_CHECKING:
    from tests.faults.worlds import World


async def listing(world: World, secret: str = "", **wanted: Any) -> list[Any]:
    stub: Any = events_pb2_grpc.EventsServiceStub(world.channel)
    metadata = (("authorization", f"Bearer {secret or world.stock.token}"),)
    answer = await stub.ListEvents(events_pb2.ListEventsRequest(**wanted), metadata=metadata, timeout=20)
    return list(answer.events)


def told(of: Refused) -> tuple[str, str]:
    return of.code, of.facts["field"]


@pytest.mark.parametrize("field", ["rollout_id", "agent_id"])
async def test_the_events_of_nobody_are_refused_by_their_field(world_on_each: World, field: str) -> None:
    wanted = {field: "nosuch"}
    found = await refused(listing(world_on_each, **wanted))
    assert told(found) == ("NOT_FOUND", field)
    assert "'nosuch'" in found.message


async def test_those_of_another_fleet_are_of_nobody_too(world: World) -> None:
    await another_fleet(world)
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = (await world.identity("host-1"))["id"]
    _, foreign = await token(world, fleet_ids=["other"])
    assert await listing(world, rollout_id=rollout) != []
    assert await listing(world, agent_id=agent) != []
    assert told(await refused(listing(world, foreign, rollout_id=rollout))) == ("NOT_FOUND", "rollout_id")
    assert told(await refused(listing(world, foreign, agent_id=agent))) == ("NOT_FOUND", "agent_id")


async def test_a_token_that_may_not_read_hosts_is_not_told_which_there_are(world: World) -> None:
    _, narrow = await token(world, scopes=["rollouts.read"])
    assert await listing(world, narrow, agent_id="nosuch") == []
    assert told(await refused(listing(world, narrow, rollout_id="nosuch"))) == ("NOT_FOUND", "rollout_id")


async def test_of_what_is_there_it_may_be_said_that_nothing_is_known_to_have_happened(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = (await world.identity("host-1"))["id"]
    forget = every_fleet(sa.delete(table_of(EventRow)), "the log is kept for some time")
    await world.services.store.writer.command(lambda tx: tx.execute(forget))
    assert await listing(world, rollout_id=rollout) == []
    assert await listing(world, agent_id=agent) == []


async def test_who_names_a_fleet_that_is_not_there_is_told_those_that_are(world: World) -> None:
    found = await refused(listing(world, fleet_id="nosuch"))
    assert (found.code, found.remedy) == ("NOT_FOUND", f"name one that you see: {FLEET}")
    rows = [{"id": f"f{number:02}", "name": f"f{number:02}", "created_at": world.clock.now()} for number in range(12)]
    await world.services.store.writer.command(lambda tx: tx.execute(sa.insert(table_of(FleetRow)).values(rows)))
    found = await refused(listing(world, fleet_id="nosuch"))
    assert found.remedy.endswith(" and 3 more")
    _, bound = await token(world, fleet_ids=["f03"])
    found = await refused(listing(world, bound, fleet_id=FLEET))
    assert found.remedy == "name one that you see: f03"
