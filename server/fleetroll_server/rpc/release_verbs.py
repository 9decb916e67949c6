"""ReleasesService: verbs on releases, what publishers of offline keys upload, and what decisions are drawn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll.v1 import releases_pb2 as pb
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import StoreError
from fleetroll_common.values.version import Version
from fleetroll_server.access.caller import current_caller
from fleetroll_server.access.fleets import require_all_fleets, visible_fleets
from fleetroll_server.catalogue.changing import change_releases
from fleetroll_server.catalogue.files import upload_name
from fleetroll_server.catalogue.floors import below_floor
from fleetroll_server.catalogue.inuse import in_use
from fleetroll_server.catalogue.noting import set_notes
from fleetroll_server.catalogue.policies import product_role
from fleetroll_server.catalogue.staging import is_there, stage
from fleetroll_server.catalogue.upload import MAX_ARTEFACT_BYTES, MAX_NOTES_CHARS, Upload
from fleetroll_server.rpc import requests
from fleetroll_server.rpc.releases_convert import product_name, release_to_wire
from fleetroll_server.rpc.uploading import next_message
from fleetroll_server.rpc.verbs_convert import in_use_to_wire, policy_to_wire, stranded_to_wire, wish_from_wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

    from fleetroll_server.services import Services

    Context = grpc.aio.ServicerContext[Any, Any]

_SHA256_BYTES = 32


class ReleaseVerbs:
    """The part of the service that changes what is listed."""

    def __init__(self, services: Services) -> None:
        """Work on ``services``."""
        self._services = services

    async def ChangeReleases(self, request: pb.ChangeReleasesRequest, context: Context) -> pb.ChangeReleasesResponse:  # noqa: ARG002
        """Apply verbs and sign."""
        caller = current_caller()
        require_all_fleets(caller)
        changed = await change_releases(self._services, wish_from_wire(request), caller)
        return pb.ChangeReleasesResponse(
            role_version=changed.role_version,
            releases=[release_to_wire(one) for one in changed.releases],
            reverts=changed.reverts,
        )

    async def StageTarget(
        self,
        request_iterator: AsyncIterator[pb.StageTargetRequest],
        context: Context,  # noqa: ARG002
    ) -> pb.StageTargetResponse:
        """Take header and chunks; keep the bytes until a commit lists them, or keep nothing."""
        require_all_fleets(current_caller())
        services, messages = self._services, aiter(request_iterator)
        seconds = services.settings.upload_stall_seconds
        first = await next_message(messages, seconds)
        if first is None or first.WhichOneof("part") != "header":
            raise requests.invalid("header", "the first message has to be the header")
        header = first.header
        if len(header.sha256) != _SHA256_BYTES:
            raise requests.invalid("sha256", f"{len(header.sha256)} bytes, {_SHA256_BYTES} are needed")
        if not 1 <= header.length <= MAX_ARTEFACT_BYTES:
            raise requests.invalid("length", f"{header.length} bytes, a file has 1 to {MAX_ARTEFACT_BYTES}")
        sha256 = header.sha256.hex()
        if is_there(services.folder, sha256, header.length):
            return pb.StageTargetResponse(was_there=True)
        try:
            with Upload(services.folder.spool / upload_name(services.ids), header.length, sha256) as upload:
                while (message := await next_message(messages, seconds)) is not None:
                    if message.WhichOneof("part") != "chunk":
                        raise requests.invalid("chunk", "every message after the first has to be a chunk")
                    await upload.add(message.chunk)
                await upload.finish()
                await stage(services, sha256, upload.path)
        except OSError as error:
            text = f"the upload could not be stored: {error.strerror}"
            raise StoreError(text, code=Code.STORE_FAILED, remedy="free space on the server") from error
        return pb.StageTargetResponse()

    async def ListInUse(self, request: pb.ListInUseRequest, context: Context) -> pb.ListInUseResponse:  # noqa: ARG002
        """List what hosts need."""
        product = product_name(request.product)
        async with self._services.store.read() as connection:
            role = await product_role(connection, product)
            fleets = await visible_fleets(connection, current_caller())
            needed = await in_use(connection, product, fleets)
        return pb.ListInUseResponse(releases=in_use_to_wire(product, role, needed))

    async def PreviewFloor(self, request: pb.PreviewFloorRequest, context: Context) -> pb.PreviewFloorResponse:  # noqa: ARG002
        """List whom a floor would leave without a way up."""
        product, floor = product_name(request.product), Version.parse(request.version)
        async with self._services.store.read() as connection:
            await product_role(connection, product)
            fleets = await visible_fleets(connection, current_caller())
            return stranded_to_wire(await below_floor(connection, product, floor, fleets))

    async def GetProductPolicy(
        self,
        request: pb.GetProductPolicyRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.GetProductPolicyResponse:
        """Show what the publisher rules."""
        product = product_name(request.product)
        async with self._services.store.read() as connection:
            return policy_to_wire(product, await product_role(connection, product))

    async def SetReleaseNotes(
        self,
        request: pb.SetReleaseNotesRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.SetReleaseNotesResponse:
        """Replace notes."""
        caller = current_caller()
        require_all_fleets(caller)
        product, version = product_name(request.product), Version.parse(request.version)
        notes = requests.text("notes", request.notes, at_most=MAX_NOTES_CHARS, lines=True)
        release = await self._services.store.writer.command(
            lambda tx: set_notes(tx, product, str(version), notes, caller)
        )
        return pb.SetReleaseNotesResponse(release=release_to_wire(release))
