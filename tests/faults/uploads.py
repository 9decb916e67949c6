"""Publishing as users do it, the header of a built artefact and its upload over TLS; and fetching as hosts do it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc

from fleetroll.v1 import releases_pb2, releases_pb2_grpc, repository_pb2, repository_pb2_grpc, types_pb2
from fleetroll_common.wire.channel import ADMIN_OPTIONS, CHUNK_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

LINUX = types_pb2.Platform(os="linux", arch="x86_64", abi="cp311")


def header(built: Any, **other: Any) -> releases_pb2.PublishHeader:
    values: dict[str, Any] = {
        "product": "agent",
        "version": built.path.name.removesuffix(".tar.zst"),
        "channels": ["stable"],
        "platform": LINUX,
        "git_sha": "abcdef0",
        "sha256": bytes.fromhex(built.artefact_sha256),
        "length": built.artefact_bytes,
    }
    return releases_pb2.PublishHeader(**(values | other))


async def publish(server: Any, head: releases_pb2.PublishHeader, data: bytes, chunk: int = CHUNK_BYTES) -> Any:
    """Publish with a synchronous client, as users do: grpc.aio's hides the status of an upload that is cut."""

    def messages() -> Iterator[releases_pb2.PublishReleaseRequest]:
        yield releases_pb2.PublishReleaseRequest(header=head)
        for start in range(0, len(data), chunk):
            yield releases_pb2.PublishReleaseRequest(chunk=data[start : start + chunk])

    def call() -> Any:
        credentials = grpc.ssl_channel_credentials(server.services.ca_pem)
        with grpc.secure_channel(server.running.address, credentials, options=ADMIN_OPTIONS) as channel:
            stub = releases_pb2_grpc.ReleasesServiceStub(channel)
            return stub.PublishRelease(messages(), metadata=server.client().metadata, timeout=30)

    return await asyncio.to_thread(call)


async def fetch(server: Any, metadata: Any, path: str, offset: int = 0) -> list[bytes]:
    """Fetch a target as a host does; return its chunks."""
    stub = repository_pb2_grpc.RepositoryServiceStub(server.channel)
    request = repository_pb2.FetchTargetRequest(path=path, offset=offset)
    return [answer.chunk async for answer in stub.FetchTarget(request, metadata=metadata, timeout=20)]
