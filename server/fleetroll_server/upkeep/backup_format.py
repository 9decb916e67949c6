"""The one file of a backup: a header in clear, then frames that show damage, truncation and reordering.

Header: one line with a checksum. Frames: four bytes of length, then the frame. Each is sealed under a key from the
passphrase (argon2id), its nonce made of the header's hash, the frame's number and whether it is the last one: a frame
that is missing, moved, or of another file does not open, and a file without its last frame is no backup. Without a
passphrase each frame carries a SHA-256 over the same: accidents are found, a forger is not.

Inside of the frames, compressed: records of four bytes of length, a head as JSON, and as many bytes as it says. Nothing
in it is believed before it is checked: without a passphrase anybody can make one. Whatever it says, reading takes no
more memory than one record of the longest kind.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import zstandard
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from fleetroll_common.durable import DamagedRecord, dump_record, load_record
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.keys import Passphrase, make_lock, open_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KIND = "fleetroll-backup-1"
FRAME_BYTES = 1 << 20
MAX_HEADER_BYTES = 4096
MAX_HEAD_BYTES = 4096
MAX_BODY_BYTES = 64 << 20
"""Of a record: a mebibyte of rows and the longest row, which holds one file of signed metadata."""
MAX_WINDOW_BYTES = 8 << 20
"""What decompressing may look back on; four times what is written here."""
_PIECE_BYTES = 1 << 18
_LENGTH = struct.Struct(">I")
_PLACE = struct.Struct(">?Q")
_PREFIX_BYTES = SecretBox.NONCE_SIZE - _PLACE.size
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Record:
    """One part of a backup: what it is, and its bytes."""

    head: Mapping[str, Any]
    body: bytes


class _Frames:
    """Seals or opens frames by their place."""

    def __init__(self, header: bytes, key: bytes | None) -> None:
        self._prefix = hashlib.blake2b(header, digest_size=_PREFIX_BYTES).digest()
        self._box = None if key is None else SecretBox(key)

    def seal(self, number: int, data: bytes, *, last: bool) -> bytes:
        """Return the frame."""
        place = self._prefix + _PLACE.pack(last, number)
        if self._box is not None:
            return self._box.encrypt(data, place).ciphertext
        return hashlib.sha256(place + data).digest() + data

    def open(self, number: int, frame: bytes, *, last: bool) -> bytes | None:
        """Return what was sealed at this place; nothing for any other frame."""
        place = self._prefix + _PLACE.pack(last, number)
        if self._box is not None:
            try:
                return self._box.decrypt(frame, place)
            except CryptoError:
                return None
        digest, data = frame[:_DIGEST_BYTES], frame[_DIGEST_BYTES:]
        return data if hashlib.sha256(place + data).digest() == digest else None


class BackupWriter:
    """Writes records to an open file. :meth:`close` ends it; without that it is no backup."""

    def __init__(self, file: IO[bytes], facts: Mapping[str, Any], passphrase: Passphrase | None) -> None:
        """Write the header; ``passphrase`` None leaves everything readable."""
        lock = {"by": "nothing"} if passphrase is None else make_lock(passphrase)
        header = dump_record({"kind": KIND, "lock": lock, **facts})
        key = None if passphrase is None else open_lock(passphrase, lock)
        self._file = file
        self._frames = _Frames(header, key)
        self._number = 0
        self._buffer = bytearray()
        self._zstd = zstandard.ZstdCompressor(level=3).compressobj()
        file.write(header)

    def add(self, head: Mapping[str, Any], body: bytes) -> None:
        """Add a record.

        Raises:
            ValueError: ``body`` is longer than a reader takes (a defect: nothing that a server has is).
        """
        if len(body) > MAX_BODY_BYTES:
            raise ValueError(f"a record of {len(body)} bytes")
        said = json.dumps({**head, "bytes": len(body)}).encode()
        self._take(self._zstd.compress(_LENGTH.pack(len(said)) + said + body))

    def close(self) -> None:
        """Write what is left, and the last frame."""
        self._take(self._zstd.flush())
        self._write(bytes(self._buffer), last=True)

    def _take(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) > FRAME_BYTES:
            self._write(bytes(self._buffer[:FRAME_BYTES]), last=False)
            del self._buffer[:FRAME_BYTES]

    def _write(self, data: bytes, *, last: bool) -> None:
        frame = self._frames.seal(self._number, data, last=last)
        self._file.write(_LENGTH.pack(len(frame)) + frame)
        self._number += 1


class BackupReader:
    """Reads a backup; every byte that is given out has been verified."""

    def __init__(self, file: IO[bytes], passphrase: Passphrase | None) -> None:
        """Read the header.

        Raises:
            RequestError: INVALID_ARGUMENT: it is no backup, is damaged, or is not opened by this passphrase (operator's
                fault).
        """
        header = file.readline(MAX_HEADER_BYTES)
        try:
            self.facts = load_record(header)
            lock = self.facts["lock"]
            is_open = lock["by"] == "nothing"
        except (DamagedRecord, KeyError, TypeError) as error:
            raise damaged("it does not begin as one") from error
        if self.facts.get("kind") != KIND:
            raise damaged("it is of another kind, or of a newer program")
        if is_open == (passphrase is not None):
            said = "it is not encrypted" if is_open else "it is encrypted"
            remedy = "leave --passphrase-file out" if is_open else "name its passphrase's file: --passphrase-file"
            raise RequestError(f"from: {said}", code=Code.INVALID_ARGUMENT, remedy=remedy, field="passphrase-file")
        try:
            key = None if passphrase is None else open_lock(passphrase, lock)
        except (KeyError, TypeError, ValueError) as error:
            raise damaged("its header is damaged") from error
        self._file = file
        self._frames = _Frames(header, key)

    def records(self) -> Iterator[Record]:
        """Yield the records in their order.

        Raises:
            RequestError: INVALID_ARGUMENT: it is damaged, cut off, or not opened by this passphrase (operator's fault).
        """
        buffer, data = bytearray(), self._plain()
        while (head := _taken(buffer, data, _LENGTH.size, at_end=True)) is not None:
            size = _LENGTH.unpack(head)[0]
            if size > MAX_HEAD_BYTES:
                raise damaged("a part of it is too long")
            said = _head(_taken(buffer, data, size) or b"")
            yield Record(said, _taken(buffer, data, said["bytes"]) or b"")

    def _plain(self) -> Iterator[bytes]:
        """Yield the decompressed bytes in small pieces, however far a frame expands."""
        source = _Source(self._opened())
        zstd = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
        reader = zstd.stream_reader(source, read_size=FRAME_BYTES, read_across_frames=False)  # type: ignore[arg-type]
        try:
            while piece := reader.read(_PIECE_BYTES):
                yield piece
        except zstandard.ZstdError as error:
            raise damaged("it can't be decompressed") from error
        if source.read(1):
            raise damaged("something follows what is compressed")

    def _opened(self) -> Iterator[bytes]:
        number = 0
        while True:
            size = self._file.read(_LENGTH.size)
            if len(size) < _LENGTH.size:
                raise damaged("it is cut off")
            length = _LENGTH.unpack(size)[0]
            if length > 2 * FRAME_BYTES:
                raise damaged("a part of it is too long")
            frame = self._file.read(length)
            opened = self._frames.open(number, frame, last=False)
            last = opened is None
            if last:
                opened = self._frames.open(number, frame, last=True)
            if opened is None:
                raise damaged("a part of it is not as it was written" if number else "this passphrase does not open it")
            yield opened
            if last:
                break
            number += 1
        if self._file.read(1):
            raise damaged("something follows its end")


class _Source:
    """Frames, as what a decompressor reads from."""

    def __init__(self, frames: Iterator[bytes]) -> None:
        self._frames = frames
        self._left = b""

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes; none at the end."""
        while not self._left:
            frame = next(self._frames, None)
            if frame is None:
                return b""
            self._left = frame
        found, self._left = self._left[:size], self._left[size:]
        return found


def _head(data: bytes) -> dict[str, Any]:
    """Return the head of a record, whose ``bytes`` are a number within bounds."""
    try:
        said = json.loads(data)
        size = said["bytes"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged("a part of it is not described") from error
    if type(said) is not dict or type(size) is not int or not 0 <= size <= MAX_BODY_BYTES:
        raise damaged("a part of it is too long")
    return said


def _taken(buffer: bytearray, data: Iterator[bytes], size: int, *, at_end: bool = False) -> bytes | None:
    """Return the next ``size`` bytes; nothing at the end, where that may be."""
    while len(buffer) < size:
        more = next(data, None)
        if more is None:
            if at_end and not buffer:
                return None
            raise damaged("it is cut off")
        buffer += more
    found = bytes(buffer[:size])
    del buffer[:size]
    return found


def damaged(why: str) -> RequestError:
    """Return the operator's error."""
    message = f"from: the file is no whole backup: {why}"
    remedy = "take another backup, or the right passphrase"
    return RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="from")
