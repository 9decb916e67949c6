"""A preview tells what a start right after it does, and writes nothing."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import sqlalchemy as sa

from fleetroll.v1 import options_pb2
from fleetroll.v1 import rollouts_pb2 as pb
from fleetroll_server.store.tables import HostProductRow, table_of
from tests.faults.second_admin import label, second
from tests.faults.stocks import FLEET, NEW, NEWER
from tests.faults.virtual_disk import code, code_name

if TYPE_CHECKING:
    from tests.faults.worlds import World

ALL = tuple(f"host-{number}" for number in range(1, 9))


async def look(world: World, request: pb.StartRolloutRequest) -> pb.PreviewRolloutResponse:
    found: pb.PreviewRolloutResponse = await world.call(
        world.rollouts.PreviewRollout, pb.PreviewRolloutRequest(start=request)
    )
    return found


async def started(world: World, request: pb.StartRolloutRequest) -> tuple[list[list[str]], pb.StartRolloutResponse]:
    """Start it; return the hosts of each wave in their stored order, and the answer."""
    answer = await world.call(world.rollouts.StartRollout, request)
    listed = await world.call(world.rollouts.ListRolloutHosts, pb.ListRolloutHostsRequest(rollout_id=answer.rollout.id))
    waves: list[list[str]] = [[] for _ in answer.rollout.waves]
    for host in listed.hosts:
        waves[host.wave - 1].append(host.name)
    return waves, answer


def planned(preview: pb.PreviewRolloutResponse) -> list[list[str]]:
    assert [wave.number for wave in preview.waves] == list(range(1, len(preview.waves) + 1))
    return [[host.name for host in wave.first_hosts] for wave in preview.waves]


async def furnish(world: World) -> None:
    """A fleet with racks, a canary, a revoked host, and one at the target."""
    await label(
        world,
        host_1={"rack": "b", "site": "ams"},
        host_2={"rack": "a", "site": "ams"},
        host_3={"rack": "a", "site": "fra"},
        host_4={"canary": "yes", "site": "ams"},
        host_5={"site": "ber"},
        host_6={"rack": "c", "site": "ams"},
    )
    await world.online("host-1", "host-2", "host-7")
    await world.revoke("host-6")
    first = await world.roll("host-7")
    await world.update("host-7")
    assert await world.state(first) == "COMPLETED"


REQUESTS: dict[str, dict[str, Any]] = {
    "bare": {},
    "selector": {"selection": pb.Selection(label_selector="site in (ams,fra),!canary"), "batch_size": 2},
    "range": {"selection": pb.Selection(version_range=">=1.0,<1.1")},
    "behind": {"selection": pb.Selection(behind=True, exclude=["host-1"]), "batch_size": 3},
    "canary": {
        "waves": [pb.WaveSpec(label_selector="canary=yes"), pb.WaveSpec(percent=25), pb.WaveSpec(rest=True)],
        "order_by": "label:rack",
    },
    "list": {
        "selection": pb.Selection(hosts=["host-5", "host-1", "host-7", "host-3"]),
        "order_by": "list",
        "waves": [pb.WaveSpec(count=2)],
        "batch_size": 1,
    },
    "named": {"waves": [pb.WaveSpec(hosts=["host-3", "host-2"])], "batch_size": 2, "order_by": "label:site"},
}


@pytest.mark.parametrize("case", REQUESTS)
async def test_a_start_right_after_it_makes_the_same_waves_and_exclusions(world_on_each: World, case: str) -> None:
    world = world_on_each
    await furnish(world)
    request = pb.StartRolloutRequest(**({"product": "agent", "version": NEW} | REQUESTS[case]))
    before = await world.totals()
    preview = await look(world, request)
    assert await world.totals() == before
    waves, answer = await started(world, request)
    assert planned(preview) == waves
    assert [wave.hosts for wave in preview.waves] == [len(wave) for wave in waves]
    assert list(preview.exclusions) == list(answer.exclusions)
    assert sum(count.hosts for count in preview.exclusion_counts) == len(answer.exclusions)
    assert preview.limits == answer.rollout.limits
    assert (preview.version, preview.hosts) == (answer.rollout.version, sum(map(len, waves)))
    await world.cancel(answer.rollout.id)


async def test_what_a_selection_said_is_shown_with_the_rollout(world: World) -> None:
    await furnish(world)
    said = pb.Selection(fleet_id=FLEET, label_selector="site==ams , !canary", version_range=">=1", behind=True)
    request = pb.StartRolloutRequest(product="agent", version=NEW, selection=said, order_by="label:rack")
    waves, answer = await started(world, request)
    assert waves == [["host-2", "host-1"]]
    shown = answer.rollout
    assert (shown.selection.label_selector, shown.selection.version_range) == ("site=ams,!canary", ">=1")
    assert (shown.selection.behind, shown.order_by) == (True, "label:rack")
    await world.cancel(shown.id)


async def test_it_names_what_a_start_would_refuse_and_what_a_person_should_know(world: World) -> None:
    await furnish(world)
    preview = await look(world, pb.StartRolloutRequest(product="agent", version=NEW))
    assert {code_name(count.code): count.hosts for count in preview.exclusion_counts} == {
        "ALREADY_AT_TARGET": 1,
        "HOST_REVOKED": 1,
    }
    kinds = {warning.kind: warning for warning in preview.warnings}
    assert set(kinds) == {"offline", "no_previous"}
    assert kinds["offline"].hosts == 4
    assert "host-3, host-4, host-5, host-8" in kinds["offline"].message
    assert {host.name for wave in preview.waves for host in wave.first_hosts if host.online} == {"host-1", "host-2"}
    await world.press()
    request = pb.StartRolloutRequest(product="agent", version=NEW, limits=pb.RolloutLimits(max_concurrent=5))
    kinds = {warning.kind: warning for warning in (await look(world, request)).warnings}
    assert "kill switch" in kinds["suspended"].message
    assert kinds["no_canary"].hosts == 6
    await world.lift()
    table = table_of(HostProductRow)
    ahead = sa.update(table).where(table.c.fleet_id == FLEET, table.c.version == "1.0.0").values(version="1.1.9")
    await world.services.store.writer.command(lambda tx: tx.execute(ahead))
    back = await look(world, pb.StartRolloutRequest(product="agent", version=NEW))
    down = next(warning for warning in back.warnings if warning.kind == "downgrade")
    assert (down.hosts, "host-1, host-2" in down.message) == (2, True)


async def test_it_says_how_long_and_how_much(world: World) -> None:
    limits = {"max_concurrent": 3, "bake": 600, "soak": 90}
    preview = await look(world, world.order(*ALL, waves=[2, 0], limits=limits))
    assert (preview.per_host_sample, preview.per_host.seconds) == (0, 210)
    assert [wave.estimated_duration.seconds for wave in preview.waves] == [210 + 600, 2 * 210 + 600]
    assert preview.estimated_duration.seconds == 3 * 210 + 1200
    sizes = [wave.download_bytes for wave in preview.waves]
    assert sizes[0] > 0
    assert sizes == [sizes[0], sizes[0] * 3]
    assert preview.download_bytes == sum(sizes)


async def test_what_updates_took_is_what_the_estimate_goes_by(world: World) -> None:
    await world.online("host-1")
    first = await world.roll("host-1")
    agent = await world.staged("host-1")
    await agent.granted()
    await world.on_trial("host-1")
    world.clock.advance(300)
    await agent.commit()
    assert await world.state(first) == "COMPLETED"
    preview = await look(world, world.order("host-2", version=NEWER))
    assert (preview.per_host_sample, preview.per_host.seconds) == (1, 300)
    slow = await look(world, world.order("host-2", version=NEWER, limits={"soak": 400, "lease": 900}))
    assert slow.per_host.seconds == 400, "no host ends before its soak"


async def test_who_may_look_may_preview_and_who_may_not_see_the_fleet_may_not(world: World, refusal: Any) -> None:
    viewer = await second(world, options_pb2.ROLE_VIEWER)
    request = pb.PreviewRolloutRequest(start=pb.StartRolloutRequest(product="agent", version=NEW))
    assert (await viewer.call(world.rollouts.PreviewRollout, request)).hosts == 8
    assert (await refusal(viewer.call(world.rollouts.StartRollout, request.start))).code == "PERMISSION_DENIED"
    request.start.selection.fleet_id = "elsewhere"
    assert (await refusal(viewer.call(world.rollouts.PreviewRollout, request))).code == "NOT_FOUND"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "selector": ({"selection": pb.Selection(label_selector="site in ams")}, "selection.label_selector"),
    "long selector": ({"selection": pb.Selection(label_selector="a" * 3000)}, "selection.label_selector"),
    "range": ({"selection": pb.Selection(version_range="1.2")}, "selection.version_range"),
    "order": ({"order_by": "rack"}, "order_by"),
    "order of no list": ({"order_by": "list"}, "order_by"),
    "batch": ({"batch_size": -1}, "batch_size"),
    "batch and rest": ({"batch_size": 2, "waves": [pb.WaveSpec(rest=True)]}, "batch_size"),
    "group of nobody": (
        {"waves": [pb.WaveSpec(count=1), pb.WaveSpec(label_selector="canary")]},
        "waves[2].label_selector",
    ),
    "group's selector": ({"waves": [pb.WaveSpec(label_selector="!")]}, "waves[1].label_selector"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_preview_refuses_what_a_start_refuses_and_nothing_is_stored(
    world: World, refusal: Any, case: str
) -> None:
    values, field = REFUSED[case]
    before = await world.totals()
    request = pb.StartRolloutRequest(**({"product": "agent", "version": NEW} | values))
    for call in (look(world, request), world.call(world.rollouts.StartRollout, request)):
        why = await refusal(call)
        assert (why.code, why.facts["field"], bool(why.remedy)) == ("INVALID_ARGUMENT", field, True)
    assert await world.totals() == before


async def test_hosts_are_bounded_and_counts_are_not(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleetroll_server.rpc.convert_preview.MAX_HOSTS", 3)
    monkeypatch.setattr("fleetroll_server.engine.starting.MAX_EXCLUSIONS", 1)
    await world.revoke("host-1")
    await world.revoke("host-2")
    preview = await look(world, world.order(*ALL, batch_size=2))
    assert [len(wave.first_hosts) for wave in preview.waves] == [2, 1, 0]
    assert [wave.hosts for wave in preview.waves] == [2, 2, 2]
    assert (len(preview.exclusions), preview.exclusion_counts[0].hosts) == (1, 2)
    assert preview.exclusion_counts[0].code == code("HOST_REVOKED")


async def test_random_requests_are_started_as_they_were_previewed(world: World) -> None:
    await furnish(world)
    drawn, compared = random.Random(7), 0
    for _ in range(12):
        request = pb.StartRolloutRequest(
            product="agent",
            version=drawn.choice([NEW, NEWER]),
            selection=pb.Selection(
                label_selector=drawn.choice(["", "site", "site!=ams", "rack in (a,b)"]),
                behind=drawn.random() < 0.3,
                exclude=drawn.sample(ALL, drawn.randint(0, 2)),
            ),
            waves=[pb.WaveSpec(count=drawn.randint(1, 3)) for _ in range(drawn.randint(0, 2))],
            batch_size=drawn.randint(0, 4),
            order_by=drawn.choice(["", "label:rack", "label:site"]),
        )
        try:
            preview = await look(world, request)
        except grpc.aio.AioRpcError as error:
            with pytest.raises(grpc.aio.AioRpcError, match=re.escape(str(error.details()))):
                await started(world, request)
            continue
        waves, answer = await started(world, request)
        assert planned(preview) == waves
        assert list(preview.exclusions) == list(answer.exclusions)
        await world.cancel(answer.rollout.id)
        await world.sweep(1)
        compared += 1
    assert compared >= 6
