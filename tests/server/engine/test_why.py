"""``why`` says what the engine does next: each prediction is compared with what the real engine then does."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import rollouts_pb2 as pb
from fleetroll_server.engine.book import open_book
from fleetroll_server.engine.moves import HOST, note
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, HostProductRow, table_of
from tests.faults.policies import rule, window
from tests.faults.stocks import FLEET, NEW, OLD
from tests.faults.virtual_disk import code_name

if TYPE_CHECKING:
    from tests.faults.worlds import World

AGENT, PRODUCT = table_of(AgentRow), table_of(HostProductRow)
ALL = tuple(f"host-{number}" for number in range(1, 9))
STATES = 40
"""Random states of eight hosts each."""


async def why(world: World, name: str) -> list[pb.HostStanding]:
    """Return how a host stands."""
    answer = await world.call(world.rollouts.ExplainHost, pb.ExplainHostRequest(agent=name))
    assert answer.name == name
    return list(answer.standings)


async def first(world: World, name: str) -> tuple[str, str]:
    """Return what comes next in the newest rollout, and why."""
    standing = (await why(world, name))[0]
    code = code_name(standing.findings[0].code) if standing.findings else ""
    return pb.NextStep.Name(standing.next).removeprefix("NEXT_STEP_"), code


async def asked(world: World, name: str) -> tuple[str, str]:
    """Return what the next ask of a staged host really brings, in the words of ``why``."""
    answer = await world.agent(name).ask()
    if isinstance(answer, stream_pb2.Go):
        return "GO", ""
    ended = (await world.host(name))["state"] == "skipped"
    return ("END" if ended else "WAIT"), code_name(answer.code)


async def finish(world: World, name: str) -> None:
    """Let a host that has Go go all the way."""
    agent = await world.on_trial(name)
    await agent.commit()


async def test_no_rollout_means_it(world: World) -> None:
    assert await why(world, "host-1") == []


async def test_a_staged_host_with_nothing_in_its_way_gets_go(world_on_each: World) -> None:
    world = world_on_each
    await world.online("host-1")
    rollout = await world.roll("host-1")
    assert await first(world, "host-1") == ("UNDER_WAY", "")
    await world.staged("host-1")
    assert await first(world, "host-1") == ("GO", "") == await asked(world, "host-1")
    assert await first(world, "host-1") == ("UNDER_WAY", "")
    await finish(world, "host-1")
    assert await world.state(rollout) == "COMPLETED"


@pytest.mark.parametrize("step", ["pause", "kill", "budget", "pin", "window", "quarantine"])
async def test_what_is_in_a_staged_hosts_way_is_what_its_ask_is_refused_for(world: World, step: str) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2")
    for name in ("host-1", "host-2"):
        await world.staged(name)
    if step == "pause":
        await world.pause(rollout)
    elif step == "kill":
        await world.press()
    elif step == "budget":
        await world.agent("host-2").granted()
    elif step == "pin":
        await rule(world, pin="patch 0.9.9")
    elif step == "window":
        await rule(world, windows=[window(world, 120, 60)])
    else:
        mine = sa.update(AGENT).where(AGENT.c.name == "host-1").values(quarantined=True)
        await world.services.store.writer.command(lambda tx: tx.execute(every_fleet(mine, "a test")))
    said = await first(world, "host-1")
    assert said == await asked(world, "host-1")
    assert said[0] in {"WAIT", "END"}
    if step == "budget":
        await finish(world, "host-2")
    if step == "window":
        (standing,) = await why(world, "host-1")
        assert standing.findings[0].HasField("clears_at")


async def test_a_later_wave_says_what_it_waits_for(world: World) -> None:
    await world.online("host-1", "host-2")
    await world.roll("host-1", "host-2", waves=[1, 0])
    (standing,) = await why(world, "host-2")
    assert await first(world, "host-2") == ("WAIT", "WAVE_NOT_PASSED")
    assert "its wave 2 has not begun: it waits for 1 host of wave 1" in standing.findings[0].message


async def test_a_host_that_has_its_result_says_it(world: World) -> None:
    await world.online("host-1")
    await world.roll("host-1")
    await world.update("host-1")
    assert await first(world, "host-1") == ("ENDED", "")


async def looked_at_again(world: World, rollout: str, chance: random.Random) -> None:
    """Let nobody wait, as after a hello of each, and change what is known of the hosts at random."""
    here, now = world.services.server_id, world.clock.now()

    async def job(tx: Any) -> None:
        book = await open_book(tx, rollout, FLEET)
        assert book is not None
        query = every_fleet(sa.select(HOST).where(HOST.c.rollout_id == rollout), "a test")
        for row in [dict(found) for found in (await tx.execute(query)).mappings()]:
            await note(tx, book, row, waiting="")
            facts = {
                "server_id": here if chance.random() < 0.6 else "",
                "online_until": now + timedelta(seconds=30) if chance.random() < 0.3 else None,
                "check_in_seconds": chance.choice((0.0, 3600.0)),
                "quarantined": chance.random() < 0.15,
                "revoked": chance.random() < 0.1,
                "os": chance.choice(("linux", "linux", "linux", "plan9")),
            }
            mine = sa.update(AGENT).where(AGENT.c.id == row["agent_id"]).values(**facts)
            await tx.execute(every_fleet(mine, "a test"))
            version = NEW if chance.random() < 0.15 else OLD
            theirs = sa.update(PRODUCT).where(PRODUCT.c.agent_id == row["agent_id"]).values(version=version)
            await tx.execute(every_fleet(theirs, "a test"))
        await book.write(tx)

    await world.services.store.writer.command(job)


def really(row: dict[str, Any]) -> tuple[str, str]:
    """Return what became of a pending host, in the words of ``why``."""
    if row["state"] == "offered":
        return "OFFER", ""
    if row["state"] in {"skipped", "failed", "cancelled"}:
        return "END", row["code"]
    assert row["state"] == "pending"
    return "WAIT", row["waiting"] or "BUDGET"


@pytest.mark.timeout(300)
async def test_in_random_states_pending_hosts_become_what_was_said(world: World) -> None:
    chance, seen = random.Random(11), dict[str, int]()
    await world.online(*ALL)  # each has said once what it runs
    for name in ALL:
        await world.drop(name)
    original = await world.rows(AgentRow)
    for _ in range(STATES):
        limits = {"max_downloading": chance.choice((1, 3, 50)), "max_concurrent": 8, "max_failed": 100}
        world.clock.advance(1)
        rollout = await world.roll(*ALL, limits={**limits, "failure_limit": 1.0})
        await looked_at_again(world, rollout, chance)
        said = {name: (await first(world, name), await why(world, name)) for name in ALL}
        await world.sweep()
        for name in ALL:
            row = await world.host(name, rollout)
            told, (standing,) = said[name]
            became = really(row)
            if told == ("WAIT", "BUDGET") != became:  # behind others, and looked at all the same: by its other findings
                assert became[1] in {code_name(finding.code) for finding in standing.findings[1:]}, (name, became)
                assert became[0] != "OFFER"
            else:
                assert told == became, (name, row["state"], row["waiting"], row["code"])
            seen[" ".join(told)] = seen.get(" ".join(told), 0) + 1
        await world.cancel(rollout)
        for row in original:
            mine = sa.update(AGENT).where(AGENT.c.id == row["id"]).values(**{k: row[k] for k in row if k != "id"})
            await world.services.store.writer.command(lambda tx, mine=mine: tx.execute(every_fleet(mine, "a test")))
        back = sa.update(PRODUCT).values(version=OLD)
        await world.services.store.writer.command(lambda tx, back=back: tx.execute(every_fleet(back, "a test")))
    assert {"OFFER", "WAIT BUDGET", "WAIT HOST_OFFLINE", "WAIT CHECK_IN", "WAIT QUARANTINED"} <= {
        key.strip() for key in seen
    }, seen
    assert {"END HOST_REVOKED", "END ALREADY_AT_TARGET", "END NO_ARTIFACT"} <= set(seen), seen
    print(f"why: {sum(seen.values())} states of hosts, each as it was said: {seen}")
