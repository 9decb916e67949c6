"""Hostile archives as a whole: too much, too little, or other than what was signed. Each kind once, by name."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import zstandard

from fleetroll_agent.unpack import Caps
from fleetroll_common.values import ustar
from fleetroll_common.values.manifest import Manifest
from tests.attacks.archives.shots import DATA, raw, shot
from tests.faults.archives import (
    EVIL,
    Archive,
    Member,
    compress,
    entries,
    forged,
    honest,
    member,
    row,
    signed_manifest,
)

if TYPE_CHECKING:
    from tests.attacks.archives.kinds_of_entries import Kinds

_SKIPPABLE = b"\x50\x2a\x4d\x18\x04\0\0\0evil"
_MEBIBYTE = 1024 * 1024


def _more() -> Archive:
    """Return an archive with an entry that nobody lists."""
    bent = honest()
    bent.members.append(Member(ustar.file_header("pkg/evil.py", 0o644, len(EVIL)), EVIL))
    return bent


def _less() -> Archive:
    """Return an archive without a file that is listed, and other bytes in its place, so that the length fits."""
    bent = honest()
    gone = bent.members.pop(DATA)
    bent.end += bytes(len(gone.blocks()))
    return bent


def _other_bytes() -> Archive:
    """Return an archive with a file whose content is not the listed one."""
    bent = honest()
    return bent.bend(DATA, data=bent.members[DATA].data[::-1])


def _hidden(at: int) -> Archive:
    """Return an archive with data in the rest of a file's last block."""
    bent = honest()
    size = len(bent.members[at].data)
    return bent.bend(at, padding=b"\1" * (ustar.padded(size) - size))


def _wide_window() -> bytes:
    """Return a frame that makes its reader remember 128 MiB."""
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return bytes(packer.compress(honest().tar()) + packer.flush())


def _greedy() -> Archive:
    """Return an archive whose manifest promises a file of 8 GiB and brings none."""
    text = Manifest.of(entries({"entry.py": b""}), []).dump().replace(b'"size":0', b'"size":8589934591')
    return signed_manifest(text, Member(ustar.file_header("entry.py", 0o644, 8**11 - 1)))


def _otherwise(archive: Archive, **signed: object) -> Archive:
    """Sign something else about it."""
    archive.signed = dict(signed)
    return archive


def _last_first() -> Archive:
    """Return an archive whose manifest comes last."""
    bent = honest()
    text = bent.members[0].data
    bent.members.append(bent.members.pop(0))
    return _otherwise(bent, manifest_sha256=hashlib.sha256(text).hexdigest(), file_count=3)


BOMBS: Kinds = {
    "bomb by size": lambda _: raw(compress(honest().tar() + bytes(64 * _MEBIBYTE)), "more than the signed", "MANIFEST"),
    "bomb by size, signed": lambda _: shot(
        honest({"entry.py": b"", "zeros": bytes(_MEBIBYTE)}), "this host takes", caps=Caps(tar_bytes=_MEBIBYTE)
    ),
    "bomb by count": lambda _: shot(
        honest({"entry.py": b""} | {f"f{number}": b"" for number in range(200)}),
        "it holds 201 files, this host takes 200",
        caps=Caps(files=200),
    ),
    "bomb by count of directories": lambda _: shot(
        honest({"entry.py": b""}, tuple(f"d{number}" for number in range(201))), "lists 1 files", caps=Caps(files=200)
    ),
    "bomb by nesting of the manifest": lambda _: shot(signed_manifest(b"[" * 100_000), "the manifest is not readable"),
    "bomb by size of the manifest": lambda _: shot(honest(), "a file named 'MANIFEST'", caps=Caps(manifest_bytes=64)),
    "bomb by promise": lambda _: shot(_greedy(), "the manifest makes a tar of"),
    "bomb by window": lambda _: raw(_wide_window(), "too much memory", "MANIFEST"),
}

ENDS: Kinds = {
    "trailing data in the tar": lambda _: shot(_otherwise_end(honest(), bytes(512)), "signed"),
    "trailing entry": lambda _: shot(
        _otherwise_end(honest(), b"", ustar.file_header("evil.py", 0o644, 0) + bytes(512)), "a file named 'evil.py'"
    ),
    "trailing bytes": lambda _: raw(compress(honest().tar()) + b"x", "data follows the compressed archive"),
    "trailing zstd frame": lambda _: raw(compress(honest().tar()) + compress(EVIL), "data follows the compressed"),
    "trailing empty zstd frame": lambda _: raw(compress(honest().tar()) + compress(b""), "data follows the compressed"),
    "trailing skippable frame": lambda _: raw(compress(honest().tar()) + _SKIPPABLE, "data follows the compressed"),
    "truncated tar": lambda _: raw(compress(honest().tar()[:-3072]), "ends too early", "pkg/data.bin"),
    "truncated zstd": lambda _: raw(compress(honest().tar())[:-20], "truncated", "MANIFEST"),
    "damaged zstd": lambda _: raw(_flipped(compress(honest().tar())), "damaged", "MANIFEST"),
    "no zstd at all": lambda _: raw(b"PK\3\4" + b"x" * 900, "damaged", "MANIFEST"),
    "empty file": lambda _: raw(b"", "truncated", "MANIFEST"),
    "no end of the tar": lambda _: shot(_otherwise_end(honest(), b"", b"\1" + ustar.END[1:]), "no proper end"),
    "data behind the end of a file": lambda _: shot(_hidden(1), "data hides behind the end of entry.py"),
    "data behind the end of the manifest": lambda _: shot(_hidden(0), "data hides behind the end of MANIFEST"),
}

LIES: Kinds = {
    "entry point missing": lambda _: shot(honest({"main.py": b""}), "it has no entry.py", code="ENTRY_MISSING"),
    "manifest lists more": lambda _: shot(_less(), "where the manifest has pkg/data.bin, it holds an early end"),
    "manifest lists less": lambda _: shot(_more(), "the manifest makes a tar of"),
    "manifest lists another hash": lambda _: shot(_other_bytes(), "pkg/data.bin has not the hash", code="WRONG_HASH"),
    "manifest lists another size": lambda _: shot(
        forged([row("entry.py", {"size": 4})], [], member("entry.py")), "named 'entry.py'", "size 5"
    ),
    "manifest is not the signed one": lambda _: shot(
        _otherwise(honest(), manifest_sha256="0" * 64), "the manifest has not the signed hash", code="WRONG_HASH"
    ),
    "manifest is not first": lambda _: shot(_last_first(), "it does not begin with a manifest", "'entry.py'"),
    "manifest in another form": lambda _: shot(
        signed_manifest(Manifest.of(entries({"entry.py": EVIL}), []).dump().replace(b",", b", "), member("entry.py")),
        "one canonical form",
    ),
    "folder is not listed": lambda _: shot(
        forged([row("entry.py"), row("pkg/evil")], [], member("entry.py"), member("pkg/evil")), "'pkg/evil'"
    ),
    "tar is not the signed one": lambda _: shot(
        _otherwise(honest(), tar_sha256="0" * 64), "the tar has not the signed hash", code="WRONG_HASH"
    ),
}

ARCHIVES: Kinds = {**BOMBS, **ENDS, **LIES}


def _otherwise_end(archive: Archive, more: bytes, instead: bytes = b"") -> Archive:
    """Give the archive another end."""
    archive.end = (instead or archive.end) + more
    return archive


def _flipped(data: bytes) -> bytes:
    """Change the checksum at the end of a frame."""
    return data[:-1] + bytes([data[-1] ^ 1])
