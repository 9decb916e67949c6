"""ReleasesService: publishing and listing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll.v1 import releases_pb2 as pb
from fleetroll.v1 import releases_pb2_grpc
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import StoreError
from fleetroll_common.wire.channel import CHUNK_BYTES
from fleetroll_server.access.caller import current_caller
from fleetroll_server.access.fleets import require_all_fleets
from fleetroll_server.catalogue import products, reads
from fleetroll_server.catalogue.files import chunks, upload_name
from fleetroll_server.catalogue.importing import import_manifest
from fleetroll_server.catalogue.metadata import one_file
from fleetroll_server.catalogue.policies import policy_file
from fleetroll_server.catalogue.publish import Publisher
from fleetroll_server.catalogue.upload import Upload
from fleetroll_server.rpc import requests
from fleetroll_server.rpc.committing import CommitMetadata
from fleetroll_server.rpc.release_verbs import ReleaseVerbs
from fleetroll_server.rpc.releases_convert import (
    import_from_wire,
    offer_from_wire,
    product_name,
    product_to_wire,
    release_to_wire,
)
from fleetroll_server.rpc.uploading import next_message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import grpc

    from fleetroll_server.services import Services

    Context = grpc.aio.ServicerContext[Any, Any]

_CURSOR = "releases"
MAX_NAME_CHARS = 320
"""A target's path, and what stands before it."""


class ReleasesServicer(CommitMetadata, ReleaseVerbs, releases_pb2_grpc.ReleasesServiceServicer):
    """Publishes and lists."""

    def __init__(self, services: Services) -> None:
        """Work on ``services``."""
        super().__init__(services)
        self._publisher = Publisher(services)

    async def PublishRelease(
        self,
        request_iterator: AsyncIterator[pb.PublishReleaseRequest],
        context: Context,  # noqa: ARG002
    ) -> pb.PublishReleaseResponse:
        """Take header and chunks; list the release, or store nothing."""
        caller = current_caller()
        require_all_fleets(caller)
        messages = aiter(request_iterator)
        seconds = self._services.settings.upload_stall_seconds
        first = await next_message(messages, seconds)
        if first is None or first.WhichOneof("part") != "header":
            raise requests.invalid("header", "the first message has to be the header")
        offer = offer_from_wire(first.header)
        elsewhere = first.header.check_only and first.header.signed_elsewhere
        await self._publisher.check(offer, signed_elsewhere=elsewhere)
        if first.header.check_only:
            if await next_message(messages, seconds) is not None:
                raise requests.invalid("chunk", "no message follows a header that is to be checked alone")
            return pb.PublishReleaseResponse()
        spooled = self._services.folder.spool / upload_name(self._services.ids)
        try:
            with Upload(spooled, offer.length, offer.sha256) as upload:
                while (message := await next_message(messages, seconds)) is not None:
                    if message.WhichOneof("part") != "chunk":
                        raise requests.invalid("chunk", "every message after the first has to be a chunk")
                    await upload.add(message.chunk)
                await upload.finish()
                published = await self._publisher.publish(offer, upload, caller)
        except OSError as error:
            message_text = f"the upload could not be stored: {error.strerror}"
            raise StoreError(message_text, code=Code.STORE_FAILED, remedy="free space on the server") from error
        return pb.PublishReleaseResponse(
            release=release_to_wire(published.release), role_version=published.role_version
        )

    async def ListReleases(self, request: pb.ListReleasesRequest, context: Context) -> pb.ListReleasesResponse:  # noqa: ARG002
        """List releases, by product, newest version first."""
        size = requests.page_size(request.page)
        cursor = requests.read_cursor(request.page, _CURSOR, 2)
        async with self._services.store.read() as connection:
            found = await reads.releases(connection, request.product, request.channel)
        if cursor is not None:
            places = [(release.product, release.version) for release in found]
            found = found[places.index(cursor) + 1 :] if cursor in places else []
        answer = pb.ListReleasesResponse(releases=[release_to_wire(release) for release in found[:size]])
        if len(found) > size:
            last = found[size - 1]
            answer.next_cursor = requests.make_cursor(_CURSOR, (last.product, last.version))
        return answer

    async def GetRelease(self, request: pb.GetReleaseRequest, context: Context) -> pb.GetReleaseResponse:  # noqa: ARG002
        """Show one release."""
        async with self._services.store.read() as connection:
            return pb.GetReleaseResponse(
                release=release_to_wire(await reads.release(connection, request.product, request.version))
            )

    async def AddProduct(self, request: pb.AddProductRequest, context: Context) -> pb.AddProductResponse:  # noqa: ARG002
        """Make a product one that releases can be published of."""
        caller = current_caller()
        require_all_fleets(caller)
        added = await products.add(self._services, product_name(request.product), caller)
        return pb.AddProductResponse(product=product_to_wire(added))

    async def ListProducts(self, request: pb.ListProductsRequest, context: Context) -> pb.ListProductsResponse:  # noqa: ARG002
        """List the products."""
        async with self._services.store.read() as connection:
            found = await products.products(connection)
        return pb.ListProductsResponse(products=[product_to_wire(product) for product in found])

    async def ImportManifest(self, request: pb.ImportManifestRequest, context: Context) -> pb.ImportManifestResponse:  # noqa: ARG002
        """Make a release of a release manifest."""
        caller = current_caller()
        require_all_fleets(caller)
        published = await import_manifest(self._services, import_from_wire(request), caller)
        return pb.ImportManifestResponse(
            release=release_to_wire(published.release), role_version=published.role_version
        )

    async def GetRepositoryFile(
        self,
        request: pb.GetRepositoryFileRequest,
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[pb.GetRepositoryFileResponse]:
        """Stream one file of the signed repository."""
        name = requests.text("name", request.name, at_least=1, at_most=MAX_NAME_CHARS)
        kind, _, rest = name.partition("/")
        if kind not in {"metadata", "targets"} or not rest:
            raise requests.invalid("name", "it begins with neither metadata/ nor targets/")
        async with self._services.store.read() as connection:
            if kind == "metadata":
                pieces = _pieces(await one_file(connection, rest))
            elif (policy := await policy_file(connection, rest)) is not None:
                pieces = _pieces(policy)
            else:
                artifact = await reads.artifact_at(connection, rest)
                pieces = chunks(self._services.folder.artefacts / artifact.sha256, 0, artifact.length)
        for piece in pieces:
            yield pb.GetRepositoryFileResponse(chunk=piece)


def _pieces(data: bytes) -> Iterator[bytes]:
    """Yield bytes in chunks."""
    return (data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES))
