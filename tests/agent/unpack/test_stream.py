"""Counted, hashed, bounded decompression."""

from __future__ import annotations

import hashlib
import io
import os

import pytest
import zstandard

from fleetroll_agent.unpack import stream as stream_module
from fleetroll_agent.unpack.stream import TarStream
from fleetroll_common.values.errors import TrustError
from tests.faults.archives import compress

NOISE = os.urandom(1_000_000)


def opened(raw: bytes, limit: int = 10**9) -> TarStream:
    return TarStream(io.BytesIO(raw), limit)


def test_it_returns_the_bytes_and_their_hash() -> None:
    stream = opened(compress(NOISE))
    assert stream.read(3) + stream.read(999_997) == NOISE
    assert stream.finish() == hashlib.sha256(NOISE).hexdigest()


def test_reading_nothing_needs_nothing() -> None:
    assert opened(b"").read(0) == b""


def test_it_stops_one_byte_above_the_limit() -> None:
    assert len(opened(compress(NOISE), len(NOISE)).read(len(NOISE))) == len(NOISE)
    with pytest.raises(TrustError, match="more than the signed 999999 bytes"):
        opened(compress(NOISE), len(NOISE) - 1).read(len(NOISE))


def test_bytes_that_nobody_read_are_found_at_the_end() -> None:
    stream = opened(compress(NOISE))
    stream.read(len(NOISE) - 1)
    with pytest.raises(TrustError, match="follows the end of the archive"):
        stream.finish()


@pytest.mark.parametrize("missing", [1, 2, 3, 4])
def test_a_missing_checksum_is_found_at_the_end_although_every_byte_was_there(
    missing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "_OUTPUT_BYTES", 1)
    stream = opened(compress(NOISE)[:-missing])
    assert stream.read(len(NOISE)) == NOISE
    with pytest.raises(TrustError, match="truncated"):
        stream.finish()


@pytest.mark.parametrize("step", [1, 7, 256, 10**6])
def test_what_follows_the_frame_is_found_wherever_the_pieces_end(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "_INPUT_BYTES", step)
    stream = opened(compress(b"abc") + b"x")
    assert stream.read(3) == b"abc"
    with pytest.raises(TrustError, match="follows the compressed archive"):
        stream.finish()


def test_the_largest_window_of_a_release_is_accepted() -> None:
    packer = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters.from_level(3, window_log=23)
    ).compressobj()
    raw = packer.compress(NOISE) + packer.flush()
    assert zstandard.get_frame_parameters(raw).window_size == stream_module.MAX_WINDOW_BYTES
    assert opened(raw).read(len(NOISE)) == NOISE
