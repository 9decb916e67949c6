"""From content to a ``.tar.zst`` that is bit for bit the same each time.

Order, modes, owner and times are fixed, and no name of the building machine enters; the compressor runs in one thread
with fixed parameters. (Another version of the compressor may make other bytes of the same tar: ``tar_sha256`` stays.)
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import zstandard

from fleetroll_common.values import ustar
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_common.values.manifest import MAX_MANIFEST_BYTES, FileEntry, Manifest, manifest_header
from fleetroll_common.values.signed_fields import MAX_ARTEFACT_FILES, MAX_ARTEFACT_TAR_BYTES
from fleetroll_publishing.artefact.content import Content, read_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

FAST_LEVEL = 3
"""0.2 s for the agent: for trials and tests."""

RELEASE_LEVEL = 19
"""A fifth smaller, some 15 s. Higher ones need a window of more than 8 MiB, which hosts refuse."""


@dataclass(frozen=True, slots=True)
class BuiltArtefact:
    """An artefact on the builder's disk, and what the signed metadata has to say about it; hashes in hex."""

    path: Path
    artefact_sha256: str
    artefact_bytes: int
    tar_sha256: str
    tar_bytes: int
    manifest_sha256: str
    file_count: int
    entry_point: str


def build_artefact(tree: Path, out: Path, *, entry_point: str, level: int = RELEASE_LEVEL) -> BuiltArtefact:
    """Build the artefact of the folder ``tree`` at ``out``. Blocks: call it in a thread.

    Args:
        tree: what is shipped; plain files and folders only.
        out: the file to make; an existing one is replaced.
        entry_point: path of the program's first file in ``tree``.
        level: of compression, 1 to 19.

    Raises:
        RequestError: the tree can't be shipped, or lacks the entry point (caller's fault).
    """
    return write_artefact(read_tree(tree), out, entry_point=entry_point, level=level)


def write_artefact(content: Content, out: Path, *, entry_point: str, level: int) -> BuiltArtefact:
    """Build the artefact of ``content`` at ``out``. Arguments and errors as in :func:`build_artefact`."""
    if not 1 <= level <= RELEASE_LEVEL:
        message = f"level: {level} is not between 1 and {RELEASE_LEVEL}"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="leave it at the default", field="level")
    manifest = _manifest(content, entry_point)
    text = manifest.dump()
    with tempfile.NamedTemporaryFile(dir=out.parent, prefix=f".{out.name}.", delete=False) as stream:
        staged = Path(stream.name)
        try:
            tar_sha256 = _compress(_tar(manifest, text, content), manifest.tar_bytes(), level, stream)
            stream.flush()
            os.fsync(stream.fileno())
            staged.chmod(0o644)
            staged.replace(out)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise
    return BuiltArtefact(
        path=out,
        artefact_sha256=_hash_file(out),
        artefact_bytes=out.stat().st_size,
        tar_sha256=tar_sha256,
        tar_bytes=manifest.tar_bytes(),
        manifest_sha256=hashlib.sha256(text).hexdigest(),
        file_count=len(manifest.files),
        entry_point=entry_point,
    )


def _manifest(content: Content, entry_point: str) -> Manifest:
    """List the content, by the same rules that hosts apply."""
    if entry_point not in content.files:
        message = f"entry_point: the artefact would hold no {entry_point!r}"
        raise RequestError(message, code=Code.ENTRY_MISSING, remedy="name a file of the product", field="entry_point")
    entries = [
        FileEntry(path, mode, len(data), hashlib.sha256(data).hexdigest())
        for path, (mode, data) in content.files.items()
    ]
    try:
        manifest = Manifest.of(entries, content.empty_folders)
    except TrustError as error:
        raise RequestError(error.message, code=Code.INVALID_ARGUMENT, remedy="rename it", **error.details) from error
    sizes = (len(manifest.files), manifest.tar_bytes(), len(manifest.dump()))
    caps = (MAX_ARTEFACT_FILES, MAX_ARTEFACT_TAR_BYTES, MAX_MANIFEST_BYTES)
    if any(size > cap for size, cap in zip(sizes, caps, strict=True)):
        message = f"artefact: {sizes} files, tar bytes, manifest bytes are more than {caps}"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="ship less in one artefact", field="tree")
    return manifest


def _tar(manifest: Manifest, text: bytes, content: Content) -> Iterator[bytes]:
    """Yield the tar piece by piece."""
    yield manifest_header(len(text))
    yield from _filled(text)
    for member in manifest.members():
        if isinstance(member, str):
            yield ustar.directory_header(member)
        else:
            yield ustar.file_header(member.path, member.mode, member.size)
            yield from _filled(content.files[member.path][1])
    yield ustar.END


def _filled(data: bytes) -> Iterator[bytes]:
    """Yield ``data`` and zeros up to the next block."""
    yield data
    yield bytes(ustar.padded(len(data)) - len(data))


def _compress(pieces: Iterator[bytes], size: int, level: int, out: IO[bytes]) -> str:
    """Write the compressed ``pieces`` of together ``size`` bytes; return the sha256 of what went in."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, source_size=size, write_content_size=True, write_checksum=True, threads=0
    )
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj(size=size)
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        out.write(packer.compress(piece))
    out.write(packer.flush())
    return digest.hexdigest()


def _hash_file(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while piece := stream.read(1024 * 1024):
            digest.update(piece)
    return digest.hexdigest()
