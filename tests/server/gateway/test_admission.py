"""The door under pressure: nobody who is silent, slow or many keeps an honest host out, least of all a trial."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fleetroll_common.values.clock import FakeClock
from fleetroll_server.domain.states import AttemptState
from fleetroll_server.door import Door
from fleetroll_server.gateway import admission, anteroom, gateway, handshake, servicer
from fleetroll_server.gateway.admission import Admission, TooManyHellosError
from fleetroll_server.gateway.trials import is_on_trial
from fleetroll_server.store.tables import RolloutHostRow, table_of
from fleetroll_server.store.tx import Tx
from tests.faults.virtual_agent import RefusedError
from tests.faults.virtual_disk import code_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.worlds import World

TRIALS = {"granted", "applying", "trial", "promoted", "soaking", "lost"}


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the door's limits by their names."""

    def limit(**limits: float) -> None:
        for name, value in limits.items():
            monkeypatch.setattr(admission, name, value)

    return limit


def silent(world: World) -> Any:
    """Open a stream that says nothing."""
    return world.agent("host-8")._stub().Connect()


async def refused(agent: Any) -> tuple[str, float]:
    """Return code and wait of the refusal of an agent that says who it is."""
    with pytest.raises(RefusedError) as caught:
        await agent.open()
    return caught.value.code, caught.value.retry_after


async def until_out(world: World, name: str) -> None:
    """Wait until a host is in its trial by the server's row, and offline."""
    await world.online(name)
    await world.roll(name)
    agent = await world.staged(name)
    await agent.granted()
    await agent.report("applying", step="restart")
    await world.drop(name)


async def comes_home(world: World, name: str) -> None:
    """Let a host that is out get in, and end its attempt."""
    agent = world.agent(name)
    await agent.connect()
    await agent.report("cancelled")


async def test_silent_streams_do_not_keep_an_honest_host_out(
    world: World, places: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    places(GENERAL_PLACES=1, RESERVED_PLACES=1)
    monkeypatch.setattr(anteroom, "MAX_SILENT", 3)
    crowd = [silent(world) for _ in range(8)]
    async with asyncio.timeout(20):
        while world.services.door.refusals < 5:  # until all are there: a later one would take the honest one's turn
            await asyncio.sleep(0.01)
        for _ in range(3):
            await (await world.online("host-1"))[0].fence()
    for call in crowd:
        call.cancel()


async def test_the_stream_that_was_silent_for_longest_gives_way(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anteroom, "MAX_SILENT", 1)
    arrived, make_room = asyncio.Event(), anteroom.Anteroom._make_room

    def arrive(self: anteroom.Anteroom) -> None:
        make_room(self)
        arrived.set()

    monkeypatch.setattr(anteroom.Anteroom, "_make_room", arrive)
    first = silent(world)
    reading = asyncio.create_task(first.read())
    async with asyncio.timeout(10):
        await arrived.wait()
        second = silent(world)
        answer = await reading
    assert code_name(answer.refusal.code) == "TOO_MANY_HANDSHAKES"
    assert answer.refusal.retry_after.seconds == 1
    assert world.services.door.refusals == 1, "it may have been an honest agent's"
    second.cancel()


async def test_a_stream_that_does_not_say_who_it_is_in_time_is_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anteroom, "IDENTIFY_SECONDS", 0.2)
    async with asyncio.timeout(4):
        answer = await silent(world).read()
    assert code_name(answer.refusal.code) == "UNAVAILABLE"
    assert world.services.door.refusals == 0, "silence is the agent's own"


@pytest.mark.parametrize("slow", ["challenge", "is_on_trial"])
async def test_a_read_that_takes_the_whole_time_of_a_hello_is_a_refusal_of_ours(
    world: World, places: Callable[..., None], monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    async def never(*_arguments: object) -> None:
        await asyncio.Event().wait()

    places(GENERAL_PLACES=0 if slow == "is_on_trial" else 1)
    monkeypatch.setattr(servicer, "HELLO_SECONDS", 0.2)
    monkeypatch.setattr(handshake.Handshake if slow == "challenge" else gateway.Gateway, slow, never)
    assert await refused(world.agent("host-1")) == ("UNAVAILABLE", 10.0)
    assert world.services.door.refusals == 1


async def test_an_agent_that_answers_no_challenge_is_no_refusal_of_ours(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servicer, "HELLO_SECONDS", 0.2)
    session = await world.agent("host-1").open()
    async with asyncio.timeout(4):
        answer = await session.call.read()
    assert code_name(answer.refusal.code) == "UNAVAILABLE"
    assert world.services.door.refusals == 0


async def test_a_trial_gets_in_when_slow_hellos_hold_all_general_places(
    world: World, places: Callable[..., None]
) -> None:
    await until_out(world, "host-3")
    places(GENERAL_PLACES=2, RESERVED_PLACES=1)
    slow = [await world.agent(name).open() for name in ("host-1", "host-2")]
    for _ in range(3):
        assert await refused(world.agent("host-4")) == ("TOO_MANY_HANDSHAKES", 1.0)
    await comes_home(world, "host-3")
    for session in slow:
        session.call.cancel()


async def test_a_trial_does_not_wait_for_the_bucket(world: World, places: Callable[..., None]) -> None:
    await until_out(world, "host-3")
    places(BURST=0.5, HELLOS_PER_SECOND=0.01)
    code, wait = await refused(world.agent("host-4"))
    assert (code, wait >= 50) == ("TOO_MANY_HANDSHAKES", True)
    await comes_home(world, "host-3")


async def test_one_host_takes_no_more_than_its_share(world: World, places: Callable[..., None]) -> None:
    places(MAX_PER_AGENT=2)
    held = [await world.agent("host-1").open() for _ in range(2)]
    assert await refused(world.agent("host-1")) == ("TOO_MANY_HANDSHAKES", 1.0)
    await world.online("host-2")
    await world.agent("host-1").greet(held[0])
    again = await world.agent("host-1").open()
    for session in (*held, again):
        session.call.cancel()


async def test_a_host_is_on_trial_from_go_until_its_attempt_ends(world: World) -> None:
    await until_out(world, "host-3")
    host, table = await world.host("host-3"), table_of(RolloutHostRow)
    agent_id, counted = host["agent_id"], set()
    mine = sa.and_(table.c.agent_id == agent_id, table.c.fleet_id == host["fleet_id"])
    for state in [*AttemptState, AttemptState(host["state"])]:
        change = sa.update(table).where(mine).values(state=state.value)
        await world.services.store.writer.command(partial(Tx.execute, statement=change))
        if await is_on_trial(world.services.store, agent_id):
            counted.add(state.value)
    assert counted == TRIALS
    assert not await is_on_trial(world.services.store, "agent-nobody")
    await comes_home(world, "host-3")


async def test_reserved_places_are_given_back_whatever_the_look_up_says(places: Callable[..., None]) -> None:
    places(GENERAL_PLACES=0, RESERVED_PLACES=1)
    door = Admission(FakeClock(), Door())

    async def no() -> bool:
        return False

    async def broken() -> bool:
        raise OSError

    for answer, error in ((no, TooManyHellosError), (broken, OSError), (no, TooManyHellosError)):
        with pytest.raises(error):
            async with door.admit("agent-1", answer):
                pass
        assert door.in_flight == 0


async def test_newcomers_that_are_looked_up_take_no_more_than_the_reserved_places(places: Callable[..., None]) -> None:
    places(GENERAL_PLACES=0, RESERVED_PLACES=1)
    door, known = Admission(FakeClock(), Door()), asyncio.Event()

    async def slowly() -> bool:
        return await known.wait()

    async def enter(agent_id: str) -> None:
        async with door.admit(agent_id, slowly):
            pass

    first = asyncio.create_task(enter("agent-1"))
    await asyncio.sleep(0)
    with pytest.raises(TooManyHellosError):
        await enter("agent-2")
    known.set()
    await first
    assert door.in_flight == 0
