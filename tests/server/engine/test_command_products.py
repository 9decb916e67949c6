"""Rollouts of release manifests: a release without files reaches every host that keeps the product."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll.v1 import releases_pb2, releases_pb2_grpc
from fleetroll_common.values.release_manifest import ReleaseManifest
from fleetroll_common.values.version import Version
from tests.faults.kept_products import SHOP, Kept, add_product, keeping

if TYPE_CHECKING:
    from tests.faults.worlds import World

SECRET = "a secret of the pipeline"


@pytest.fixture
async def digest(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """The hash of an imported manifest of the shop."""
    monkeypatch.setenv("RELEASE_SIGNING_SECRET", SECRET)
    await add_product(world)
    made = ReleaseManifest(
        Version.parse("1.0.0"), "0123456", "stable", migrations_required=True, breaking_changes=None,
        released_at="2026-05-01T12:00:00Z",
    )  # fmt: skip
    data = made.signed(SECRET.encode()).dump()
    stub: Any = releases_pb2_grpc.ReleasesServiceStub(world.channel)
    await world.call(stub.ImportManifest, releases_pb2.ImportManifestRequest(product=SHOP, manifest=data))
    return hashlib.sha256(data).hexdigest()


async def test_a_manifest_is_rolled_out_to_every_host_that_keeps_the_product(world: World, digest: str) -> None:
    """Whatever its platform is; Go is given for the manifest's hash."""
    first, second = (
        keeping(world, "host-1", shop=Kept()),
        keeping(world, "host-2", shop=Kept("1.0.0-rc.1", healthy=True)),
    )
    for agent in (first, second):
        await agent.connect()
    rollout = await world.roll("host-1", "host-2", product=SHOP, version="1.0.0", waves=[1, 0])
    assert (await world.show(rollout)).version == "1.0.0"
    for agent in (first, second):
        await agent.update("1.0.0", digest)
    assert await world.state(rollout) == "COMPLETED"
    assert [(await world.host(name))["sha256"] for name in ("host-1", "host-2")] == [digest] * 2


async def test_the_newest_manifest_is_what_a_rollout_without_a_version_means(world: World, digest: str) -> None:
    """As of releases with artefacts."""
    agent = keeping(world, "host-1", shop=Kept())
    await agent.connect()
    rollout = await world.roll("host-1", product=SHOP, version="")
    await agent.update("1.0.0", digest)
    assert await world.state(rollout) == "COMPLETED"
