"""A host that keeps another product than the agent, and what publishes that product. Nothing here decides anything."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf.duration_pb2 import Duration

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import releases_pb2, releases_pb2_grpc, types_pb2
from fleetroll_common.values.platform import Platform
from fleetroll_publishing.artefact import build_product_artefact
from tests.faults.virtual_agent import VirtualAgent
from tests.faults.virtual_disk import PLATFORM, PRODUCT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.worlds import World

SHOP = "shop"
STEPS = ("backup", "pull", "migrate", "smoke", "switch", "restart", "health")


@dataclass
class Kept:
    """One product as its host has it; no version means that nothing is installed yet."""

    version: str = ""
    sha256: str = ""
    previous: str = ""
    healthy: bool = False


class KeepingAgent(VirtualAgent):
    """An agent that updates a product; its disk's open attempt and highest generation are of that product."""

    def __init__(self, agent: VirtualAgent, ca_pem: bytes, address: str, kept: dict[str, Kept]) -> None:
        """Take the place of ``agent``; the first of ``kept`` is the product that is updated."""
        super().__init__(address, ca_pem, agent.disk)
        self.kept = kept
        self.product = next(iter(kept), PRODUCT)

    def payload(self) -> stream_pb2.HelloPayload:
        """Return the state of the host: the agent as it is, and the products that it keeps."""
        disk = self.disk
        said = super().payload()
        said.products[0].highest_generation = 0
        for name, product in self.kept.items():
            said.products.append(
                stream_pb2.ProductState(
                    product=name,
                    version=product.version,
                    sha256=bytes.fromhex(product.sha256),
                    previous_version=product.previous,
                    healthy=product.healthy,
                    highest_generation=disk.highest if name == self.product else 0,
                )
            )
        for shown in said.attempts:
            shown.product = self.product
        return said

    @property
    def own(self) -> Kept:
        """Return the product that is updated."""
        return self.kept[self.product]

    async def apply(self, *steps: str, seconds: int = 100) -> None:
        """Go through steps, each with its own time."""
        for step in steps:
            await self.report("applying", step=step, time_limit=Duration(seconds=seconds))

    async def soak(self, seconds: int = 60) -> None:
        """Hold the health check."""
        await self.report("soaking", time_limit=Duration(seconds=seconds))

    async def keep(self, version: str, sha256: str) -> None:
        """The new version stays: the host decides that by itself."""
        own = self.own
        own.previous, own.version, own.sha256, own.healthy = own.version, version, sha256, True
        await self.report("succeeded", running_version=version)

    async def update(self, version: str, sha256: str) -> None:
        """Go all the way."""
        await self.stage(sha256)
        await self.granted()
        await self.apply(*STEPS)
        await self.soak()
        await self.keep(version, sha256)


def keeping(world: World, name: str, **kept: Kept) -> KeepingAgent:
    """Let a host keep products from now on."""
    made = KeepingAgent(world.agent(name), world.services.ca_pem, world.server.address, dict(kept))
    world.agents[name] = made
    return made


async def add_product(world: World, product: str = SHOP) -> None:
    """Make a product known to the server."""
    stub: Any = releases_pb2_grpc.ReleasesServiceStub(world.channel)
    await world.call(stub.AddProduct, releases_pb2.AddProductRequest(product=product))


async def publish_product(world: World, folder: Path, version: str = "1.0.0", platform: str = "any") -> str:
    """Publish a tiny release of the shop; return its hash."""
    folder.mkdir(exist_ok=True)
    source = folder / "run"
    source.write_text(f"{version} {platform}")
    where = Platform.parse(platform)
    out = folder / f"{version}-{where}"
    built = await asyncio.to_thread(build_product_artefact, source, out, level=1)
    header = releases_pb2.PublishHeader(
        product=SHOP,
        version=version,
        channels=["stable"],
        platform=types_pb2.Platform(os=where.os, arch=where.arch, abi=where.abi),
        git_sha="abcdef0",
        sha256=bytes.fromhex(built.artefact_sha256),
        length=built.artefact_bytes,
        entry_point="run",
    )
    data = built.path.read_bytes()
    messages = [releases_pb2.PublishReleaseRequest(header=header), releases_pb2.PublishReleaseRequest(chunk=data)]
    stub: Any = releases_pb2_grpc.ReleasesServiceStub(world.channel)
    await world.call(stub.PublishRelease, messages)
    return built.artefact_sha256


__all__ = ["PLATFORM", "SHOP", "STEPS", "KeepingAgent", "Kept", "add_product", "keeping", "publish_product"]
