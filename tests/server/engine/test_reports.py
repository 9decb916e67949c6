"""Reports: every one is stored once and acknowledged after its commit; only legal ones move anything."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll_server.store.tables import HostProductRow, ReportRow
from tests.faults.stocks import NEW, OLD
from tests.faults.virtual_disk import PRODUCT, code, code_name

if TYPE_CHECKING:
    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World


async def applying(world: World) -> tuple[str, VirtualAgent]:
    """Start a rollout to one host that applies; return both."""
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    await agent.report("applying")
    return rollout, agent


async def stored(world: World) -> list[tuple[int, str, str]]:
    """Return sequence, status and code of every report."""
    return sorted((row["sequence"], row["status"], row["code"]) for row in await world.rows(ReportRow))


async def test_a_report_that_comes_again_is_acknowledged_again_and_stored_once(world: World) -> None:
    _, agent = await applying(world)
    again = agent.journal("succeeded", running_version=NEW)
    changes = len(await world.events("attempt.state"))
    for _ in range(3):
        assert await agent.deliver(again) == agent.disk.sequence
    assert await stored(world) == [(n, "accepted", "") for n in (1, 2, 3, 4)]
    assert len(await world.events("attempt.state")) == changes + 1
    assert (await world.show((await world.host("host-1"))["rollout_id"])).waves[0].attempted == 1


async def test_a_result_counts_once_however_it_is_told(world: World) -> None:
    rollout, agent = await applying(world)
    result = agent.journal("rolled_back", running_version=OLD)
    await agent.connect()
    await agent.deliver(result)
    await agent.connect()
    wave = (await world.show(rollout)).waves[0]
    assert (wave.bad, wave.attempted) == (1, 1)
    assert await world.budget("rollout/") == (0, 1)
    facts = [row["attempt_state"] for row in await world.events("attempt.state")]
    assert facts.count("rolled_back") == 1
    await world.cancel(rollout)


async def test_what_comes_after_a_gap_is_not_acknowledged_before_the_gap_is_filled(world: World) -> None:
    _, agent = await applying(world)
    early, result = agent.journal("applying", step="restart"), agent.journal("cancelled")
    assert await agent.deliver(result) == 3
    assert await world.states("host-1") == ["applying"]
    assert await agent.deliver(early) == 4
    assert await agent.deliver(result) == 5
    assert await world.states("host-1") == ["cancelled"]


async def test_a_batch_with_a_gap_counts_up_to_the_gap(world: World) -> None:
    _, agent = await applying(world)
    first, lost, last = agent.journal("applying", "applying", "cancelled")
    assert await agent.deliver([first, last]) == 4
    assert await agent.deliver([first, lost, last]) == 6


ILLEGAL = ("granted", "promoted", "pending", "skipped", "expired", "lost")


@pytest.mark.parametrize("state", ILLEGAL)
async def test_a_state_that_hosts_can_not_say_is_stored_as_rejected_and_acknowledged(world: World, state: str) -> None:
    _, agent = await applying(world)
    assert await agent.report(state) == 4
    assert (await stored(world))[-1] == (4, "rejected", "REPORT_ILLEGAL")
    assert await world.states("host-1") == ["applying"]
    await agent.report("cancelled")


async def test_a_state_of_a_newer_contract_is_rejected_and_acknowledged(world: World) -> None:
    _, agent = await applying(world)
    (report,) = agent.journal("cancelled")
    report.state = 99  # type: ignore[assignment]
    assert await agent.deliver([report]) == 4
    assert (await stored(world))[-1] == (4, "rejected", "REPORT_INVALID")
    await agent.report("cancelled")


async def test_an_illegal_report_does_not_take_its_neighbours_along(world: World) -> None:
    _, agent = await applying(world)
    assert await agent.report("applying", "promoted", "cancelled") == 6
    assert [status for _, status, _ in (await stored(world))[3:]] == ["accepted", "rejected", "accepted"]
    assert await world.states("host-1") == ["cancelled"]


async def test_a_report_of_an_earlier_step_is_history(world: World) -> None:
    _, agent = await applying(world)
    assert await agent.report("downloading", "staged") == 5
    assert await world.states("host-1") == ["applying"]
    await agent.back("succeeded")
    agent.disk.attempt = {"generation": 1, "version": NEW}
    await agent.report("applying", "trial")
    assert await world.states("host-1") == ["succeeded"]
    assert [status for _, status, _ in await stored(world)][3:] == ["history", "history", "accepted", *["history"] * 2]


async def test_a_report_of_an_attempt_that_nobody_knows_is_history(world: World) -> None:
    (agent,) = await world.online("host-1")
    agent.disk.attempt = {"generation": 77, "version": NEW}
    assert await agent.report("failed") == 1
    assert await stored(world) == [(1, "history", "")]


async def test_a_late_way_back_moves_a_success_to_broken_and_alerts(world: World) -> None:
    await world.online("host-1", "host-2")
    rollout = await world.roll("host-1", "host-2")
    agent = await world.update("host-1")
    agent.disk.attempt = {"generation": agent.disk.highest, "version": NEW}
    await agent.back("rolled_back", code=code("HEALTH_FAILED"), message="died an hour later")
    row = await world.host("host-1")
    assert (row["state"], row["late"], row["code"]) == ("rolled_back", True, "HEALTH_FAILED")
    assert len(await world.events("alert.rolled_back_late")) == 1
    assert await world.state(rollout) == "HALTED"
    assert await world.budget("rollout/") == (0, 1)
    await world.cancel(rollout)


async def test_a_late_way_back_after_the_end_is_an_alert_and_reopens_nothing(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.update("host-1")
    assert await world.state(rollout) == "COMPLETED"
    agent.disk.attempt = {"generation": agent.disk.highest, "version": NEW}
    await agent.back("rolled_back")
    assert (await world.states("host-1"), await world.state(rollout)) == (["rolled_back"], "COMPLETED")
    assert len(await world.events("alert.rolled_back_late")) == 1
    for scope in ("global", "fleet/", "rollout/"):
        assert await world.budget(scope) == (0, 0)


async def test_a_new_journal_begins_at_one(world: World) -> None:
    _, agent = await applying(world)
    agent.disk.journal_id, agent.disk.sequence = "journal-2", 0
    welcome = await agent.connect()
    assert (welcome.ack.journal_id, welcome.ack.sequence) == ("journal-2", 0)
    assert await agent.report("cancelled") == 1
    assert await world.states("host-1") == ["cancelled"]


async def test_a_batch_of_another_journal_than_the_hellos_is_refused(world: World) -> None:
    _, agent = await applying(world)
    agent.disk.journal_id = "journal-2"
    await agent.send(reports=stream_pb2.ReportBatch(journal_id="journal-2", reports=agent.journal("applying")))
    ended = await agent.ended()
    assert ended is not None
    assert ended.code == "REPORT_INVALID"
    agent.disk.sequence = 0
    await agent.connect()
    await agent.report("cancelled")


@pytest.mark.parametrize("size", [0, 101])
async def test_a_batch_of_a_size_that_the_contract_does_not_know_is_refused(world: World, size: int) -> None:
    (agent,) = await world.online("host-1")
    reports = [stream_pb2.Report(sequence=n, product=PRODUCT) for n in range(1, size + 1)]
    await agent.send(reports=stream_pb2.ReportBatch(journal_id=agent.disk.journal_id, reports=reports))
    ended = await agent.ended()
    assert ended is not None
    assert ended.code == "REPORT_INVALID"
    assert await stored(world) == []


async def test_a_hundred_reports_are_one_batch(world: World) -> None:
    (agent,) = await world.online("host-1")
    agent.disk.attempt = {"generation": 77, "version": NEW}
    assert await agent.deliver(agent.journal(*["applying"] * 100)) == 100
    agent.disk.attempt = None


async def test_the_welcome_says_what_is_held(world: World) -> None:
    _, agent = await applying(world)
    welcome = await agent.connect()
    assert (welcome.ack.journal_id, welcome.ack.sequence) == (agent.disk.journal_id, 3)
    await agent.report("cancelled")


async def test_nothing_is_acknowledged_that_was_not_stored(world: World) -> None:
    _, agent = await applying(world)
    result = agent.journal("succeeded", running_version=NEW)
    async with world.broken_disk():
        await agent.send(reports=stream_pb2.ReportBatch(journal_id=agent.disk.journal_id, reports=result))
        async with asyncio.timeout(10):
            while world.services.store.writer.healthy:
                await asyncio.sleep(0.01)
        assert "ack" not in [str(item.WhichOneof("message")) for item in agent.here.inbox]
        assert (await world.identity("host-1"))["last_sequence"] == 3
        assert await world.states("host-1") == ["applying"]
    assert (await agent.expect("ack")).sequence == 4
    assert await world.states("host-1") == ["succeeded"]


async def test_no_go_leaves_that_was_not_stored(world: World) -> None:
    await world.online("host-1")
    await world.roll("host-1")
    agent = await world.staged("host-1")
    async with world.broken_disk():
        assert await agent.refused_go() == "STORE_FAILED"
    assert await world.states("host-1") == ["staged"]
    await agent.granted()
    await agent.report("cancelled")


async def test_an_acknowledged_report_survives_a_kill(world: World) -> None:
    _, agent = await applying(world)
    agent.disk.version, agent.disk.sha256 = NEW, world.stock.digests[NEW]
    assert await agent.report("succeeded", running_version=NEW) == 4
    await world.crash()
    assert (await stored(world))[-1] == (4, "accepted", "")
    assert await world.states("host-1") == ["succeeded"]
    assert (await world.agent("host-1").connect()).ack.sequence == 4


async def test_what_a_host_runs_after_its_step_is_shown(world: World) -> None:
    _, agent = await applying(world)
    await agent.report("succeeded", running_version=NEW)
    (product,) = await world.rows(HostProductRow)
    assert (product["version"], product["sha256"], product["on_trial"]) == (NEW, world.stock.digests[NEW], False)


async def test_why_a_staged_host_waits_by_its_own_rules_is_shown_and_is_no_failure(world: World) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.report("staged", code=code("HELD_LOCALLY"), message="a person holds it")
    row = await world.host("host-1")
    assert (row["state"], row["waiting"]) == ("staged", "HELD_LOCALLY")
    shown = await world.show(rollout)
    assert (shown.waves[0].bad, shown.waiting_for) == (0, "1 host of wave 1 offline or held")
    await agent.granted()
    await agent.report("cancelled")


async def test_reports_of_many_hosts_at_once_all_count(world: World) -> None:
    names = [f"host-{number}" for number in range(1, 7)]
    await world.online(*names)
    rollout = await world.roll(*names, limits={"max_concurrent": 6})
    agents = await asyncio.gather(*[world.staged(name) for name in names])
    await asyncio.gather(*[agent.granted() for agent in agents])
    assert await world.budget("rollout/") == (6, 0)
    await asyncio.gather(*[agent.report("applying") for agent in agents])
    await asyncio.gather(*[agent.report("succeeded", running_version=NEW) for agent in agents])
    assert await world.state(rollout) == "COMPLETED"


async def test_an_ask_after_the_end_is_answered_and_changes_nothing(world: World) -> None:
    _, agent = await applying(world)
    generation = agent.generation
    await agent.report("succeeded", running_version=NEW)
    answer = await agent.ask(generation=generation)
    assert code_name(answer.code) in {"ROLLOUT_STATE", "PAUSED"}
    assert await world.states("host-1") == ["succeeded"]
