"""The two things that are read from a carried repository: metadata, in a thread, and targets, piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.fetch.files import FileReader
from fleetroll_agent.fetch.mirrors import pieces, reader_of
from fleetroll_agent.fetch.values import Absent, SourceFailed
from fleetroll_common.trust import MetadataAbsent
from fleetroll_common.trust.bundle import METADATA, TARGETS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from fleetroll_agent.bundle.index import Extent
    from fleetroll_agent.fetch.mirrors import Reader
    from fleetroll_agent.fetch.patterns import Pattern
    from fleetroll_common.values.clock import Clock

METADATA_SECONDS = 30.0
"""For one file of metadata from a mirror, 4 MiB at most: as long as over a session. A silent one ends later, with its
connection's own limit."""


class PartReader(FileReader):
    """Reads one file of a bundle, once."""

    def __init__(self, path: str, extent: Extent) -> None:
        """Prepare to read ``extent`` of the bundle at ``path``."""
        super().__init__(path)
        self._extent = extent
        self._left = 0

    def begin(self, offset: int) -> int:
        """Go to ``offset`` of the file; raises as for a file of its own."""
        if not 0 <= offset <= self._extent.size:
            raise SourceFailed(f"has no byte {offset} of it: {self._path}")
        super().begin(self._extent.start + offset)
        self._left = self._extent.size - offset
        return 0

    def read(self) -> bytes:
        """Return the next bytes; empty at the end of the file, or of a bundle that became shorter."""
        piece = super().read()[: self._left] if self._left else b""
        self._left -= len(piece)
        return piece


class BundleMetadata:
    """The metadata of a bundle, as :class:`fleetroll_common.trust.MetadataSource`."""

    def __init__(self, path: str, index: Mapping[str, Extent]) -> None:
        """Read from the bundle at ``path``."""
        self._path = path
        self._index = index

    def fetch(self, name: str, max_bytes: int) -> bytes:
        """Return the file ``name``. Reading a file has no deadline: a share that hangs holds this thread."""
        extent = self._index.get(METADATA + name)
        if extent is None:
            raise MetadataAbsent(name)
        return _read_all(PartReader(self._path, extent), max_bytes)


class BundleTargets:
    """The targets of a bundle, as :class:`fleetroll_agent.fetch.NamedSource`."""

    def __init__(self, path: str, index: Mapping[str, Extent]) -> None:
        """Read from the bundle at ``path``."""
        self.name = path
        self._index = index

    def open(self, path: str, offset: int) -> AsyncIterator[bytes]:
        """Yield the bytes of the target ``path`` from ``offset`` on.

        Raises:
            SourceFailed: the bundle does not hold it, or can't be read.
        """
        return pieces(lambda: self._reader(path), offset)

    def holds(self, path: str) -> bool:
        """Tell whether the target ``path`` is in the bundle."""
        return TARGETS + path in self._index

    def _reader(self, path: str) -> Reader:
        if not self.holds(path):
            raise Absent(f"does not hold {path}")
        return PartReader(self.name, self._index[TARGETS + path])


class MirrorMetadata:
    """The metadata of a mirror, as :class:`fleetroll_common.trust.MetadataSource`."""

    def __init__(self, pattern: Pattern, clock: Clock) -> None:
        """Read from the addresses of ``pattern``; ``clock`` bounds how long a file may take."""
        self._pattern = pattern
        self._clock = clock

    def fetch(self, name: str, max_bytes: int) -> bytes:
        """Return the file ``name``.

        Raises:
            MetadataAbsent: the mirror says plainly that it has none.
            SourceFailed: it could not be had this time.
        """
        reader = reader_of(self._pattern.url(METADATA + name))
        try:
            return _read_all(reader, max_bytes, self._clock)
        except Absent as error:
            raise MetadataAbsent(name) from error


def _read_all(reader: Reader, max_bytes: int, clock: Clock | None = None) -> bytes:
    """Return a whole file, or its first ``max_bytes`` + 1 bytes; ``clock`` None = no deadline."""
    started = 0.0 if clock is None else clock.monotonic()
    data = bytearray()
    try:
        reader.begin(0)
        while len(data) <= max_bytes and (piece := reader.read()):
            data += piece
            if clock is not None and clock.monotonic() - started > METADATA_SECONDS:
                raise SourceFailed(f"did not come within {METADATA_SECONDS:g} s")
    finally:
        reader.close()
    return bytes(data[: max_bytes + 1])
