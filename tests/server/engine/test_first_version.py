"""What a server tells hosts to begin with, over the wire, on both kinds of database: by what became of each release."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import sqlalchemy as sa

from fleetroll.v1 import enrolment_pb2, enrolment_pb2_grpc
from fleetroll_common.wire.handshake import SESSION_TOKEN_KEY
from fleetroll_server.store.tables import ReleaseRow, RolloutRow, WaveRow, table_of
from tests.faults.stocks import NEW, NEWER
from tests.faults.virtual_disk import PLATFORM, code

if TYPE_CHECKING:
    from tests.faults.worlds import World

COMPLETED, UNTRIED = enrolment_pb2.FIRST_VERSION_GROUND_COMPLETED, enrolment_pb2.FIRST_VERSION_GROUND_UNTRIED
ASKING = "host-8"
"""The host that asks; it takes part in no rollout."""


@pytest.fixture
async def world(world_on_each: World) -> World:
    """A running server, once on each kind of database."""
    return world_on_each


async def ask(world: World, **changes: Any) -> enrolment_pb2.NameFirstVersionResponse:
    """Ask in a session, as ``fleetroll-agent enroll`` does."""
    welcome = world.agent(ASKING).welcome
    if not welcome.session_token.token:
        welcome = await world.agent(ASKING).connect()
    values: dict[str, Any] = {"product": "agent", "channel": "stable", "platform": PLATFORM} | changes
    request = enrolment_pb2.NameFirstVersionRequest(**values)
    stub: Any = enrolment_pb2_grpc.EnrolmentServiceStub(world.channel)
    metadata = ((SESSION_TOKEN_KEY, welcome.session_token.token),)
    answer: enrolment_pb2.NameFirstVersionResponse = await stub.NameFirstVersion(request, metadata=metadata, timeout=20)
    return answer


async def named(world: World, **changes: Any) -> tuple[str, int]:
    answer = await ask(world, **changes)
    return answer.version, answer.ground


async def halted(world: World, version: str) -> str:
    """Roll a version out that its canary puts back."""
    await world.agent("host-1").connect()
    world.clock.advance(1)
    rollout = await world.roll("host-1", version=version)
    await world.fail("host-1", version, code=code("START_FAILED"))
    assert await world.state(rollout) == "HALTED"
    return rollout


async def completed(world: World, version: str, host: str = "host-2") -> None:
    await world.agent(host).connect()
    world.clock.advance(1)
    rollout = await world.roll(host, version=version)
    await world.update(host, version)
    assert await world.state(rollout) == "COMPLETED"


async def test_a_halted_release_is_not_named_before_its_rollout_is_ended_and_not_after(world: World) -> None:
    await completed(world, NEW)
    assert await named(world) == (NEW, COMPLETED), "the newer one is listed, but nobody tried it"
    rollout = await halted(world, NEWER)
    assert await named(world) == (NEW, COMPLETED)
    await world.cancel(rollout)
    assert await named(world) == (NEW, COMPLETED)


async def test_a_fleet_that_has_tried_nothing_begins_with_the_newest_release(world: World) -> None:
    assert await named(world) == (NEWER, UNTRIED)
    assert await named(world, passed_over=[NEWER]) == (NEW, UNTRIED)


async def test_a_release_that_is_being_tried_is_for_its_rollout_to_judge(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", version=NEWER)
    assert await named(world) == (NEW, UNTRIED)
    await world.update("host-1", NEWER)
    assert await world.state(rollout) == "COMPLETED"
    assert await named(world) == (NEWER, COMPLETED)


async def test_a_rollout_that_was_killed_while_hosts_had_begun_speaks_against_its_release(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", version=NEWER)
    agent = await world.staged("host-1", NEWER)
    await agent.granted()
    await agent.report("applying")
    await world.press()
    await agent.report("cancelled", code=code("KILLED"))
    await world.lift()
    assert await named(world) == (NEW, UNTRIED), "it is paused"
    await world.cancel(rollout)
    assert await named(world) == (NEW, UNTRIED)


async def test_a_rollout_that_was_cancelled_before_any_host_began_speaks_against_nothing(world: World) -> None:
    await world.online("host-1")
    await world.cancel(await world.roll("host-1", version=NEWER))
    assert await named(world) == (NEWER, UNTRIED)


async def test_no_host_begins_with_anything_under_the_kill_switch(world: World, refusal: Any) -> None:
    await world.press()
    why = await refusal(ask(world))
    assert (why.status, why.code) == (grpc.StatusCode.FAILED_PRECONDITION, "SUSPENDED")
    assert "enroll again" in why.remedy
    await world.lift()
    await world.press("")
    assert (await refusal(ask(world))).code == "SUSPENDED"
    await world.lift("")
    assert await named(world) == (NEWER, UNTRIED)


async def test_when_every_release_was_halted_none_is_named_until_a_rollout_completes_one(
    world: World, refusal: Any
) -> None:
    first = await halted(world, NEW)
    await world.cancel(first)
    second = await halted(world, NEWER)
    why = await refusal(ask(world))
    assert (why.status, why.code) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_FIRST_VERSION")
    assert "2 stopped" in why.message
    assert "run enroll again" in why.remedy
    await completed(world, NEW)
    assert await named(world) == (NEW, COMPLETED)
    await world.cancel(second)


async def test_what_happened_in_another_fleet_decides_nothing_here(world: World) -> None:
    await completed(world, NEW)
    rollout = await halted(world, NEWER)
    await world.cancel(rollout)
    (made,), (wave,) = await world.rows(RolloutRow, id=rollout), await world.rows(WaveRow, rollout_id=rollout)
    there: dict[str, Any] = {"fleet_id": "other"}
    later = world.clock.now() + timedelta(hours=1)
    well = {"id": "elsewhere", "state": "completed", "idempotency_key": None, "created_at": later}
    kept = {"rollout_id": "elsewhere", "counters": wave["counters"] | {"succeeded": 1}}

    async def job(tx: Any) -> None:
        await tx.execute(sa.insert(table_of(RolloutRow)).values(made | well | there))
        await tx.execute(sa.insert(table_of(WaveRow)).values(wave | kept | there))

    async def tidy(tx: Any) -> None:
        for model in (WaveRow, RolloutRow):
            await tx.execute(sa.delete(table_of(model)).where(table_of(model).c.fleet_id == "other"))

    await world.services.store.writer.command(job)
    assert await named(world) == (NEW, COMPLETED)
    await world.services.store.writer.command(tidy)


async def test_a_release_that_is_not_listed_or_for_others_is_not_named(world: World, refusal: Any) -> None:
    table = table_of(ReleaseRow)
    gone = sa.update(table).where(table.c.version == NEWER).values(listed=False)
    await world.services.store.writer.command(lambda tx: tx.execute(gone))
    assert await named(world) == (NEW, UNTRIED)
    for other in ({"channel": "beta"}, {"product": "nothing"}):
        assert (await refusal(ask(world, **other))).code == "NO_ARTIFACT"
    platform = enrolment_pb2.NameFirstVersionRequest(platform=PLATFORM).platform
    platform.abi = "cp399"
    why = await refusal(ask(world, platform=platform))
    assert (why.code, "cp399" in why.message) == ("NO_ARTIFACT", True)


async def test_asking_again_gets_what_holds_by_then_and_stores_nothing(world: World) -> None:
    await world.agent(ASKING).connect()
    before = await world.totals()
    assert await ask(world) == await ask(world)
    assert await world.totals() == before
    await completed(world, NEW)
    assert (await ask(world)).version == NEW


WRONG: dict[str, dict[str, Any]] = {
    "no product": {"product": ""},
    "a long product": {"product": "a" * 64},
    "no channel": {"channel": ""},
    "a control character": {"channel": "sta\x00ble"},
    "no platform": {"platform": None},
    "no version": {"passed_over": [""]},
    "words": {"passed_over": ["newest"]},
    "a long version": {"passed_over": ["1.0.0-" + "a" * 60]},
    "many versions": {"passed_over": [f"1.0.{n}" for n in range(101)]},
}


async def test_what_can_not_be_read_is_refused_by_its_field(world: World, refusal: Any) -> None:
    for case, change in WRONG.items():
        why = await refusal(ask(world, **change))
        assert (why.status, why.code) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"), case
    assert await named(world, passed_over=[f"1.0.{n}" for n in range(100)]) == (NEWER, UNTRIED)


async def test_only_an_agent_in_a_session_is_told(world: World, refusal: Any) -> None:
    stub: Any = enrolment_pb2_grpc.EnrolmentServiceStub(world.channel)
    request = enrolment_pb2.NameFirstVersionRequest(product="agent", channel="stable", platform=PLATFORM)
    assert (await refusal(stub.NameFirstVersion(request, timeout=20))).code == "UNAUTHENTICATED"
    assert (await refusal(world.call(stub.NameFirstVersion, request))).code == "PERMISSION_DENIED"


async def test_a_release_whose_late_hosts_went_bad_is_not_named(world: World) -> None:
    rollout = await late_ones(world)
    await world.fail("host-2", code=code("START_FAILED"))
    assert (await world.show(rollout)).late.stopped.code == code("WAVE_NOT_PASSED")
    assert await named(world) == (NEWER, UNTRIED)


async def test_a_release_whose_late_hosts_are_paused_is_not_named_and_again_when_they_were_cancelled(
    world: World,
) -> None:
    rollout = await late_ones(world)
    await world.pause(rollout)
    assert await named(world) == (NEWER, UNTRIED)
    await world.cancel(rollout)
    assert await named(world) == (NEW, COMPLETED), "none of them had gone bad before the cancel"


async def late_ones(world: World) -> str:
    """Return a rollout that completed and has a late host to offer."""
    await world.online("host-1")
    rollout = await world.roll("host-1", "host-2", "host-3")
    await world.update("host-1")
    assert await named(world) == (NEW, COMPLETED)
    await world.online("host-2")
    return rollout
