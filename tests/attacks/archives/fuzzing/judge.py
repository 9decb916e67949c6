"""What an extractor may do with an archive: refuse it in its own words and leave nothing, or write what was signed.

The judge reads the archive by itself, with nothing of the code under test.
"""

from __future__ import annotations

import hashlib
import io
import json
import stat
import tarfile
from typing import TYPE_CHECKING, Any

import zstandard

from fleetroll_agent.unpack import unpack
from fleetroll_common.values.errors import TrustError
from tests.faults.archives import HERE

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_common.values.release import ReleaseCustom

CODES = frozenset({"HOSTILE_ARCHIVE", "WRONG_HASH", "ENTRY_MISSING"})
MAX_SENTENCE_CHARS = 1000
BLOCK_BYTES = 512


class Fault(Exception):  # noqa: N818 (a finding)
    """The extractor did what it must not."""


class Ground:
    """A folder to unpack into, with witnesses around it."""

    def __init__(self, root: Path) -> None:
        """Lay it out in the empty folder ``root``."""
        self.root = root
        self.into = root / "state" / "slots" / "draft"
        self.archive = root / "state" / "archive"
        self.into.mkdir(parents=True)
        for file in (root / "witness", root / "state" / "witness", root / "state" / "slots" / "witness"):
            file.write_text("untouched")
        self._around = self._look()

    def judge(self, raw: bytes, expected: ReleaseCustom) -> str:
        """Unpack; return the code of the refusal, or ``taken``.

        Raises:
            Fault: anything else happened.
        """
        self.archive.write_bytes(raw)
        outcome = self._unpack(expected)
        written = self._written()
        if outcome == "taken":
            if written != promised(raw, expected):
                raise Fault(f"what was written is not what was signed: {sorted(written)[:20]}")
            for path in sorted(self.into.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
        elif written:
            raise Fault(f"a refused archive left {sorted(written)[:20]}")
        self.archive.unlink()
        if self._look() != self._around:
            raise Fault("something around the draft has changed")
        return outcome

    def _unpack(self, expected: ReleaseCustom) -> str:
        """Run the extractor."""
        try:
            unpack(self.archive, self.into, expected=expected, platform=HERE)
        except TrustError as error:
            said = str(error)
            if error.code not in CODES or not said.isascii() or not said.isprintable() or not error.remedy:
                raise Fault(f"a refusal that is none: {said!a}") from error
            if len(said) > MAX_SENTENCE_CHARS:
                raise Fault(f"a refusal of {len(said)} characters") from error
            return str(error.code.value)
        except BaseException as error:
            raise Fault(f"no refusal but {type(error).__name__}: {error}") from error
        return "taken"

    def _written(self) -> dict[str, tuple[int, str]]:
        """Return mode and digest of all in the draft; folders have none."""
        found = {}
        for path in self.into.rglob("*"):
            mode = path.lstat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise Fault(f"neither file nor folder: {path.name!a}")
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(mode) else ""
            found[str(path.relative_to(self.into))] = (stat.S_IMODE(mode), digest)
        return found

    def _look(self) -> dict[str, tuple[int, int, int, bytes]]:
        """Return all that is known of what is not the draft's content; a file that came and went shows in a time."""
        changing = {self.into, self.archive, self.archive.parent}
        found = {}
        for path in (self.root, *self.root.rglob("*")):
            if self.into in path.parents:
                continue
            facts = path.lstat()
            at = 0 if path in changing else facts.st_mtime_ns
            found[str(path)] = (facts.st_mode, facts.st_ino, at, path.read_bytes() if path.is_file() else b"")
        return found


def promised(raw: bytes, expected: ReleaseCustom) -> dict[str, tuple[int, str]]:
    """Return what has to be in the draft after this archive was taken.

    Raises:
        Fault: nothing may be: the archive is not what was signed.
    """
    reader = zstandard.ZstdDecompressor().decompressobj()
    try:
        tar = reader.decompress(raw)
    except zstandard.ZstdError as error:
        raise Fault("it was taken, and can't be read") from error
    if reader.unused_data or not reader.eof:
        raise Fault("it was taken, and is not one whole frame")
    if hashlib.sha256(tar).hexdigest() != expected.tar_sha256 or len(tar) != expected.tar_bytes:
        raise Fault("it was taken, and its tar is not the signed one")
    size = int(tar[124:135], 8)
    text = tar[512 : 512 + size]
    if hashlib.sha256(text).hexdigest() != expected.manifest_sha256:
        raise Fault("it was taken, and its manifest is not the signed one")
    manifest = json.loads(text)
    _require_told(tar, manifest, size)
    made = {"MANIFEST": (0o444, hashlib.sha256(text).hexdigest())}
    made |= dict.fromkeys(manifest["directories"], (0o755, ""))
    for row in manifest["files"]:
        made[row["path"]] = ({"0644": 0o444, "0755": 0o555}[row["mode"]], row["sha256"])
    if len(manifest["files"]) != expected.file_count or expected.entry_point not in made:
        raise Fault("it was taken, and lists something else than was signed")
    if any(part in {"", ".", ".."} for path in made for part in path.split("/")):
        raise Fault("it was taken, with a path that leads away")
    return made


def _require_told(tar: bytes, manifest: dict[str, Any], size: int) -> None:
    """Return when the tar says of its entries, to whoever reads it, what the manifest says, in order, and no more.

    Raises:
        Fault: it does not.
    """
    told: list[tuple[str, bytes, int, int]] = [("MANIFEST", tarfile.REGTYPE, 0o644, size)]
    both = [(row["path"], tarfile.REGTYPE, int(row["mode"], 8), row["size"]) for row in manifest["files"]]
    both += [(folder, tarfile.DIRTYPE, 0o755, 0) for folder in manifest["directories"]]
    try:
        with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as reader:
            read = reader.getmembers()
    except (tarfile.TarError, OverflowError, ValueError) as error:
        raise Fault("it was taken, and is no tar to others") from error
    if [(one.name, one.type, one.mode, one.size) for one in read] != told + sorted(both):
        raise Fault("it was taken, and its entries are not the listed ones")
    if any(one.uid or one.gid or one.mtime or one.linkname or one.uname or one.pax_headers for one in read):
        raise Fault("it was taken, with entries that say more than they may")
    ends = [one.offset_data + one.size for one in read]
    filled = [-(-end // BLOCK_BYTES) * BLOCK_BYTES for end in ends]
    if any(any(tar[end:next_one]) for end, next_one in zip(ends, filled, strict=True)):
        raise Fault("it was taken, with something behind the end of a file")
    if tar[filled[-1] :] != bytes(2 * BLOCK_BYTES):
        raise Fault("it was taken, with something behind its end, or without one")
