"""No text of a host or a person makes a message that the channel refuses: what is too much comes in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fleetroll.v1 import rollouts_pb2
from fleetroll_common.wire.channel import MAX_MESSAGE_BYTES
from fleetroll_server.store import EventFact
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import (
    AgentRow,
    AssignmentRow,
    AttemptHistoryRow,
    HostProductRow,
    RolloutHostRow,
    RolloutRow,
    table_of,
)
from tests.faults.event_watcher import ALL, EventWatcher
from tests.faults.stocks import FLEET, NEW
from tests.server.events.test_watching import MEMBERS, agrees, logged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.worlds import World

LETTER = "語"
"""Three bytes on the wire."""
MESSAGE, TAIL = LETTER * 2000, LETTER * 4000
"""As long as the server takes them from a host."""
PRODUCTS = 64
"""As many as a host may have."""
LABELS = {f"{number:02}".ljust(63, LETTER): LETTER * 255 for number in range(64)}
"""As many and as long as a host may have them."""
MANY_NAMES = [f"host-{number:06}" for number in range(150_000)]
"""As many as a request holds."""
THREE = ("host-1", "host-2", "host-3")


async def write(world: World, *statements: Any) -> None:
    async def job(tx: Any) -> None:
        for statement, *rows in statements:
            await tx.execute(statement, *rows)

    await world.services.store.writer.command(job)


async def emit(world: World, count: int, agents: Sequence[str] = ("",), message: str = MESSAGE) -> None:
    """Let things happen, in one transaction."""

    async def job(tx: Any) -> None:
        for number in range(count):
            agent = agents[number % len(agents)]
            tx.emit(EventFact(FLEET, "test.said", "engine", "test", agent_id=agent, message=message))

    await world.services.store.writer.command(job)


async def ids_of(world: World) -> list[str]:
    return sorted(row["id"] for row in await world.rows(AgentRow))


async def stuff_hosts(world: World, rollout: str) -> None:
    """Give each host as many products and labels as it may have, all with words of the greatest length."""
    now, agents = world.clock.now(), await ids_of(world)
    names = [f"product-{number}" for number in range(PRODUCTS)]
    pairs: list[dict[str, Any]] = [
        {"agent_id": agent, "product": name, "fleet_id": FLEET} for agent in agents for name in names
    ]
    said: dict[str, Any] = {"state": "rolled_back", "to_version": NEW, "message": MESSAGE}
    said |= {"generation": 1, "rollout_id": rollout, "offered_at": now, "ended_at": now}
    wanted: dict[str, Any] = {"generation": 1, "version": NEW}
    wanted |= {"actor_kind": "engine", "actor_id": "test", "decided_at": now}
    labelled = every_fleet(sa.update(table_of(AgentRow)).values(labels=LABELS), "a test writes")
    await write(
        world,
        (
            sa.insert(table_of(AttemptHistoryRow)),
            [AttemptHistoryRow(**(pair | said)).model_dump() for pair in pairs],
        ),
        (sa.insert(table_of(AssignmentRow)), [AssignmentRow(**(pair | wanted)).model_dump() for pair in pairs]),
        (sa.insert(table_of(HostProductRow)), [HostProductRow(**pair).model_dump() for pair in pairs]),
        (labelled,),
    )


async def stuff_attempts(world: World, rollout: str) -> None:
    """Let each host of a rollout have said as much as it may."""
    table = table_of(RolloutHostRow)
    change = sa.update(table).where(table.c.rollout_id == rollout)
    await write(world, (every_fleet(change.values(message=MESSAGE, output_tail=TAIL), "a test writes"),))


async def test_a_catch_up_of_long_words(world_on_each: World) -> None:
    world = world_on_each
    before = len(await logged(world))
    watcher = EventWatcher(world)
    async with watcher.watching():
        await watcher.until(lambda: watcher.snapshots == 1)
    await emit(world, 2500, await ids_of(world))
    async with watcher.watching():
        await agrees(watcher, world, since=before)
    assert (watcher.snapshots, watcher.resyncs) == (1, [])
    assert sum(watcher.sizes) > 2 * MAX_MESSAGE_BYTES


async def test_many_long_words_at_once(world_on_each: World) -> None:
    world = world_on_each
    before = len(await logged(world))
    watcher = EventWatcher(world)
    async with watcher.watching():
        await watcher.until(lambda: watcher.snapshots == 1)
        await emit(world, 2000, await ids_of(world))
        await agrees(watcher, world, since=before)
    assert (watcher.snapshots, watcher.resyncs) == (1, [])


async def test_hosts_with_as_much_as_they_may_have(world_on_each: World) -> None:
    world = world_on_each
    rollout = await world.roll(*THREE)
    await stuff_hosts(world, rollout)
    watcher = EventWatcher(world)
    before = len(await logged(world))
    async with watcher.watching():
        await watcher.until(lambda: watcher.snapshots == 1)
        assert [len(agent.products) for agent in watcher.agents.values()] == [PRODUCTS] * len(await ids_of(world))
        assert watcher.agents[min(watcher.agents)].products[-1].last_attempt.message == MESSAGE
        await emit(world, 8, await ids_of(world))
        await agrees(watcher, world, since=before)
    assert sum(watcher.sizes) > MAX_MESSAGE_BYTES


async def test_rollouts_of_more_names_than_a_message_holds(world: World) -> None:
    one, two = await world.roll("host-1"), await world.roll("host-2")
    table = table_of(RolloutRow)
    change = sa.update(table).values(selection={"hosts": MANY_NAMES, "labels": {}, "exclude": MANY_NAMES})
    await write(world, (every_fleet(change, "a test writes"),))
    watcher = EventWatcher(world)
    async with watcher.watching():
        await watcher.until(lambda: set(watcher.rollouts) == {one, two})
        await world.pause(one)
        await watcher.until(lambda: watcher.rollouts[one].state == rollouts_pb2.ROLLOUT_STATE_PAUSED)
    assert not watcher.rollouts[one].HasField("selection"), "an empty one would mean every host"
    assert max(watcher.sizes) < len(MANY_NAMES)


async def test_tails_are_for_who_asks(world_on_each: World) -> None:
    world = world_on_each
    await world.online(*THREE)
    rollout = await world.roll(*THREE)
    await world.fail("host-1", message="exit 1", output_tail=TAIL[:-3] + "end")
    world.left_over[f"rollout/{rollout}"] = (0, 1)
    hosts, members = EventWatcher(world), EventWatcher(world, *MEMBERS, rollout_id=rollout)
    agent = world.agent("host-1").disk.agent_id
    async with hosts.watching(), members.watching():
        await hosts.until(lambda: hosts.snapshots == 1)
        await members.until(lambda: members.snapshots == 1)
    (product,) = hosts.agents[agent].products
    assert (product.last_attempt.message, product.last_attempt.output_tail) == ("exit 1", "")
    shown = members.members[agent].attempt.output_tail
    assert len(shown) == 1000
    assert shown.endswith(LETTER + "end")


async def test_a_watcher_that_breaks_off_after_each_part_gets_on_and_has_each_event_once(
    world_on_each: World, monkeypatch: Any
) -> None:
    world = world_on_each
    monkeypatch.setattr("fleetroll_server.rpc.convert_events.MESSAGE_BYTES", 4000)
    watcher = EventWatcher(world)
    async with watcher.watching():
        await watcher.until(lambda: watcher.snapshots == 1)
    before = len(await logged(world))
    await world.online(*THREE)
    rollout = await world.roll(*THREE, waves=[1, 0])
    await world.update("host-1")
    await emit(world, 20, await ids_of(world), message="m" * 700)
    log_now = await logged(world)
    parts = 0
    while watcher.events[-1:] != log_now[-1:]:
        seen, parts = len(watcher.events), parts + 1
        async with watcher.watching(messages=1):
            await watcher.broken_off()
        assert watcher.events == log_now[before:][: len(watcher.events)]
        assert len(watcher.events) > seen, "it does not get on"
        came = {event.agent_id for event in watcher.events if event.kind == "agent.online"}
        assert {name for name in came if not watcher.agents[name].online} == set(), "an event without its host"
        assert {event.rollout_id for event in watcher.events} - {""} == set(watcher.rollouts) & {rollout}
    assert parts > 3
    async with watcher.watching():
        await agrees(watcher, world, since=before)
    assert (watcher.snapshots, watcher.resyncs) == (1, [])


async def test_no_message_passes_the_budget_by_more_than_one_thing(world: World, monkeypatch: Any) -> None:
    budget = 3000
    monkeypatch.setattr("fleetroll_server.rpc.convert_events.MESSAGE_BYTES", budget)
    rollout = await world.roll(*THREE)
    await stuff_attempts(world, rollout)
    watcher, members = EventWatcher(world), EventWatcher(world, *ALL, *MEMBERS, rollout_id=rollout)
    async with watcher.watching(), members.watching():
        await watcher.until(lambda: watcher.snapshots == 1)
        await members.until(lambda: members.snapshots == 1)
        for words in (5, 500, 2000):
            await emit(world, 30, await ids_of(world), message=LETTER * words)
        newest = (await logged(world))[-1]
        await watcher.until(lambda: watcher.events[-1:] == [newest])
    for message in (*watcher.messages, *members.messages):
        said = getattr(message, message.WhichOneof("message") or "")
        things = [each.ByteSize() for _, value in said.ListFields() if hasattr(value, "__len__") for each in value]
        assert message.ByteSize() <= budget + 300 or len(things) == 1, things
    pages = [message.snapshot for message in members.messages if message.HasField("snapshot")]
    assert len(pages) > len(THREE)
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
