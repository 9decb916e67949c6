"""The kill switch: after its commit no offer and no Go on any path; lifting it starts nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
import sqlalchemy as sa

from tests.faults.stocks import FLEET, NEW
from tests.faults.virtual_disk import attempt_state, code

if TYPE_CHECKING:
    from tests.faults.worlds import World


@pytest.mark.parametrize("fleet", [FLEET, ""])
async def test_every_stream_hears_of_a_press_and_of_the_lift(world: World, fleet: str) -> None:
    agents = await world.online("host-1", "host-2")
    pressed = await world.press(fleet)
    scope = f"fleet/{FLEET}" if fleet else "global"
    for agent in agents:
        frame = await agent.expect("suspension")
        assert (frame.scope, frame.epoch, frame.active) == (scope, pressed.epoch, True)
    await world.lift(fleet)
    for agent in agents:
        frame = await agent.expect("suspension")
        assert (frame.active, frame.epoch) == (False, pressed.epoch + 1)


async def test_a_lift_is_refused_when_somebody_pressed_again_since(world: World) -> None:
    await world.online("host-1")
    seen = await world.press()
    again = await world.press()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await world.lift(epoch=seen.epoch)
    assert refused.value.code() is grpc.StatusCode.ABORTED
    assert f"epoch: {seen.epoch} is not the newest, {again.epoch}: pressed by " in str(refused.value.details())
    assert await world.pressed() == {f"fleet/{FLEET}"}
    await world.lift(epoch=again.epoch)
    assert await world.pressed() == set()
    with pytest.raises(grpc.aio.AioRpcError, match="lifted by "):
        await world.lift(epoch=again.epoch)
    with pytest.raises(grpc.aio.AioRpcError, match="it was never pressed"):
        await world.lift("", epoch=3)


async def test_every_welcome_under_a_kill_carries_it_and_none_after_the_lift(world: World) -> None:
    await world.press()
    await world.press("")
    (agent,) = await world.online("host-1")
    assert sorted(known.scope for known in agent.welcome.suspensions) == [f"fleet/{FLEET}", "global"]
    await world.lift()
    assert [known.scope for known in (await agent.connect()).suspensions] == ["global"]
    await world.lift("")
    assert not (await agent.connect()).suspensions


async def test_a_switch_of_another_fleet_is_not_ours_to_hear(world: World) -> None:
    agents = await world.online("host-1")
    rollout = await world.roll("host-1")
    await world.press()
    await agents[0].expect("suspension")
    assert await world.state(rollout) == "PAUSED"
    assert (await world.press()).epoch == 2, "pressing again is no error"
    await world.lift()
    await world.resume(rollout)
    await world.cancel(rollout)


async def test_running_rollouts_are_paused_and_the_lift_starts_nothing(world: World) -> None:
    await world.online("host-1", "host-2")
    first = await world.roll("host-1")
    second = await world.roll("host-2", manual_advance=True)
    for name in ("host-1", "host-2"):
        await world.staged(name)
    await world.press()
    assert [await world.state(rollout) for rollout in (first, second)] == ["PAUSED", "PAUSED"]
    shown = await world.show(first)
    assert shown.state_decision.reason == "stop everything"
    assert shown.state_decision.actor.id
    await world.lift()
    await world.watch(30)
    assert [await world.state(rollout) for rollout in (first, second)] == ["PAUSED", "PAUSED"]
    assert await world.states("host-1") == ["staged"]
    for rollout in (first, second):
        await world.cancel(rollout)


async def test_a_halted_rollout_stays_halted(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2")
    await world.fail("host-1")
    await world.press()
    assert await world.state(rollout) == "HALTED"
    await world.lift()
    await world.cancel(rollout)


async def test_nothing_starts_while_it_is_pressed(world: World, refusal: object) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    await world.press()
    before = await world.totals()
    for call in (world.roll("host-2"), world.resume(rollout)):
        why = await refusal(call)  # type: ignore[operator]
        assert why.code == "SUSPENDED"
    assert await world.totals() == before
    assert await world.state(rollout) == "PAUSED"
    await world.lift()
    await world.cancel(rollout)


async def test_an_assignment_is_an_offer_also_when_it_is_sent_again(world: World) -> None:
    (agent,) = await world.online("host-1")
    rollout = await world.roll("host-1")
    await agent.expect("assignment")
    await world.press()
    await agent.connect()
    assert await agent.waiting("assignment") == []
    await world.watch(120, step=10)
    assert await agent.waiting("assignment") == []
    await world.lift()
    await agent.connect()
    assert await agent.waiting("assignment") == [], "lifted, but the rollout is paused still"
    await world.resume(rollout)
    await world.update("host-1")
    assert await world.state(rollout) == "COMPLETED"


async def test_a_none_is_sent_under_a_kill_too(world: World) -> None:
    (agent,) = await world.online("host-1")
    rollout = await world.roll("host-1")
    await agent.take()
    await world.press()
    await agent.cut()
    await world.cancel(rollout)
    await agent.connect()
    assert (await agent.expect("assignment")).version == ""


async def test_no_pending_host_is_offered_when_room_is_made(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2", limits={"max_downloading": 1})
    agent = await world.staged("host-1")
    await agent.granted()
    await world.press()
    await world.on_trial("host-1")
    await agent.commit()
    second = world.agent("host-2")
    offered = await second.waiting("assignment")
    await world.watch(20)
    assert await second.waiting("assignment") == offered == ["assignment"]
    assert await world.state(rollout) == "PAUSED"
    await world.cancel(rollout)


async def test_a_trial_is_promoted_under_a_kill(world: World) -> None:
    await world.online("host-1")
    await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    await agent.report("applying")
    await world.press()
    await agent.try_out(NEW, world.stock.digests[NEW])
    assert (await agent.expect("promote")).sha256.hex() == world.stock.digests[NEW]
    await agent.commit()


async def test_a_go_from_before_may_be_used_and_is_counted(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    assert (await world.press()).in_use == 1
    assert await agent.refused_go() == "SUSPENDED"
    assert await world.budget("rollout/") == (0, 0), "the newer ask proved that the Go was not used"
    await world.lift()
    await world.cancel(rollout)


@pytest.mark.parametrize("where", ["offered", "staged", "granted", "applying"])
@pytest.mark.parametrize("told", ["report", "hello"])
async def test_a_host_that_the_kill_stopped_goes_on_after_the_resume(world: World, where: str, told: str) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = world.agent("host-1")
    if where == "offered":
        await agent.take()
    else:
        await world.staged("host-1")
    if where in {"granted", "applying"}:
        await agent.granted()
    if where == "applying":
        await agent.report("applying")
    await world.press()
    if told == "report":
        await agent.report("cancelled", code=code("KILLED"))
    else:
        (report,) = agent.journal("cancelled", code=code("KILLED"))
        agent.disk.attempt["code"] = code("KILLED")  # type: ignore[index]
        await agent.connect()
        await agent.deliver([report])
        agent.disk.attempt = None
    row = await world.host("host-1")
    assert (row["state"], row["attempted"]) == ("pending", False)
    assert await world.budget("rollout/") == (0, 0)
    assert (await world.show(rollout)).waves[0].bad == 0
    generation = row["generation"]
    await world.lift()
    assert await agent.waiting("assignment") == []
    await world.resume(rollout)
    await world.update("host-1")
    row = await world.host("host-1")
    assert (row["state"], row["generation"]) == ("succeeded", generation + 1)
    assert await world.state(rollout) == "COMPLETED"


async def test_a_host_past_its_switch_finishes_under_a_kill(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    await world.on_trial("host-1")
    await world.press()
    await agent.commit()
    await world.lift()
    await world.resume(rollout)
    assert await world.state(rollout) == "COMPLETED"


async def test_a_kill_outlives_a_crash_of_the_server(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    await world.staged("host-1")
    await world.press()
    await world.crash()
    agent = world.agent("host-1")
    assert [known.active for known in (await agent.connect()).suspensions] == [True]
    await world.sweep(1)
    assert await agent.refused_go() == "SUSPENDED"
    assert agent.disk.attempt is not None
    assert agent.disk.attempt["state"] == attempt_state("staged")
    await world.lift()
    await world.cancel(rollout)


async def test_a_press_locks_rollouts_before_the_switch_as_go_and_hello_do(world: World) -> None:
    """Two servers that lock the other way round would wait for each other, and one of them would be broken off."""
    await world.online("host-1")
    await world.roll("host-1")
    looked_at: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        looked_at.extend(name for name in ("rollout", "suspension") if f"FROM {name} " in " ".join(statement.split()))

    engine = world.services.store._writing.sync_engine
    sa.event.listen(engine, "before_cursor_execute", note)
    await world.press()
    sa.event.remove(engine, "before_cursor_execute", note)
    assert looked_at[:2] == ["rollout", "suspension"]
