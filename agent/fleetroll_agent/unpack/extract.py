"""From a verified download to files in an empty folder.

The manifest is trusted because its hash is in the signed metadata, and everything else because it equals what the
manifest says. So no tar header is ever obeyed: each one is compared with the only one that may stand there, and a
foreign one is read just far enough to say what it is. In order:

1. the platform and the signed numbers are within what this host takes;
2. the stream never makes more bytes than were signed, in bounded memory;
3. the manifest has the signed hash, lists only harmless names, the signed number of files, exactly the signed bytes;
4. the entry point is among the files;
5. each header is the expected one, each file has its hash;
6. nothing follows, and the tar as a whole has the signed hash.

Durability is not done here: nothing counts until the slot is complete, and completing syncs all of it.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_agent.slots.disk import RealDisk, remove_tree, typed_disk_errors
from fleetroll_agent.unpack.refuse import hostile, refuse
from fleetroll_agent.unpack.stream import TarStream
from fleetroll_agent.unpack.tree import Tree
from fleetroll_common.values import ustar
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError
from fleetroll_common.values.manifest import MAX_MANIFEST_BYTES, FileEntry, Manifest, manifest_header
from fleetroll_common.values.relpath import MANIFEST_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fleetroll_common.values.platform import Platform
    from fleetroll_common.values.release import ReleaseCustom

_READ_ONLY = ~0o222


@dataclass(frozen=True, slots=True)
class Caps:
    """What a host takes at most, whatever is signed: 20 times today's agent, so that a bad signature fills no disk."""

    tar_bytes: int = 1024**3
    files: int = 20_000
    manifest_bytes: int = MAX_MANIFEST_BYTES


def unpack(archive: Path, into: Path, *, expected: ReleaseCustom, platform: Platform, caps: Caps | None = None) -> None:
    """Unpack ``archive`` into the empty folder ``into``; files become read-only. Blocks: call it in a thread.

    Whatever goes wrong, also a cancellation, ``into`` is empty again afterwards. Nothing is written outside of it.

    Args:
        archive: a ``.tar.zst`` whose own hash was compared with the signed one.
        into: a folder on the file system of the slots, so that it can be renamed into place.
        expected: what the signed metadata says about the artefact.
        platform: what the new slot has to run on.
        caps: upper bounds; None = the defaults.

    Raises:
        TrustError: WRONG_PLATFORM, WRONG_HASH, ENTRY_MISSING, or HOSTILE_ARCHIVE (the publisher's fault, or an attack).
        AgentError: DISK_FULL, or a fault of the disk; INTERNAL also when ``into`` is not empty (the host's fault).
    """
    _check_signed(expected, platform, caps or Caps())
    with typed_disk_errors(f"unpacking {expected.product} {expected.version}"), Tree(into) as tree:
        if not tree.is_empty():
            message = f"the folder {into.name} is not empty"
            raise AgentError(message, code=Code.INTERNAL, remedy="let the slot store make a fresh one")
        with contextlib.ExitStack() as undo:
            undo.callback(_clear, into)
            with archive.open("rb") as source:
                _extract(TarStream(source, expected.tar_bytes), tree, expected, caps or Caps())
            undo.pop_all()


def _check_signed(expected: ReleaseCustom, platform: Platform, caps: Caps) -> None:
    """Step 1: what can be refused before a byte is read."""
    if not expected.platform.covers(platform):
        message = f"it is built for {expected.platform}, this slot needs {platform}"
        refuse(Code.WRONG_PLATFORM, message, artefact=str(expected.platform), host=str(platform))
    if expected.tar_bytes > caps.tar_bytes:
        hostile(f"it unpacks to {expected.tar_bytes} bytes, this host takes {caps.tar_bytes}")
    if expected.file_count > caps.files:
        hostile(f"it holds {expected.file_count} files, this host takes {caps.files}")


def _extract(stream: TarStream, tree: Tree, expected: ReleaseCustom, caps: Caps) -> None:
    """Steps 2 to 6."""
    text, manifest = _read_manifest(stream, expected, caps)
    if expected.entry_point not in {entry.path for entry in manifest.files}:
        refuse(Code.ENTRY_MISSING, f"it has no {expected.entry_point}", entry_point=expected.entry_point)
    tree.write(MANIFEST_NAME, 0o444, [text])
    for member in manifest.members():
        _extract_member(stream, tree, member)
    stream.at = "its end"
    end = stream.read(len(ustar.END))
    if end != ustar.END:
        found = ustar.describe(end[: ustar.BLOCK_BYTES])
        hostile(f"it holds more than its manifest lists, or no proper end: {found}")
    if stream.finish() != expected.tar_sha256:
        refuse(Code.WRONG_HASH, "the tar has not the signed hash")


def _read_manifest(stream: TarStream, expected: ReleaseCustom, caps: Caps) -> tuple[bytes, Manifest]:
    """Step 3: return the manifest's text and content."""
    stream.at = MANIFEST_NAME
    header = stream.read(ustar.BLOCK_BYTES)
    size = ustar.size_of(header)
    if not 0 <= size <= caps.manifest_bytes or header != manifest_header(size):
        hostile(f"it does not begin with a manifest but with {ustar.describe(header)}")
    text = stream.read(size)
    if hashlib.sha256(text).hexdigest() != expected.manifest_sha256:
        refuse(Code.WRONG_HASH, "the manifest has not the signed hash", file=MANIFEST_NAME)
    manifest = Manifest.parse(text)
    _skip_padding(stream, size, MANIFEST_NAME)
    if len(manifest.files) != expected.file_count or len(manifest.directories) > caps.files:
        hostile(f"the manifest lists {len(manifest.files)} files, {expected.file_count} are signed")
    if manifest.tar_bytes() != expected.tar_bytes:
        hostile(f"the manifest makes a tar of {manifest.tar_bytes()} bytes, {expected.tar_bytes} are signed")
    return text, manifest


def _extract_member(stream: TarStream, tree: Tree, member: FileEntry | str) -> None:
    """Step 5 for one file or directory."""
    stream.at = member if isinstance(member, str) else member.path
    header = stream.read(ustar.BLOCK_BYTES)
    if isinstance(member, str):
        _compare(header, ustar.directory_header(member), member)
        tree.make_dir(member, ustar.DIRECTORY_MODE)
        return
    _compare(header, ustar.file_header(member.path, member.mode, member.size), member.path)
    digest = hashlib.sha256()
    tree.write(member.path, member.mode & _READ_ONLY, _hashed(stream.pieces(member.size), digest.update))
    if digest.hexdigest() != member.sha256:
        refuse(Code.WRONG_HASH, f"{member.path} has not the hash that the manifest lists", file=member.path)
    _skip_padding(stream, member.size, member.path)


def _compare(header: bytes, wanted: bytes, path: str) -> None:
    """Refuse any header but the one that the manifest calls for."""
    if header != wanted:
        hostile(f"where the manifest has {path}, it holds {ustar.describe(header)}", path=path)


def _hashed(pieces: Iterator[bytes], update: Callable[[bytes], object]) -> Iterator[bytes]:
    """Pass pieces on and hash them on the way."""
    for piece in pieces:
        update(piece)
        yield piece


def _skip_padding(stream: TarStream, size: int, path: str) -> None:
    """Read the rest of the last block of the file ``path``, which holds zeros."""
    if any(stream.read(ustar.padded(size) - size)):
        hostile(f"data hides behind the end of {path}", path=path)


def _clear(folder: Path) -> None:
    """Remove everything in ``folder``. What can't be removed is left to the sweep of unfinished slots."""
    with contextlib.suppress(OSError):
        for child in folder.iterdir():
            remove_tree(RealDisk(), child)
