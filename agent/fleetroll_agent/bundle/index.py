"""What stands where in a bundle's file: read once, strictly, and never unpacked.

Trust comes from signatures and hashes alone; these rules keep a hostile file from costing more than a read of it:

1. It is a regular file: no pipe and no device, which might never end.
2. Each header is the one that its name and size lead to (:mod:`fleetroll_common.trust.bundle`): no links, no
   directories, no path that leads elsewhere, no size above the bound of its kind.
3. No name comes twice, and no metadata after the first target.
4. There are at most ``MAX_ENTRIES`` files, each lies within the file, and the end is there and is the end.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from fleetroll_common.trust import bundle
from fleetroll_common.values import ustar
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Extent:
    """Where a file lies in the bundle: its first byte and how many there are."""

    start: int
    size: int


def read_index(path: str) -> Mapping[str, Extent]:
    """Return what the bundle at ``path`` holds, by name such as ``metadata/timestamp.json``. Blocks.

    Raises:
        RequestError: INVALID_ARGUMENT: there is no such file, or it can't be read (whoever named it).
        TrustError: HOSTILE_ARCHIVE: it is no bundle, or one that nobody honest makes.
    """
    try:
        # Not blocking: a pipe in place of the file would wait for its other end.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            facts = os.fstat(handle)
            if not stat.S_ISREG(facts.st_mode):
                _refuse(f"{path} is no regular file")
            return _read(file, facts.st_size)
    except OSError as error:
        text = f"bundle: {path} can't be read: {error.strerror or error}"
        raise RequestError(
            text,
            code=Code.INVALID_ARGUMENT,
            remedy="name a bundle's file, a mirror's folder or address",
            field="bundle",
        ) from error


def _read(file: BinaryIO, length: int) -> dict[str, Extent]:
    """Read header after header, over what lies between them."""
    found: dict[str, Extent] = {}
    at = 0
    while (block := _block(file, at, length)) != bytes(ustar.BLOCK_BYTES):
        name, size = _checked(block, found)
        at += ustar.BLOCK_BYTES
        if at + ustar.padded(size) > length:
            _refuse(f"it ends within {name}", name)
        found[name] = Extent(at, size)
        at += ustar.padded(size)
        _check_padding(file, found[name], name)
    if not found:
        _refuse("it is empty")
    if _block(file, at + ustar.BLOCK_BYTES, length) != bytes(ustar.BLOCK_BYTES) or at + len(ustar.END) != length:
        _refuse("something follows its end")
    return found


def _block(file: BinaryIO, at: int, length: int) -> bytes:
    """Return the header at a place."""
    if at + ustar.BLOCK_BYTES > length:
        _refuse("it ends too early")
    file.seek(at)
    block = file.read(ustar.BLOCK_BYTES)
    if len(block) != ustar.BLOCK_BYTES:
        _refuse("it became shorter while it was read")
    return block


def _checked(block: bytes, found: dict[str, Extent]) -> tuple[str, int]:
    """Return name and size of the next file, when it may stand there."""
    name, size = bundle.name_of(block), ustar.size_of(block)
    fault = bundle.name_fault(name)
    if fault:
        _refuse(f"it holds {ustar.describe(block)}, whose name {fault}")
    if not 0 < size <= bundle.size_max(name):
        _refuse(f"it holds {name} of {size} bytes, at most {bundle.size_max(name)} are allowed", name)
    if block != bundle.header(name, size):
        _refuse(f"where {name} should begin, it holds {ustar.describe(block)}", name)
    if name in found:
        _refuse(f"it holds {name} twice", name)
    if name.startswith(bundle.METADATA) and next(reversed(found), "").startswith(bundle.TARGETS):
        _refuse(f"it holds {name} behind targets", name)
    if len(found) >= bundle.MAX_ENTRIES:
        _refuse(f"it holds more than {bundle.MAX_ENTRIES} files")
    return name, size


def _check_padding(file: BinaryIO, extent: Extent, name: str) -> None:
    """Refuse what hides in the rest of the last block."""
    file.seek(extent.start + extent.size)
    if any(file.read(ustar.padded(extent.size) - extent.size)):
        _refuse(f"data hides behind the end of {name}", name)


def _refuse(fault: str, name: str = "") -> NoReturn:
    """Raise the error that names the file at fault.

    Raises:
        TrustError: always.
    """
    text = f"bundle: {fault}"
    remedy = "make it anew with: fleetroll release bundle; nothing on this host was changed"
    raise TrustError(text, code=Code.HOSTILE_ARCHIVE, remedy=remedy, **({"file": name} if name else {}))
