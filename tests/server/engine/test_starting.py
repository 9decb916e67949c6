"""Starting a rollout: what can't be used is refused with its own code, and nothing is stored."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fleetroll.v1 import rollouts_pb2 as pb
from fleetroll_server.store.tables import ReleaseRow, WaveRow, table_of
from tests.faults.stocks import NEW, NEWER, OLD
from tests.faults.virtual_disk import code, code_name

if TYPE_CHECKING:
    from tests.faults.worlds import World

REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "nobody": ({"selection": pb.Selection(hosts=["host-99"])}, "HOST_NOT_FOUND", ""),
    "nobody left": ({"selection": pb.Selection(hosts=["host-1"], exclude=["host-1"])}, "NO_HOSTS", ""),
    "no such label": ({"selection": pb.Selection(labels={"site": "moon"})}, "NO_HOSTS", ""),
    "unknown version": ({"version": "9.9.9"}, "NOT_FOUND", "version"),
    "bad semver": ({"version": "1.1"}, "INVALID_ARGUMENT", "version"),
    "unknown product": ({"product": "router"}, "NOT_FOUND", ""),
    "no product": ({"product": ""}, "INVALID_ARGUMENT", "product"),
    "zero concurrent": ({"limits": pb.RolloutLimits(max_concurrent=0)}, "THRESHOLD_MISSING", ""),
    "negative failed": ({"limits": pb.RolloutLimits(max_failed=-1)}, "THRESHOLD_MISSING", ""),
    "zero failed": ({"limits": pb.RolloutLimits(max_failed=0)}, "THRESHOLD_MISSING", ""),
    "zero failure limit": ({"limits": pb.RolloutLimits(failure_limit=0.0)}, "THRESHOLD_MISSING", ""),
    "no number": ({"limits": pb.RolloutLimits(failure_limit=float("nan"))}, "THRESHOLD_MISSING", ""),
    "zero sample": ({"limits": pb.RolloutLimits(min_sample=0)}, "THRESHOLD_MISSING", ""),
    "zero out": ({"limits": pb.RolloutLimits(max_out=0)}, "THRESHOLD_MISSING", ""),
    "zero downloading": ({"limits": pb.RolloutLimits(max_downloading=0)}, "INVALID_ARGUMENT", ""),
    "empty wave": ({"waves": [pb.WaveSpec()]}, "INVALID_ARGUMENT", ""),
    "wave of none": ({"waves": [pb.WaveSpec(count=0), pb.WaveSpec(rest=True)]}, "INVALID_ARGUMENT", ""),
    "rest first": ({"waves": [pb.WaveSpec(rest=True), pb.WaveSpec(count=1)]}, "INVALID_ARGUMENT", ""),
    "foreign fleet": ({"selection": pb.Selection(fleet_id="elsewhere")}, "NOT_FOUND", ""),
    "long reason": ({"reason": "x" * 501}, "INVALID_ARGUMENT", "reason"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_can_not_be_used_is_refused_and_nothing_is_stored(world: World, refusal: Any, case: str) -> None:
    values, code, field = REFUSED[case]
    await world.online("host-1")
    before = await world.totals()
    request = pb.StartRolloutRequest(**({"product": "agent", "version": NEW} | values))
    why = await refusal(world.call(world.rollouts.StartRollout, request))
    assert why.code == code, why
    assert why.remedy
    assert not field or why.facts["field"] == field
    assert await world.totals() == before
    assert await world.agent("host-1").waiting("assignment") == []


async def test_a_host_that_another_rollout_means_is_refused_by_the_rollouts_name(world: World, refusal: Any) -> None:
    await world.online("host-1")
    first = await world.roll("host-1")
    before = await world.totals()
    why = await refusal(world.roll("host-1", version=NEWER))
    assert (why.code, first in why.message) == ("ROLLOUT_ACTIVE", True)
    assert await world.totals() == before
    second = await world.roll("host-2", version=NEWER)
    for rollout in (first, second):
        await world.cancel(rollout)


async def test_two_starts_at_the_same_moment_are_one_rollout_and_one_refusal(world: World) -> None:
    results = await asyncio.gather(world.roll("host-1"), world.roll("host-1"), return_exceptions=True)
    started = [result for result in results if isinstance(result, str)]
    assert len(started) == 1
    assert (await world.totals())["rollout"] == 1
    await world.cancel(started[0])


async def test_the_same_key_answers_with_the_same_rollout(world: World, refusal: Any) -> None:
    first = await world.roll("host-1", idempotency_key="monday")
    before = await world.totals()
    assert await world.roll("host-1", idempotency_key="monday") == first
    why = await refusal(world.roll("host-2", idempotency_key="monday"))
    assert why.code == "ALREADY_EXISTS"
    assert await world.totals() == before
    await world.cancel(first)
    assert await world.roll("host-1", idempotency_key="monday") == first, "also after its end"
    await world.cancel(await world.roll("host-1", idempotency_key="tuesday"))


async def test_the_same_key_names_the_same_hosts_that_are_left_out(world_on_each: World) -> None:
    world = world_on_each
    await world.revoke("host-2")
    request = world.order("host-1", "host-2", idempotency_key="monday")
    first = await world.call(world.rollouts.StartRollout, request)
    assert [(left_out.name, left_out.code) for left_out in first.exclusions] == [("host-2", code("HOST_REVOKED"))]
    again = await world.call(world.rollouts.StartRollout, request)
    assert (again.rollout.id, list(again.exclusions)) == (first.rollout.id, list(first.exclusions))
    await world.cancel(first.rollout.id)
    assert list((await world.call(world.rollouts.StartRollout, request)).exclusions) == list(first.exclusions)


async def test_without_a_version_it_is_the_newest_and_limits_are_filled_in_and_shown(world: World) -> None:
    rollout = await world.roll("host-1", version="")
    shown = await world.show(rollout)
    assert shown.version == NEWER
    limits = shown.limits
    numbers = (limits.max_concurrent, limits.max_failed, limits.failure_limit, limits.min_sample, limits.max_out)
    assert numbers == (1, 1, 0.02, 1, 1)
    assert (limits.soak.seconds, limits.lease.seconds, limits.not_after.seconds) == (60, 300, 7 * 86_400)
    await world.cancel(rollout)


@pytest.mark.parametrize(
    "change", [{"channels": ["beta"]}, {"version": f"{NEWER}-rc.1"}], ids=["other channel", "pre-release"]
)
async def test_without_a_version_it_is_never_a_release_that_is_not_stable(world: World, change: dict[str, Any]) -> None:
    table = table_of(ReleaseRow)

    async def job(tx: Any) -> None:
        await tx.execute(sa.update(table).where(table.c.version == NEWER).values(**change))

    await world.services.store.writer.command(job)
    rollout = await world.roll("host-1", version="")
    assert (await world.show(rollout)).version == NEW
    await world.cancel(rollout)


async def test_breaking_changes_need_a_word(world: World, refusal: Any) -> None:
    table = table_of(ReleaseRow)

    async def job(tx: Any) -> None:
        await tx.execute(sa.update(table).values(breaking_changes="the config moved"))

    await world.services.store.writer.command(job)
    why = await refusal(world.roll("host-1"))
    assert (why.code, "the config moved" in why.message) == ("NOT_ALLOWED", True)
    await world.cancel(await world.roll("host-1", acknowledge_breaking_changes=True))


async def test_hosts_that_are_left_out_are_named(world: World) -> None:
    agent = world.agent("host-1")
    agent.disk.version = NEW
    await agent.connect()
    await agent.cut()
    answer = await world.call(world.rollouts.StartRollout, world.order("host-1", "host-2"))
    assert [(item.name, code_name(item.code)) for item in answer.exclusions] == [("host-1", "ALREADY_AT_TARGET")]
    await world.cancel(answer.rollout.id)


async def test_a_standard_client_lists_hosts_and_starts_a_rollout_through_reflection(
    world: World, tmp_path: Path
) -> None:
    await world.online("host-1")
    ca = tmp_path / "ca.pem"
    ca.write_bytes(world.services.ca_pem)

    async def curl(method: str, request: dict[str, Any]) -> dict[str, Any]:
        buf = Path(sys.executable).with_name("buf")
        arguments: list[str | Path] = [
            buf, "curl", "--protocol", "grpc", "--cacert", ca, "--reflect-header", "*",
            "--header", f"authorization: Bearer {world.stock.token}", "--data", json.dumps(request),
            f"https://{world.server.address}/fleetroll.v1.{method}",
        ]  # fmt: skip
        done = await asyncio.to_thread(
            lambda: subprocess.run(arguments, capture_output=True, cwd=tmp_path, timeout=30, check=False)
        )
        assert done.returncode == 0, done.stderr.decode()
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    listed = await curl("AgentsService/ListAgents", {})
    assert [host["name"] for host in listed["agents"] if host.get("online")] == ["host-1"]
    order = {"product": "agent", "version": NEW, "selection": {"hosts": ["host-1"]}, "reason": "by hand"}
    started = await curl("RolloutsService/StartRollout", order)
    assert started["rollout"]["state"] == "ROLLOUT_STATE_RUNNING"
    await world.update("host-1")
    shown = await curl("RolloutsService/GetRollout", {"rolloutId": started["rollout"]["id"]})
    assert shown["rollout"]["state"] == "ROLLOUT_STATE_COMPLETED"


@pytest.mark.parametrize(("limits", "told"), [({}, 3), ({"max_attempts": 7}, 7)])
async def test_a_host_is_told_how_often_it_may_try_before_go_as_the_plan_says_it(
    world: World, limits: dict[str, int], told: int
) -> None:
    await world.online("host-1")
    rollout = await world.roll("host-1", limits=limits)
    assert (await world.show(rollout)).limits.max_attempts == told
    assert (await world.agent("host-1").expect("assignment")).max_attempts == told
    await world.agent("host-1").connect()
    assert (await world.agent("host-1").expect("assignment")).max_attempts == told, "said again with the same limits"
    await world.cancel(rollout)
    nothing = await world.agent("host-1").expect("assignment")
    assert (nothing.version, nothing.max_attempts) == ("", told)


async def test_a_wave_begins_with_the_cohorts_that_its_hosts_share_and_counts_no_other(world: World) -> None:
    await world.online("host-1", "host-2", "host-3")
    rollout = await world.roll("host-1", "host-2", "host-3", waves=[1, 0])
    for name in ("host-1", "host-2", "host-3"):
        await world.update(name)
    assert await world.state(rollout) == "COMPLETED"
    first, second = sorted(await world.rows(WaveRow, rollout_id=rollout), key=lambda row: row["number"])
    assert first["counters"]["cohorts"] == {}, "one host fails no cohort"
    shared = second["counters"]["cohorts"]
    assert {name.partition("=")[0] for name in shared} >= {"os", "arch", "abi"}
    assert set(map(tuple, shared.values())) == {(2, 0)}


async def supports_from(world: World, version: str) -> None:
    """Let the new release update hosts from a version on, as its publisher would have said."""
    table = table_of(ReleaseRow)
    change = sa.update(table).where(table.c.version == NEW).values(supported_from=version)
    await world.services.store.writer.command(lambda tx: tx.execute(change))


async def test_a_host_below_what_the_release_updates_is_left_out_by_name(world: World) -> None:
    world.agent("host-2").disk.version = "0.8.0"
    await world.online("host-1", "host-2")
    await supports_from(world, OLD)
    answer = await world.call(world.rollouts.StartRollout, world.order("host-1", "host-2"))
    assert [(item.name, code_name(item.code)) for item in answer.exclusions] == [("host-2", "BELOW_SUPPORTED")]
    await world.update("host-1")
    assert await world.state(answer.rollout.id) == "COMPLETED"


async def test_a_host_that_has_gone_below_it_is_skipped_when_its_turn_comes(world: World) -> None:
    await world.online("host-1", "host-2")
    await supports_from(world, OLD)
    rollout = await world.roll("host-1", "host-2", waves=[1, 0])
    agent = world.agent("host-2")
    agent.disk.version = "0.8.0"
    await agent.connect()
    await world.update("host-1")
    row = await world.host("host-2")
    assert (row["state"], row["code"]) == ("skipped", "BELOW_SUPPORTED")
    await world.cancel(rollout)
