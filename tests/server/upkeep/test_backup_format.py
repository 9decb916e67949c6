"""The file of a backup: what is damaged, cut off, moved or of another file is found, and nothing of it is believed."""

from __future__ import annotations

import io
import tracemalloc
from typing import TYPE_CHECKING

import pytest
import zstandard

from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.keys import Cost, Passphrase
from fleetroll_server.upkeep import backup_format
from fleetroll_server.upkeep.backup_format import BackupReader, BackupWriter

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = Passphrase("a good passphrase", Cost(1, 8192))
BODIES = [bytes([number]) * 3000 for number in range(20)]


@pytest.fixture(autouse=True)
def small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_format, "FRAME_BYTES", 64)


@pytest.fixture(params=["sealed", "plain"])
def passphrase(request: pytest.FixtureRequest) -> Passphrase | None:
    return SECRET if request.param == "sealed" else None


def written(passphrase: Passphrase | None, bodies: list[bytes] = BODIES) -> bytes:
    file = io.BytesIO()
    writer = BackupWriter(file, {"taken_at": "now"}, passphrase)
    for number, body in enumerate(bodies):
        writer.add({"kind": "rows", "number": number}, body)
    writer.close()
    return file.getvalue()


def read(data: bytes, passphrase: Passphrase | None) -> list[bytes]:
    reader = BackupReader(io.BytesIO(data), passphrase)
    assert reader.facts["taken_at"] == "now"
    return [record.body for record in reader.records()]


def frames(data: bytes) -> tuple[bytes, list[bytes]]:
    """The header, and each frame with its length."""
    header, _, rest = data.partition(b"\n")
    found = []
    while rest:
        size = 4 + int.from_bytes(rest[:4], "big")
        found.append(rest[:size])
        rest = rest[size:]
    return header + b"\n", found


def test_what_was_written_is_read(passphrase: Passphrase | None) -> None:
    data = written(passphrase)
    assert read(data, passphrase) == BODIES
    assert len(frames(data)[1]) > 3


def test_an_encrypted_one_shows_nothing_of_what_it_holds() -> None:
    assert b"rows" not in written(SECRET, [b"rows" * 9])


CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "a frame is missing": lambda all_: [all_[0], *all_[2:]],
    "the first frame is missing": lambda all_: all_[1:],
    "the last frame is missing": lambda all_: all_[:-1],
    "two frames are exchanged": lambda all_: [all_[1], all_[0], *all_[2:]],
    "a frame comes twice": lambda all_: [all_[0], *all_],
    "the last frame comes twice": lambda all_: [*all_, all_[-1]],
    "something follows": lambda all_: [*all_, b"more"],
    "a bit is another": lambda all_: [all_[0], all_[1][:-1] + bytes([all_[1][-1] ^ 1]), *all_[2:]],
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_file_is_no_backup(passphrase: Passphrase | None, what: str) -> None:
    header, all_ = frames(written(passphrase))
    with pytest.raises(RequestError, match="no whole backup"):
        read(header + b"".join(CHANGES[what](all_)), passphrase)


def test_it_is_cut_off_at_any_byte(passphrase: Passphrase | None) -> None:
    data = written(passphrase, BODIES[:2])
    for size in range(len(data)):
        with pytest.raises(RequestError):
            read(data[:size], passphrase)


def test_a_frame_of_another_file_is_none_of_this_one() -> None:
    header, all_ = frames(written(None))
    other = BackupWriter(io.BytesIO(), {"taken_at": "then"}, None)
    stolen = other._frames.seal(0, b"x", last=False)
    with pytest.raises(RequestError):
        read(header + len(stolen).to_bytes(4, "big") + stolen + b"".join(all_[1:]), None)


@pytest.mark.parametrize(
    ("made", "given", "says"),
    [
        (SECRET, None, "encrypted"),
        (None, SECRET, "not encrypted"),
        (SECRET, Passphrase("another passphrase", Cost(1, 8192)), "passphrase"),
    ],
)
def test_the_wrong_passphrase_is_said(made: Passphrase | None, given: Passphrase | None, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        read(written(made), given)


@pytest.mark.parametrize("data", [b"", b"\n", b"x" * 9000, b'{"crc32":"00000000","record":{}}\n'])
def test_what_is_no_backup_at_all_is_refused(data: bytes) -> None:
    with pytest.raises(RequestError, match="no whole backup"):
        read(data, SECRET)


def forged(head: bytes, body: bytes = b"", compressed: bytes = b"") -> bytes:
    """A backup in clear that anybody could have made, with this head of a record."""
    file = io.BytesIO()
    writer = BackupWriter(file, {"taken_at": "now"}, None)
    writer._take(compressed or writer._zstd.compress(len(head).to_bytes(4, "big") + head + body))
    if compressed:
        writer._write(bytes(writer._buffer), last=True)
    else:
        writer.close()
    return file.getvalue()


HEADS = {
    "nothing": b"",
    "no JSON": b"{",
    "no text": b"\xff\xfe",
    "a list": b"[1]",
    "a text": b'"bytes"',
    "null": b"null",
    "too deep": b"[" * 4000,
    "no size": b'{"kind": "rows"}',
    "a size that is none": b'{"bytes": "many"}',
    "a size as text": b'{"bytes": "3"}',
    "a truth": b'{"bytes": true}',
    "a fraction": b'{"bytes": 0.5}',
    "infinite": b'{"bytes": Infinity}',
    "below zero": b'{"bytes": -1}',
    "an exabyte": b'{"bytes": 1152921504606846976}',
    "many digits": b'{"bytes": ' + b"9" * 4050 + b"}",
}


@pytest.mark.parametrize("what", HEADS)
def test_a_head_that_is_none_is_damage(what: str) -> None:
    with pytest.raises(RequestError, match="no whole backup"):
        read(forged(HEADS[what], b"abc"), None)


def test_what_expands_without_end_takes_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bomb in one frame."""
    monkeypatch.setattr(backup_format, "FRAME_BYTES", 1 << 20)
    head = b'{"bytes": 3}'
    zstd = zstandard.ZstdCompressor(level=3).compressobj()
    bomb = zstd.compress(len(head).to_bytes(4, "big") + head + b"abc")
    bomb += b"".join(zstd.compress(bytes(1 << 20)) for _ in range(256)) + zstd.flush()
    assert len(bomb) < 64 << 10
    tracemalloc.start()
    try:
        with pytest.raises(RequestError, match="no whole backup"):
            read(forged(b"", compressed=bomb), None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20, peak


def test_a_window_that_is_too_large_is_damage() -> None:
    window = zstandard.ZstdCompressionParameters(window_log=27)
    zstd = zstandard.ZstdCompressor(compression_params=window).compressobj()
    with pytest.raises(RequestError, match="decompressed"):
        read(forged(b"", compressed=zstd.compress(bytes(10)) + zstd.flush()), None)


def test_what_follows_the_end_of_the_compressed_part_is_damage() -> None:
    head = b'{"bytes": 3}'
    whole = zstandard.ZstdCompressor().compress(len(head).to_bytes(4, "big") + head + b"abc")
    assert read(forged(b"", compressed=whole), None) == [b"abc"]
    with pytest.raises(RequestError, match="no whole backup"):
        read(forged(b"", compressed=whole + b"more"), None)


def test_no_backup_is_written_that_nobody_could_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_format, "MAX_BODY_BYTES", 2999)
    with pytest.raises(ValueError, match="3000"):
        written(None)
