"""Reading an artefact back: what its file really holds, for whoever signs or stores it without having built it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import zstandard

from fleetroll_common.buildinfo import STAMP_NAME, BuildInfo, parse_stamp
from fleetroll_common.values import ustar
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_common.values.manifest import MAX_MANIFEST_BYTES, Manifest, manifest_header
from fleetroll_common.values.signed_fields import MAX_ARTEFACT_TAR_BYTES
from fleetroll_publishing.artefact.build import BuiltArtefact

if TYPE_CHECKING:
    from pathlib import Path

_READ_BYTES = 1024 * 1024
_STAMP_PATH = f"fleetroll_common/{STAMP_NAME}"


@dataclass(frozen=True, slots=True)
class Inspected:
    """An artefact as it was found: what is to be signed about it, and an agent's stamp (None in other products)."""

    artefact: BuiltArtefact
    stamp: BuildInfo | None


def inspect_artefact(path: Path, entry_point: str) -> Inspected:
    """Read all of ``path`` and return what the signed metadata has to say about it. Blocks: call it in a thread.

    Every file is compared with the manifest, so that nothing is signed which hosts would refuse.

    Raises:
        RequestError: it is no artefact, or has no ``entry_point`` (caller's fault).
    """
    try:
        with path.open("rb") as stream:
            reader = _Reader(zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=False))
            text, manifest, stamp = _read(reader)
    except (OSError, zstandard.ZstdError, TrustError) as error:
        fault = error.message if isinstance(error, TrustError) else str(error)
        raise _no_artefact(path, fault) from error
    if entry_point not in {entry.path for entry in manifest.files}:
        message = f"entry_point: the artefact holds no {entry_point!r}"
        raise RequestError(message, code=Code.ENTRY_MISSING, remedy="name a file of the product", field="entry_point")
    digest, size = _hash_file(path)
    built = BuiltArtefact(
        path=path,
        artefact_sha256=digest,
        artefact_bytes=size,
        tar_sha256=reader.digest.hexdigest(),
        tar_bytes=reader.size,
        manifest_sha256=hashlib.sha256(text).hexdigest(),
        file_count=len(manifest.files),
        entry_point=entry_point,
    )
    return Inspected(built, None if stamp is None else parse_stamp(stamp))


class _Reader:
    """Counted, hashed, bounded reading."""

    def __init__(self, source: IO[bytes]) -> None:
        """Read from ``source``."""
        self._source = source
        self.digest = hashlib.sha256()
        self.size = 0

    def read(self, size: int) -> bytes:
        """Return exactly ``size`` bytes; ``TrustError`` when there are not so many."""
        data = self._source.read(size) if size else b""
        self.size += len(data)
        if len(data) != size or self.size > MAX_ARTEFACT_TAR_BYTES:
            message = "it ends too early or is too large"
            raise TrustError(message, code=Code.HOSTILE_ARCHIVE)
        self.digest.update(data)
        return data

    def expect(self, data: bytes, what: str) -> None:
        """Read what has to stand here."""
        if self.read(len(data)) != data:
            message = f"{what} is not as the manifest calls for"
            raise TrustError(message, code=Code.HOSTILE_ARCHIVE)

    def at_end(self) -> bool:
        """Tell whether nothing is left."""
        return not self._source.read(1)


def _read(reader: _Reader) -> tuple[bytes, Manifest, bytes | None]:
    """Return manifest text, manifest, stamp; everything else is compared and forgotten."""
    header = reader.read(ustar.BLOCK_BYTES)
    size = ustar.size_of(header)
    if not 0 <= size <= MAX_MANIFEST_BYTES or header != manifest_header(size):
        message = f"it does not begin with a manifest but with {ustar.describe(header)}"
        raise TrustError(message, code=Code.HOSTILE_ARCHIVE)
    text = reader.read(size)
    reader.expect(bytes(ustar.padded(size) - size), "the manifest's end")
    manifest, stamp = Manifest.parse(text), None
    for member in manifest.members():
        if isinstance(member, str):
            reader.expect(ustar.directory_header(member), member)
            continue
        reader.expect(ustar.file_header(member.path, member.mode, member.size), member.path)
        kept = _read_file(reader, member.size, member.sha256, member.path)
        stamp = kept if member.path == _STAMP_PATH else stamp
    reader.expect(ustar.END, "the end")
    if not reader.at_end():
        message = "data follows its end"
        raise TrustError(message, code=Code.HOSTILE_ARCHIVE)
    return text, manifest, stamp


def _read_file(reader: _Reader, size: int, sha256: str, path: str) -> bytes:
    """Read one file's content and padding, compare its hash, return its first MiB."""
    digest, left, first = hashlib.sha256(), size, b""
    while left:
        piece = reader.read(min(left, _READ_BYTES))
        first = first or piece
        digest.update(piece)
        left -= len(piece)
    if digest.hexdigest() != sha256:
        message = f"{path} has not the hash that the manifest lists"
        raise TrustError(message, code=Code.WRONG_HASH)
    reader.expect(bytes(ustar.padded(size) - size), f"the end of {path}")
    return first


def _hash_file(path: Path) -> tuple[str, int]:
    """Return sha256 and length of a file."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while piece := stream.read(_READ_BYTES):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size


def _no_artefact(path: Path, fault: str) -> RequestError:
    """Return the error."""
    message = f"artefact: {path.name} can't be used: {fault}"
    return RequestError(
        message, code=Code.INVALID_ARGUMENT, remedy="build it again with release build", field="artefact"
    )
