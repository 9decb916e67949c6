"""A compressed tar as a stream that can't become longer, or larger in memory, than the signed numbers allow."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO, NoReturn

import zstandard

from fleetroll_agent.unpack.refuse import hostile

if TYPE_CHECKING:
    from collections.abc import Iterator

_INPUT_BYTES = 256
"""Compressed bytes per step. The densest zstd block makes 128 KiB out of 4 bytes, so one step makes at most 8 MiB."""

_OUTPUT_BYTES = 128 * 1024
"""How much is gathered before it is handed on."""

MAX_WINDOW_BYTES = 8 * 1024 * 1024
"""What the decoder may look back, hence its memory: the window of level 19. Larger windows are refused."""


class TarStream:
    """The uncompressed bytes of one zstd frame, counted and hashed."""

    def __init__(self, source: BinaryIO, limit_bytes: int) -> None:
        """Read ``source``; refuse to make more than ``limit_bytes`` of it."""
        self._source = source
        self._limit_bytes = limit_bytes
        self._decoder = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).decompressobj()
        self._digest = hashlib.sha256()
        self._made_bytes = 0
        self._ready = b""
        self.at = "its beginning"
        """What is being read, for people: whoever reads keeps it, so that a refusal says where the stream went wrong.
        MUST be printable."""

    def read(self, size: int) -> bytes:
        """Return exactly ``size`` bytes.

        Raises:
            TrustError: the archive ends before, or is no zstd (HOSTILE_ARCHIVE).
        """
        return b"".join(self.pieces(size))

    def pieces(self, size: int) -> Iterator[bytes]:
        """Yield ``size`` bytes in pieces. Raises as :meth:`read`."""
        left = size
        while left:
            if not self._ready:
                self._ready = self._more()
            if not self._ready:
                self._refuse("the archive ends too early")
            piece, self._ready = self._ready[:left], self._ready[left:]
            left -= len(piece)
            yield piece

    def finish(self) -> str:
        """Return the sha256 of the whole tar, once nothing is left to read.

        Raises:
            TrustError: something follows (HOSTILE_ARCHIVE).
        """
        if self._ready or self._more():
            hostile("data follows the end of the archive")
        if self._decoder.unused_data or self._source.read(1):
            hostile("data follows the compressed archive")
        return self._digest.hexdigest()

    def _more(self) -> bytes:
        """Decompress the next stretch; empty at the end of the frame."""
        gathered: list[bytes] = []
        size = 0
        while size < _OUTPUT_BYTES and not self._decoder.eof:
            taken = self._source.read(_INPUT_BYTES)
            if not taken:
                self._refuse("the compressed archive is truncated")
            made = self._decompress(taken)
            gathered.append(made)
            size += len(made)
            self._made_bytes += len(made)
            if self._made_bytes > self._limit_bytes:
                self._refuse(f"it unpacks to more than the signed {self._limit_bytes} bytes")
        piece = b"".join(gathered)
        self._digest.update(piece)
        return piece

    def _decompress(self, taken: bytes) -> bytes:
        """Run the decoder, with its complaint as a refusal."""
        try:
            return self._decoder.decompress(taken)
        except zstandard.ZstdError as error:
            self._refuse("the compression is damaged or wants too much memory", error)

    def _refuse(self, fault: str, cause: Exception | None = None) -> NoReturn:
        """Refuse the archive, and say where."""
        hostile(f"{fault}, while reading {self.at}", cause, path=self.at)
