"""Compressing a tar in ways that are honest, odd or broken."""

from __future__ import annotations

import struct
from functools import cache
from typing import TYPE_CHECKING

import zstandard

from tests.faults.archives import compress

if TYPE_CHECKING:
    from random import Random

_SKIPPABLE = 0x184D2A50
_RAW_BYTES = 128 * 1024
BOMB_BYTES = 512 * 1024 * 1024


def packed(random: Random, tar: bytes, told: list[str], *, bent: bool) -> bytes:
    """Return compressed bytes of ``tar``; ``bent``: not as an honest builder would."""
    if not bent:
        return compress(tar)
    how = random.choice((*_HONEST, *_ODD, *_BROKEN))
    told.append(f"frames: {how}")
    return bytes((_HONEST | _ODD | _BROKEN)[how](random, tar))


def skippable(data: bytes, kind: int = 0) -> bytes:
    """Return a frame that readers pass over."""
    return struct.pack("<II", _SKIPPABLE + kind % 16, len(data)) + data


def stored(tar: bytes) -> bytes:
    """Return a frame of blocks that are not compressed, made by hand, without size and checksum."""
    out = [struct.pack("<I", 0xFD2FB528), b"\x00\x58"]  # no single segment, a window of 2 MiB
    pieces = [tar[at : at + _RAW_BYTES] for at in range(0, len(tar), _RAW_BYTES)] or [b""]
    for number, piece in enumerate(pieces, start=1):
        out.append(struct.pack("<I", len(piece) << 3 | (number == len(pieces)))[:3] + piece)
    return b"".join(out)


@cache
def bomb() -> bytes:
    """Return a small frame that makes very many bytes: blocks that repeat one byte."""
    head = struct.pack("<I", 0xFD2FB528) + b"\x00\x58"
    more, last = (struct.pack("<I", _RAW_BYTES << 3 | 1 << 1 | end)[:3] + b"\0" for end in (0, 1))
    return head + more * (BOMB_BYTES // _RAW_BYTES - 1) + last


def _with(tar: bytes, level: int, **parameters: int) -> bytes:
    settings = zstandard.ZstdCompressionParameters.from_level(level, **parameters)
    packer = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    return bytes(packer.compress(tar) + packer.flush())


def _flushed(random: Random, tar: bytes) -> bytes:
    """Return one frame in many blocks."""
    packer, out, at = zstandard.ZstdCompressor().compressobj(), b"", 0
    while at < len(tar):
        step = random.choice((1, 7, 512, 4096, 100_000)) if len(out) < 100_000 else len(tar)
        out += packer.compress(tar[at : at + step]) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        at += step
    return bytes(out + packer.flush())


def _flipped(random: Random, tar: bytes) -> bytes:
    work = bytearray(compress(tar))
    for _ in range(random.choice((1, 1, 3))):
        work[random.randrange(len(work))] ^= random.randrange(1, 256)
    return bytes(work)


def _halves(random: Random, tar: bytes) -> bytes:
    at = random.randrange(len(tar) + 1)
    return compress(tar[:at]) + compress(tar[at:])


_HONEST = {
    "level 1": lambda _r, tar: _with(tar, 1),
    "level 19": lambda _r, tar: _with(tar, 19 if len(tar) <= 50_000 else 3),
    "no checksum": lambda _r, tar: zstandard.ZstdCompressor(write_checksum=False).compress(tar),
    "no content size": lambda _r, tar: zstandard.ZstdCompressor(write_content_size=False).compress(tar),
    "many blocks": _flushed,
    "stored": lambda _r, tar: stored(tar),
}
_ODD = {
    "skippable before": lambda r, tar: skippable(r.randbytes(9), r.randrange(16)) + compress(tar),
    "skippable behind": lambda r, tar: compress(tar) + skippable(r.randbytes(9), r.randrange(16)),
    "two halves": _halves,
    "empty frame behind": lambda _r, tar: compress(tar) + compress(b""),
    "empty frame before": lambda _r, tar: compress(b"") + compress(tar),
    "wide window": lambda r, tar: _with(tar, 3, window_log=r.choice((22, 23, 24, 27))),
    "long distance": lambda _r, tar: _with(tar, 3, window_log=24, enable_ldm=1),
}
_BROKEN = {
    "cut": lambda r, tar: compress(tar)[: r.randrange(len(compress(tar)))],
    "flipped": _flipped,
    "noise behind": lambda r, tar: compress(tar) + r.randbytes(r.choice((1, 4, 99))),
    "noise before": lambda r, tar: r.randbytes(r.choice((1, 4, 99))) + compress(tar),
    "noise alone": lambda r, _tar: r.randbytes(r.choice((0, 1, 4, 5, 18, 300, 5000))),
    "not compressed": lambda _r, tar: tar,
    "bomb": lambda _r, _tar: bomb(),
    "bomb behind": lambda _r, tar: compress(tar) + bomb(),
    "bomb within": lambda _r, tar: stored(tar)[:-1] + bomb()[6:],
}
