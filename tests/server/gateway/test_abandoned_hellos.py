"""Hellos whose peer is gone before it hears the answer: nothing is left over, and nobody is called a copy for it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_server.gateway import admission, handshake, servicer
from fleetroll_server.gateway.suspensions import suspensions_of
from tests.faults.virtual_agent import RefusedError
from tests.faults.virtual_disk import code_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Callable[[], admission.Admission]:
    """The server's door: a handshake that has left it has no handler any more."""
    doors: list[admission.Admission] = []
    real = admission.Admission.admit

    def admit(self: admission.Admission, *arguments: Any) -> Any:
        doors.append(self)
        return real(self, *arguments)

    monkeypatch.setattr(admission.Admission, "admit", admit)
    return lambda: doors[-1]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


async def nobody(world: World, name: str) -> None:
    """The host is offline: no session, no reader, and its row says so."""
    await until(lambda: not len(world.server.registry))
    async with asyncio.timeout(10):
        while (await world.identity(name))["server_id"]:
            await asyncio.sleep(0.01)
    own = ("session-", "opening-")
    await until(lambda: not any(task.get_name().startswith(own) for task in asyncio.all_tasks()))


@dataclass
class Held:
    """A group of jobs between its commit and its answers."""

    committed: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)


@pytest.fixture
async def held(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[], Held]]:
    """Hold the next group of jobs when asked to; let go at the end of the test at the latest."""
    writer, here = world.services.store.writer, Held()
    real = writer._transact

    async def transact(group: Any) -> Any:
        outcomes = await real(group)
        here.committed.set()
        await here.release.wait()
        return outcomes

    def hold() -> Held:
        monkeypatch.setattr(writer, "_transact", transact)
        return here

    yield hold
    here.release.set()


async def test_a_session_that_was_committed_for_a_peer_that_is_gone_is_ended(
    world: World, held: Callable[[], Held], door: Callable[[], admission.Admission]
) -> None:
    agent = world.agent("host-1")
    session = await agent.open()
    group = held()
    await session.call.write(agent.hello(session.challenge))
    await group.committed.wait()
    session.call.cancel()
    await until(lambda: door().in_flight == 0)
    group.release.set()
    await nobody(world, "host-1")
    assert not (await world.identity("host-1"))["left_well"]
    await agent.connect()
    await agent.fence()


async def test_a_session_whose_opening_took_too_long_is_ended(
    world: World, held: Callable[[], Held], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = world.agent("host-1")
    session = await agent.open()
    group = held()
    monkeypatch.setattr(servicer, "OPENING_SECONDS", 0.5)
    await session.call.write(agent.hello(session.challenge))
    await group.committed.wait()
    assert code_name((await session.call.read()).refusal.code) == "UNAVAILABLE"
    group.release.set()
    await nobody(world, "host-1")


async def test_a_hello_whose_peer_left_before_its_turn_is_not_committed(
    world: World, door: Callable[[], admission.Admission]
) -> None:
    agent, release, began = world.agent("host-1"), asyncio.Event(), asyncio.Event()

    async def busy(_tx: Any) -> None:
        began.set()
        await release.wait()

    writer = world.services.store.writer
    holding = asyncio.create_task(writer.command(busy))
    await began.wait()
    session = await agent.open()
    await session.call.write(agent.hello(session.challenge))
    await until(lambda: bool(writer._lanes.commands.waiting))
    session.call.cancel()
    await until(lambda: door().in_flight == 0)
    release.set()
    await holding
    await writer.command(busy)
    assert (await world.identity("host-1"))["epoch"] == 0


async def test_a_hello_that_is_committed_after_the_next_challenge_makes_that_one_stale_and_no_alarm(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, release, judged = world.agent("host-1"), asyncio.Event(), asyncio.Event()

    async def slowly(*arguments: Any) -> Any:
        judged.set()
        await release.wait()
        return await suspensions_of(*arguments)

    monkeypatch.setattr(handshake, "suspensions_of", slowly)
    abandoned = await agent.open()
    await abandoned.call.write(agent.hello(abandoned.challenge))
    await judged.wait()
    abandoned.call.cancel()
    following = await agent.open()
    release.set()
    with pytest.raises(RefusedError) as caught:
        await agent.greet(following)
    assert caught.value.code == "STALE_HELLO"
    await at_home(world, agent)


async def at_home(world: World, agent: VirtualAgent) -> None:
    """The next hello is welcome, and nobody was alarmed."""
    welcome = await agent.connect()
    assert not welcome.quarantined
    for kind in ("alert.identity_cloned", "alert.hello_repeats"):
        assert await world.events(kind) == []


async def test_a_server_that_stops_waits_for_the_hello_that_it_commits(world: World, held: Callable[[], Held]) -> None:
    agent = world.agent("host-1")
    session = await agent.open()
    group = held()
    await session.call.write(agent.hello(session.challenge))
    await group.committed.wait()
    stopping = asyncio.create_task(world._stack.aclose())
    await until(lambda: world.services.door.is_shut)
    group.release.set()
    await stopping
    assert len(world.server.registry) == 0
    await world.start()
    assert (await world.identity("host-1"))["server_id"] == ""
