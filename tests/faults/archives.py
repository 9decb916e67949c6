"""Artefacts made by hand, honest or hostile, with signed descriptions that fit them.

The hashes always fit what is really there (unless a test changes them): so it is the rule under test that refuses an
archive, not a hash that happens to differ.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from fleetroll_agent.unpack import Caps, unpack
from fleetroll_common.values import ustar
from fleetroll_common.values.errors import TrustError
from fleetroll_common.values.manifest import FileEntry, Manifest, manifest_header
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.release import ReleaseCustom
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from pathlib import Path

HERE = Platform("linux", "x86_64", "cp311")
EVIL = b"evil\n"
CONTENT = {"entry.py": b"print('here')\n", "pkg/__init__.py": b"", "pkg/data.bin": bytes(range(256)) * 9}


@dataclass
class Member:
    """One entry of a tar: its header and its content, not yet filled up to whole blocks."""

    header: bytes
    data: bytes = b""
    padding: bytes | None = None

    def blocks(self) -> bytes:
        """Return header, content, padding."""
        filler = bytes(ustar.padded(len(self.data)) - len(self.data)) if self.padding is None else self.padding
        return self.header + self.data + filler


@dataclass
class Archive:
    """A tar in pieces that a test may bend."""

    members: list[Member]
    end: bytes = ustar.END
    signed: dict[str, Any] = field(default_factory=dict)

    def tar(self) -> bytes:
        """Return the tar as it stands now."""
        return b"".join(member.blocks() for member in self.members) + self.end

    def custom(self) -> ReleaseCustom:
        """Return the description that a publisher would sign for it, with the test's changes."""
        tar = self.tar()
        facts: dict[str, Any] = {
            "product": "agent",
            "version": Version.parse("1.1.0"),
            "channels": ("stable",),
            "platform": HERE,
            "git_sha": "a" * 40,
            "tar_sha256": hashlib.sha256(tar).hexdigest(),
            "tar_bytes": len(tar),
            "manifest_sha256": hashlib.sha256(self.members[0].data).hexdigest(),
            "file_count": max(1, self.members[0].data.count(b'"sha256"')),
            "entry_point": "entry.py",
            "protocol": 1,
            "migrations_required": False,
            "breaking_changes": None,
            "released_at": datetime(2026, 1, 1, tzinfo=UTC),
        }
        return ReleaseCustom(**(facts | self.signed))

    def write(self, path: Path) -> Path:
        """Compress it to ``path``."""
        path.write_bytes(compress(self.tar()))
        return path

    def bend(self, at: int, **changes: Any) -> Archive:
        """Change one member; 0 is the manifest."""
        self.members[at] = replace(self.members[at], **changes)
        return self


def compress(tar: bytes, **parameters: Any) -> bytes:
    """Return one zstd frame with a checksum."""
    settings = zstandard.ZstdCompressionParameters.from_level(3, write_checksum=True, **parameters)
    return zstandard.ZstdCompressor(compression_params=settings).compress(tar)


def entries(content: dict[str, bytes]) -> list[FileEntry]:
    """Return the manifest's rows for ``content``."""
    return [FileEntry(path, 0o644, len(data), hashlib.sha256(data).hexdigest()) for path, data in content.items()]


def honest(content: dict[str, bytes] | None = None, empty_folders: tuple[str, ...] = ()) -> Archive:
    """Return the archive that a builder makes of ``content``."""
    content = CONTENT if content is None else content
    manifest = Manifest.of(entries(content), list(empty_folders))
    text = manifest.dump()
    members = [Member(manifest_header(len(text)), text)]
    for item in manifest.members():
        if isinstance(item, str):
            members.append(Member(ustar.directory_header(item)))
        else:
            members.append(Member(ustar.file_header(item.path, item.mode, item.size), content[item.path]))
    return Archive(members)


def signed_manifest(text: bytes, *members: Member) -> Archive:
    """Return an archive whose manifest is exactly ``text``, whatever that says, followed by ``members``."""
    return Archive([Member(manifest_header(len(text)), text), *members])


def forged(rows: list[dict[str, Any]], folders: list[str], *members: Member) -> Archive:
    """Return an archive with a manifest of these rows, written as a builder would write it."""
    document = {"directories": folders, "files": rows, "format": 1}
    return signed_manifest(json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n", *members)


def row(path: str, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the row of a file with the content EVIL."""
    entry = entries({path: EVIL})[0]
    return {"mode": "0644", "path": path, "sha256": entry.sha256, "size": entry.size} | (changes or {})


def member(path: str) -> Member:
    """Return the tar's entry for such a file."""
    return Member(header(path.encode("utf-8", "surrogateescape")[:100], size=len(EVIL)), EVIL)


def header(
    name: bytes,
    *,
    kind: bytes = b"0",
    mode: int = 0o644,
    size: bytes | int = 0,
    link: bytes = b"",
    owner: int = 0,
    seconds: int = 0,
    spoil_checksum: bool = False,
) -> bytes:
    """Return any tar header at all: the fields are taken as they come."""
    length = size if isinstance(size, bytes) else b"%011o\0" % size
    block = b"".join(
        (
            name.ljust(100, b"\0"),
            b"%07o\0" % mode,
            b"%07o\0" % owner,
            b"%07o\0" % owner,
            length,
            b"%011o\0" % seconds,
            b" " * 8,
            kind,
            link.ljust(100, b"\0"),
            b"ustar\00000",
            bytes(64),
            b"0000000\0" * 2,
            bytes(167),
        )
    )
    total = sum(block) + (1 if spoil_checksum else 0)
    return block[:148] + b"%06o\0 " % total + block[156:]


@dataclass
class Arena:
    """A folder with a witness file, an archive, and the folder that shall be unpacked into."""

    root: Path

    @property
    def into(self) -> Path:
        """Where files may appear."""
        return self.root / "into"

    def refuse(
        self, archive: Archive | bytes, code: str, *, like: Archive | None = None, caps: Caps | None = None
    ) -> TrustError:
        """Unpack, expect a refusal with ``code``, and that nothing at all was written."""
        path = self.root / "archive.tar.zst"
        raw = archive if isinstance(archive, bytes) else archive.write(path).read_bytes()
        path.write_bytes(raw)
        model = archive if isinstance(archive, Archive) else like
        assert model is not None
        before = snapshot(self.root)
        with pytest.raises(TrustError) as caught:
            unpack(path, self.into, expected=model.custom(), platform=HERE, caps=caps)
        assert snapshot(self.root) == before
        assert caught.value.code == code, str(caught.value)
        return caught.value


def snapshot(root: Path) -> dict[str, str]:
    """Return everything below ``root``: kind and content hash by path."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            kind = f"link to {path.readlink()}"
        elif path.is_file():
            kind = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            kind = "folder"
        found[str(path.relative_to(root))] = kind
    return found
