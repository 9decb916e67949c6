"""A release that calls itself another version than it was signed as: one alarm for each attempt, whoever saw it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.stocks import NEW, OLD
from tests.faults.virtual_disk import code

if TYPE_CHECKING:
    from tests.faults.virtual_agent import VirtualAgent
    from tests.faults.worlds import World

KIND = "alert.came_back_other"
MISMATCH = code("VERSION_MISMATCH")
WORDS = f"the program reports '1.0.5', its release is {NEW}"


async def applying(world: World) -> tuple[str, VirtualAgent]:
    """Start a rollout to one host that applies; return both."""
    await world.online("host-1")
    rollout = await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    await agent.report("applying", step="self_test")
    return rollout, agent


async def under_another_name(world: World) -> tuple[str, VirtualAgent]:
    """Bring a release on trial that calls itself 1.0.5, and by its self-test what it should."""
    rollout, agent = await applying(world)
    agent.disk.calls_itself = "1.0.5"
    await agent.try_out(NEW, world.stock.digests[NEW])
    return rollout, agent


@pytest.mark.parametrize("state", ["failed", "rolled_back", "rollback_failed"])
async def test_a_host_that_refused_it_raises_the_alarm(world: World, state: str) -> None:
    """Its self-test said so before the switch, or the agent itself on trial."""
    rollout, agent = await applying(world)
    world.left_over = dict.fromkeys(("fleet", "global"), (0, int(state == "rollback_failed")))
    await agent.report(state, code=MISMATCH, message=WORDS, running_version=OLD)
    (alarm,) = await world.events(KIND)
    assert (alarm["code"], alarm["agent_id"], alarm["message"]) == ("VERSION_MISMATCH", agent.disk.agent_id, WORDS)
    row = await world.host("host-1")
    assert (row["state"], row["code"]) == (state, "VERSION_MISMATCH")
    await world.cancel(rollout)


async def test_an_end_that_is_told_again_is_no_second_alarm(world: World) -> None:
    """By a hello first, then by its journal, and by that again."""
    rollout, agent = await applying(world)
    result = agent.journal("failed", code=MISMATCH, message=WORDS, running_version=OLD)
    assert agent.disk.attempt is not None
    agent.disk.attempt["code"] = MISMATCH
    for _ in range(2):
        await agent.connect()
        await agent.deliver(result)
    assert len(await world.events(KIND)) == 1
    assert (await world.host("host-1"))["message"] == WORDS
    await world.cancel(rollout)


async def test_each_attempt_has_its_own_alarm(world: World) -> None:
    """A person tries again, and it is still another version. That it goes back for that is no end yet."""
    rollout, agent = await applying(world)
    await agent.report("failed", code=MISMATCH, message=WORDS)
    await world.cancel(rollout)
    rollout = await world.roll("host-1")
    await world.staged("host-1")
    await agent.granted()
    await agent.report("applying", "failed", code=MISMATCH, message=WORDS)
    assert len(await world.events(KIND)) == 2
    await world.cancel(rollout)


async def test_a_failure_for_another_reason_is_no_alarm(world: World) -> None:
    """A self-test that fails, for one."""
    rollout, agent = await applying(world)
    await agent.report("failed", code=code("SELF_TEST_FAILED"), message="the self-test ended with 1")
    assert await world.events(KIND) == []
    await world.cancel(rollout)


async def test_one_that_the_server_saw_on_trial_and_its_host_later_is_one_alarm(world: World) -> None:
    """The host's own word is the better one then: it stands."""
    rollout, agent = await under_another_name(world)
    agent.disk.calls_itself = ""
    await agent.back(code=MISMATCH, message=WORDS)
    assert len(await world.events(KIND)) == 1
    assert (await world.host("host-1"))["code"] == "VERSION_MISMATCH"
    await world.cancel(rollout)


@pytest.mark.parametrize("hello_first", [False, True])
async def test_a_host_that_only_missed_its_promote_does_not_hide_why_none_came(
    world: World, *, hello_first: bool
) -> None:
    """The server withheld it, and its own reason stays, in code and words; the host's last output comes with it."""
    rollout, agent = await under_another_name(world)
    disk = agent.disk
    disk.calls_itself, disk.version, disk.sha256, disk.on_trial = "", OLD, "", False
    facts: dict[str, Any] = {"code": code("LOST_CONTACT"), "unproven": True}
    words = {"message": "no promote", "output_tail": "its last words", "running_version": OLD}
    result = agent.journal("rolled_back", **facts, **words)
    if hello_first:
        assert disk.attempt is not None
        disk.attempt |= facts
        await agent.connect()
    await agent.deliver(result)
    await agent.deliver(result)
    row = await world.host("host-1")
    assert (row["state"], row["code"], row["unproven"]) == ("rolled_back", "CAME_BACK_OTHER", True)
    assert f"calls itself 1.0.5, the release is {NEW}" in row["message"]
    assert row["output_tail"] == "its last words"
    assert len(await world.events(KIND)) == 1
    await world.cancel(rollout)


async def test_a_fault_that_its_host_proved_stands(world: World) -> None:
    """It fell before its lease was over: that is more than that no Promote came."""
    rollout, agent = await under_another_name(world)
    agent.disk.calls_itself = ""
    await agent.back(code=code("EXITED"), message="signal SIGSEGV")
    assert (await world.host("host-1"))["code"] == "EXITED"
    await world.cancel(rollout)


async def test_no_word_of_the_release_raises_a_second_alarm(world: World) -> None:
    rollout, agent = await under_another_name(world)
    for word in ("LOST_CONTACT", "HELD_LOCALLY", "LOST_CONTACT"):
        await agent.report("trial", code=code(word), message="nothing of note")
    assert len(await world.events(KIND)) == 1
    assert (await world.host("host-1"))["code"] == "CAME_BACK_OTHER"
    await agent.back(code=MISMATCH, message=WORDS)
    assert len(await world.events(KIND)) == 1
    await world.cancel(rollout)


async def test_no_word_of_the_release_keeps_the_alarm_away(world: World) -> None:
    """That it came back as another version is the server's own word."""
    rollout, agent = await applying(world)
    await agent.report("applying", step="self_test", code=code("CAME_BACK_OTHER"), message="all is well")
    await agent.report("failed", code=MISMATCH, message=WORDS, running_version=OLD)
    assert len(await world.events(KIND)) == 1
    await world.cancel(rollout)
