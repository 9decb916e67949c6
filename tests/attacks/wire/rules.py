"""Rules that change one bit of what a server sends, and with which reason each has to be refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll.v1 import repository_pb2
from tests.attacks.wire.meddler import FETCH, METADATA
from tests.attacks.wire.thief import flipped

if TYPE_CHECKING:
    from tests.attacks.wire.meddler import Down


def flip_metadata(role: str, mark: bytes) -> Down:
    """Return the rule that flips a bit behind ``mark`` in the metadata files of a role."""

    def rule(method: str, request: bytes, message: bytes) -> bytes:
        if method != METADATA or role not in repository_pb2.GetMetadataRequest.FromString(request).name:
            return message
        data = repository_pb2.GetMetadataResponse.FromString(message).payload
        position = data.index(mark) + len(mark)
        return repository_pb2.GetMetadataResponse(payload=flipped(data, position)).SerializeToString()

    return rule


def flip_artefact(share: float) -> Down:
    """Return the rule that flips a bit of each piece of an artefact."""

    def rule(method: str, _request: bytes, message: bytes) -> bytes:
        if method != FETCH:
            return message
        chunk = repository_pb2.FetchTargetResponse.FromString(message).chunk
        changed = flipped(chunk, int((len(chunk) - 1) * share))
        return repository_pb2.FetchTargetResponse(chunk=changed).SerializeToString()

    return rule


SIGNATURE, VERSION, TYPE, COMMIT = b'"sig":"', b'"version":', b'"_type', b'"git_sha":"'
FLIPS = {
    "timestamp's signature": (flip_metadata("timestamp", SIGNATURE), "UNSIGNED", "timestamp"),
    "timestamp's version": (flip_metadata("timestamp", VERSION), "UNSIGNED", "timestamp"),
    "timestamp's form": (flip_metadata("timestamp", TYPE), "METADATA_INVALID", "timestamp"),
    "snapshot's signature": (flip_metadata("snapshot", SIGNATURE), "UNSIGNED", "snapshot"),
    "snapshot's version": (flip_metadata("snapshot", VERSION), "UNSIGNED", "snapshot"),
    "snapshot's form": (flip_metadata("snapshot", TYPE), "METADATA_INVALID", "snapshot"),
    "product's signature": (flip_metadata("products", SIGNATURE), "UNSIGNED", "products/agent"),
    "product's description": (flip_metadata("products", COMMIT), "UNSIGNED", "products/agent"),
    "product's form": (flip_metadata("products", TYPE), "METADATA_INVALID", "products/agent"),
    "artefact's first byte": (flip_artefact(0.0), "WRONG_HASH", ""),
    "artefact's middle": (flip_artefact(0.5), "WRONG_HASH", ""),
    "artefact's last byte": (flip_artefact(1.0), "WRONG_HASH", ""),
}
"""By name: the rule, the code, and what the message has to name."""
