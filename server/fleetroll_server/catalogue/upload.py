"""What a publisher says about an artefact, and the file while it comes in. Nothing counts before it is accepted."""

from __future__ import annotations

import asyncio
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Self

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.release import target_path
from fleetroll_common.values.signed_fields import MAX_ARTEFACT_TAR_BYTES
from fleetroll_common.wire.channel import CHUNK_BYTES

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from fleetroll_common.values.platform import Platform
    from fleetroll_common.values.version import Version

MAX_NOTES_CHARS = 20_000
MAX_ARTEFACT_BYTES = MAX_ARTEFACT_TAR_BYTES
"""A compressed artefact is not larger than the largest tar."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the publisher says. Hash and length are compared with what arrives; everything else is signed as said.

    Attributes:
        product: its name.
        version: semantic version.
        channels: names.
        platform: what the artefact runs on.
        git_sha: commit, ``+dirty`` behind it for a dirty tree.
        sha256: 64 hex digits, of the artefact.
        length: bytes of the artefact, >= 1.
        migrations_required: whether the product's data has to be migrated.
        breaking_changes: text for people; empty for nothing.
        notes: Markdown.
        supported_from: hosts below this version are not updated to it; None = all are.
        entry_point: path of the product's first file; empty for the agent, whose is known.
    """

    product: str
    version: Version
    channels: tuple[str, ...]
    platform: Platform
    git_sha: str
    sha256: str
    length: int
    migrations_required: bool
    breaking_changes: str
    notes: str
    supported_from: Version | None
    entry_point: str = ""

    @property
    def path(self) -> str:
        """Return where the artefact stands among the signed targets."""
        return target_path(self.product, self.version, self.platform)


class Upload:
    """A file that comes in, counted and hashed on the way. A context manager: what was not kept is deleted."""

    def __init__(self, path: Path, length: int, sha256: str) -> None:
        """Write to the new file ``path`` what should have ``length`` bytes and this hash."""
        self.path = path
        self._length = length
        self._sha256 = sha256
        self._digest = hashlib.sha256()
        self._size = 0
        self._file: BinaryIO = path.open("xb")

    def __enter__(self) -> Self:
        """Return the upload itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close, and delete what was not moved away."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    async def add(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            RequestError: the chunk is empty or too large, or more arrives than was said (publisher's fault).
            OSError: the disk refused.
        """
        if not 1 <= len(chunk) <= CHUNK_BYTES:
            raise _wrong("chunk", f"{len(chunk)} bytes, a chunk has 1 to {CHUNK_BYTES}")
        self._size += len(chunk)
        if self._size > self._length:
            raise _wrong("length", f"more than the {self._length} bytes that the header names have arrived")
        await asyncio.to_thread(self._write, chunk)

    async def finish(self) -> None:
        """Compare what arrived with what was said and make it durable.

        Raises:
            RequestError: INVALID_ARGUMENT or WRONG_HASH (publisher's fault).
            OSError: the disk refused.
        """
        if self._size != self._length:
            raise _wrong("length", f"{self._size} bytes arrived, the header names {self._length}")
        if self._digest.hexdigest() != self._sha256:
            raise _wrong("sha256", "what arrived has another hash than the header names", Code.WRONG_HASH)
        await asyncio.to_thread(self._sync)

    def _write(self, chunk: bytes) -> None:
        """Hash and write."""
        self._digest.update(chunk)
        self._file.write(chunk)

    def _sync(self) -> None:
        """Reach the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())


def _wrong(field: str, what: str, code: Code = Code.INVALID_ARGUMENT) -> RequestError:
    """Return the publisher's error."""
    return RequestError(f"{field}: {what}; nothing was stored", code=code, remedy="upload it again", field=field)
