"""CommitMetadata of ReleasesService: what was signed elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll.v1 import releases_pb2 as pb
from fleetroll_server.access.caller import current_caller
from fleetroll_server.access.fleets import require_all_fleets
from fleetroll_server.catalogue.commit import Offered, commit
from fleetroll_server.catalogue.upload import MAX_NOTES_CHARS
from fleetroll_server.rpc import requests
from fleetroll_server.rpc.releases_convert import product_name, release_to_wire

if TYPE_CHECKING:
    import grpc

    from fleetroll_server.services import Services

MAX_FILES = 64
MAX_NOTES = 1000
MAX_VERSION_CHARS = 128


class CommitMetadata:
    """The one call, for the servicer of releases to take up."""

    _services: Services

    async def CommitMetadata(
        self,
        request: pb.CommitMetadataRequest,
        context: grpc.aio.ServicerContext[Any, Any],  # noqa: ARG002
    ) -> pb.CommitMetadataResponse:
        """Make roles that were signed elsewhere the newest ones, or say why not."""
        caller = current_caller()
        require_all_fleets(caller)
        done = await commit(self._services, _offered(request), caller)
        return pb.CommitMetadataResponse(
            timestamp_version=done.timestamp_version,
            releases=[release_to_wire(release) for release in done.releases],
            reverts=done.reverts,
        )


def _offered(request: pb.CommitMetadataRequest) -> Offered:
    """Return what is brought.

    Raises:
        RequestError: INVALID_ARGUMENT naming the field (publisher's fault).
    """
    files = {file.name: file.payload for file in request.files}
    if not 1 <= len(request.files) <= MAX_FILES or len(files) != len(request.files):
        raise requests.invalid("files", f"{len(request.files)} files; 1 to {MAX_FILES} are taken, each name once")
    if len(request.notes) > MAX_NOTES:
        raise requests.invalid("notes", f"{len(request.notes)} notes, at most {MAX_NOTES} are taken")
    notes: dict[str, dict[str, str]] = {}
    for note in request.notes:
        version = requests.text("notes.version", note.version, at_least=1, at_most=MAX_VERSION_CHARS)
        text = requests.text("notes.notes", note.notes, at_most=MAX_NOTES_CHARS, lines=True)
        notes.setdefault(product_name(note.product), {})[version] = text
    return Offered(
        files=files,
        notes=notes,
        reason=requests.reason(request.reason, required=request.force),
        dry_run=request.dry_run,
        force=request.force,
        stranded=_stranded(request),
        recall=request.recall,
    )


def _stranded(request: pb.CommitMetadataRequest) -> dict[str, int]:
    """Return how many hosts are known to be left without a way up, by product.

    Raises:
        RequestError: INVALID_ARGUMENT (publisher's fault).
    """
    if len(request.stranded) > MAX_FILES:
        raise requests.invalid("stranded", f"{len(request.stranded)} products, at most {MAX_FILES} are taken")
    if any(number < 0 for number in request.stranded.values()):
        raise requests.invalid("stranded", "a number of hosts is not below 0")
    return {product_name(product): number for product, number in request.stranded.items()}
