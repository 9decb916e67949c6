"""The ratchet over real streams: crashes and lost answers raise no alarm, a copy is caught, readmission ends it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.session.waits import MAX_AT_ONCE
from fleetroll_common.wire.signing import public_key
from fleetroll_server.identity.ratchet import REPEAT_ALERT, STALE_ALERT
from fleetroll_server.store.tables import RetiredKeyRow
from tests.faults.stocks import NEW
from tests.faults.virtual_agent import RefusedError

if TYPE_CHECKING:
    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World


async def quiet(world: World, agent: VirtualAgent) -> None:
    """No alarm was raised, and the agent is at home still."""
    assert await world.events("alert.identity_cloned") == []
    welcome = await agent.connect()
    assert not welcome.quarantined
    assert welcome.acknowledged_next == agent.disk.ratchet.current
    assert not (await world.identity(agent.disk.name))["quarantined"]


async def test_every_welcome_moves_both_sides_on(world: World) -> None:
    agent = world.agent("host-1")
    for number in range(1, 5):
        await agent.connect()
        row = await world.identity("host-1")
        assert (row["epoch"], row["advances"], agent.disk.ratchet.advances) == (number, number - 1, number)
        assert row["acked"] == agent.disk.ratchet.current


@pytest.mark.parametrize("lost", [1, 3])
async def test_lost_welcomes_raise_no_alarm(world: World, lost: int) -> None:
    agent = world.agent("host-1")
    await agent.connect()
    for _ in range(lost):
        await agent.connect(lose_welcome=True)
    assert (await world.identity("host-1"))["repeat_streak"] == lost - 1
    await quiet(world, agent)
    assert await world.events("alert.hello_repeats") == []


async def test_one_pair_again_and_again_is_an_alert_and_no_quarantine(world: World) -> None:
    agent = world.agent("host-1")
    for _ in range(REPEAT_ALERT + 1):
        await agent.connect(lose_welcome=True)
    assert len(await world.events("alert.hello_repeats")) == 1
    await quiet(world, agent)


async def test_a_host_whose_disk_is_full_uses_its_sessions_and_repeats_its_pair(world: World) -> None:
    agent = world.agent("host-1")
    for _ in range(3):
        session = await agent.open()
        await agent.greet(session)
        await agent.use(session)
        await agent.fence()
    await quiet(world, agent)


CRASHES = ("after identify", "after hello", "before the agent's write", "after the agent's write")


@pytest.mark.parametrize("crash", CRASHES)
async def test_a_crash_of_the_agent_at_any_point_raises_no_alarm(world: World, crash: str) -> None:
    agent = world.agent("host-1")
    await agent.connect()
    for _ in range(3):
        session = await agent.open()
        if crash != CRASHES[0]:
            await session.call.write(agent.hello(session.challenge))
        if crash in CRASHES[2:]:
            answer = (await session.call.read()).welcome
            if crash == CRASHES[3]:
                agent.remember(answer)
        session.call.cancel()
    if crash == CRASHES[1]:
        await hello_again(agent)
    await quiet(world, agent)
    assert await world.events("alert.hello_repeats") == []


async def hello_again(agent: VirtualAgent) -> None:
    """Say hello as agents do: it is stale where one whose peer is gone was committed after its challenge."""
    for _ in range(MAX_AT_ONCE):
        try:
            await agent.connect()
        except RefusedError as refused:
            if refused.code != "STALE_HELLO":
                raise
        else:
            return
    await agent.connect()


@pytest.mark.parametrize("when", ["before the commit", "after the commit"])
async def test_a_crash_of_the_server_around_its_write_raises_no_alarm(
    world: World, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = world.agent("host-1")
    await agent.connect()
    await agent.cut()
    if when == "before the commit":
        session = await agent.open()
        async with world.broken_disk():
            with pytest.raises(RefusedError) as caught:
                await agent.greet(session)
            assert caught.value.code == "STORE_FAILED"
    else:
        await agent.connect(lose_welcome=True)
    epoch = (await world.identity("host-1"))["epoch"]
    await world.crash()
    assert (await world.identity("host-1"))["epoch"] == epoch == (1 if when == "before the commit" else 2)
    await quiet(world, world.agent("host-1"))


async def test_racing_streams_of_one_host_end_with_one_session_and_no_alarm(world: World) -> None:
    agent = world.agent("host-1")
    await agent.connect()
    for _ in range(2):
        first, second = await agent.open(), await agent.open()
        welcome = await agent.greet(second)
        with pytest.raises(RefusedError) as caught:
            await agent.greet(first)
        assert caught.value.code == "STALE_HELLO"
        agent.remember(welcome)
        await agent.use(second)
        await agent.fence()
    await quiet(world, agent)
    assert (await world.identity("host-1"))["stale_streak"] == 0


async def test_two_hellos_at_the_same_moment_are_one_session_and_one_stale(world: World) -> None:
    agent = world.agent("host-1")
    await agent.connect()
    sessions = [await agent.open(), await agent.open()]
    answers = await asyncio.gather(*[agent.greet(session) for session in sessions], return_exceptions=True)
    stale = [answer for answer in answers if isinstance(answer, RefusedError)]
    assert [refused.code for refused in stale] == ["STALE_HELLO"]
    welcome = next(answer for answer in answers if not isinstance(answer, BaseException))
    agent.remember(welcome)
    assert len(world.server.registry) == 1
    await quiet(world, agent)


async def test_a_late_hello_is_stale_also_where_its_pair_matches(world: World) -> None:
    agent = world.agent("host-1")
    await agent.connect()
    late = await agent.open()
    current = await agent.open()
    agent.remember(await agent.greet(current))
    await agent.use(current)
    before = await world.identity("host-1")
    with pytest.raises(RefusedError) as caught:
        await agent.greet(late)
    assert caught.value.code == "STALE_HELLO"
    assert await world.identity("host-1") == before | {"stale_streak": 1}
    await agent.fence()


async def test_stale_hellos_without_end_are_an_alert_and_no_quarantine(world: World) -> None:
    agent = world.agent("host-1")
    late = [await agent.open() for _ in range(STALE_ALERT)]
    await agent.connect()
    for session in late:
        with pytest.raises(RefusedError):
            await agent.greet(session)
    assert len(await world.events("alert.hello_repeats")) == 1
    await quiet(world, agent)


async def turns_until_caught(world: World, original: VirtualAgent, copy: VirtualAgent) -> int:
    """Let both connect in turn; return how many changes of turn it took."""
    for turn in range(1, 9):
        speaker = copy if turn % 2 else original
        if (await speaker.connect()).quarantined:
            return turn
    raise AssertionError("the copy was never caught")


@pytest.mark.parametrize("sessions_before", [0, 1, 3])
@pytest.mark.parametrize("welcome_lost", [False, True])
async def test_a_copy_beside_its_original_is_caught_at_the_4th_change_of_turn(
    world: World, sessions_before: int, welcome_lost: bool
) -> None:
    original = world.agent("host-1")
    for _ in range(sessions_before):
        await original.connect()
    copy = world.another(original.disk.copy(), "copy")
    await original.connect(lose_welcome=welcome_lost)
    assert await turns_until_caught(world, original, copy) <= 4
    assert (await world.identity("host-1"))["quarantined"]
    assert len(await world.events("alert.identity_cloned")) == 1


async def test_a_copy_that_speaks_several_times_in_its_turn_is_caught_all_the_same(world: World) -> None:
    original = world.agent("host-1")
    await original.connect()
    copy = world.another(original.disk.copy(), "copy")
    for changes, speaker in enumerate((original, copy, original, copy)):
        for _ in range(3):
            if (await speaker.connect()).quarantined:
                assert changes <= 4
                return
    raise AssertionError("the copy was never caught")


async def clone(world: World, name: str = "host-1") -> VirtualAgent:
    """Quarantine a host by a copy; return the copy. The original has the open session."""
    original = world.agent(name)
    copy = world.another(original.disk.copy(), "copy")
    for turn in range(8):
        speaker = copy if turn % 2 else original
        if (await speaker.connect()).quarantined:
            break
    await copy.cut()
    assert (await original.connect()).quarantined
    return copy


async def test_quarantine_is_one_alert_however_often_both_come(world: World) -> None:
    copy = await clone(world)
    for _ in range(2):
        await copy.connect()
        await world.agent("host-1").connect()
    assert len(await world.events("alert.identity_cloned")) == 1


async def test_a_quarantined_identity_gets_no_offer(world: World) -> None:
    await clone(world)
    agent = world.agent("host-1")
    rollout = await world.roll("host-1")
    await world.sweep(1)
    assert await agent.waiting("assignment") == []
    row = await world.host("host-1")
    assert (row["state"], row["waiting"]) == ("pending", "QUARANTINED")
    await world.cancel(rollout)


async def test_a_quarantine_withholds_an_offer_that_was_made_and_its_go(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await clone(world)
    assert await agent.refused_go() == "QUARANTINED"
    assert (await world.host("host-1"))["waiting"] == "QUARANTINED"
    await world.cancel(rollout)


async def test_an_assignment_is_not_sent_again_to_a_quarantined_host(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    await clone(world)
    assert await world.agent("host-1").waiting("assignment") == []
    await world.sweep(60)
    row = await world.host("host-1")
    assert (row["state"], row["waiting"]) == ("pending", "QUARANTINED"), "what was not sent can't go unanswered"
    await world.cancel(rollout)


async def test_a_trial_that_runs_is_promoted_in_quarantine_too(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    copy = world.another(agent.disk.copy(), "copy")
    await agent.granted()
    await agent.report("applying", step="restart")
    await agent.goodbye()
    for turn in range(6):
        if turn == 0:
            agent.switch(NEW, world.stock.digests[NEW])
        speaker = copy if turn % 2 else agent
        if (await speaker.connect()).quarantined:
            break
    await copy.cut()
    assert (await agent.connect()).quarantined
    promote = await agent.expect("promote")
    assert promote.sha256.hex() == world.stock.digests[NEW]
    await agent.commit()
    assert await world.state(rollout) == "COMPLETED"
    assert (await world.identity("host-1"))["quarantined"]


async def test_readmission_makes_a_new_key_and_ends_the_quarantine(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    copy = await clone(world)
    agent = world.agent("host-1")
    old_key = agent.key
    right = await world.readmit("host-1", b"\x51" * 32)
    ended = await agent.ended()
    assert ended is not None
    assert ended.code == "IDENTITY_FORKED"
    for machine in (copy, agent):
        with pytest.raises(RefusedError) as caught:
            await machine.connect()
        assert caught.value.code == "IDENTITY_FORKED"
    retired = {row["public_key"]: row["why"] for row in await world.rows(RetiredKeyRow)}
    assert retired == {old_key: "readmitted"}
    agent.disk = right
    assert not (await agent.connect()).quarantined
    assert (await world.identity("host-1"))["public_key"] == public_key(right.seed)
    assert not (await world.identity("host-1"))["quarantined"]
    await world.update("host-1")
    assert await world.state(rollout) == "COMPLETED"
    with pytest.raises(RefusedError):
        await copy.connect()
    assert not (await world.identity("host-1"))["quarantined"], "the refused copy harms the right host no more"


async def test_a_key_is_replaced_in_two_phases_and_the_old_one_is_a_fork_afterwards(world: World) -> None:
    (agent,) = await world.online("host-1")
    before = agent.disk.copy()
    fresh = b"\x61" * 32
    assert (await agent.rotate(fresh)).accepted_key == public_key(fresh)
    agent.disk.seed = fresh
    await agent.connect()
    row = await world.identity("host-1")
    assert (row["public_key"], row["next_key"]) == (public_key(fresh), None)
    old = world.another(before, "old")
    with pytest.raises(RefusedError) as caught:
        await old.connect()
    assert caught.value.code == "IDENTITY_FORKED"
    assert (await world.identity("host-1"))["quarantined"]


async def test_a_lost_answer_to_a_rotation_leaves_the_old_key_usable(world: World) -> None:
    (agent,) = await world.online("host-1")
    fresh = b"\x61" * 32
    await agent.rotate(fresh)
    await agent.connect()
    await quiet(world, agent)
    agent.disk.seed = fresh
    await quiet(world, agent)


async def test_a_rotation_without_both_signatures_is_refused(world: World) -> None:
    (agent,) = await world.online("host-1")
    good, agent.disk.seed = agent.disk.seed, b"\x62" * 32
    result = await agent.rotate(b"\x61" * 32)
    agent.disk.seed = good
    assert not result.accepted_key
    assert (await world.identity("host-1"))["next_key"] is None
