"""The list of what an artefact holds; its hash is in the signed metadata, so it speaks for every byte of the artefact.

There is exactly one text for one content: JSON, sorted, without spaces, closed by a newline. A text that says the same
in another form is refused. The tar follows from the manifest: first the manifest itself, then directories and files
together, sorted by path (ASCII order), then two empty blocks.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from fleetroll_common.values import ustar
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import TrustError
from fleetroll_common.values.relpath import MANIFEST_NAME, collision, path_fault

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = 1
MAX_MANIFEST_BYTES = 8 * 1024 * 1024
"""About 50,000 files; the agent has some 500."""

FILE_MODES = {"0644": 0o644, "0755": 0o755}
"""Set-id bits, write bits for others and unreadable files have no place in an artefact."""

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_FIELDS = frozenset({"mode", "path", "sha256", "size"})


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One regular file: mode 0o644 or 0o755, size in bytes, sha256 in lower-case hex."""

    path: str
    mode: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Files and directories of an artefact, each sorted by path; every folder of a file is among ``directories``."""

    files: tuple[FileEntry, ...]
    directories: tuple[str, ...]

    @classmethod
    def of(cls, files: list[FileEntry], empty_directories: list[str]) -> Manifest:
        """Return the manifest of ``files``, with all folders that their paths need.

        Raises:
            TrustError: a path or mode is not allowed (HOSTILE_ARCHIVE).
        """
        folders = set(empty_directories)
        for path in [*(entry.path for entry in files), *empty_directories]:
            parts = path.split("/")
            folders.update("/".join(parts[:count]) for count in range(1, len(parts)))
        manifest = cls(tuple(sorted(files, key=lambda entry: entry.path)), tuple(sorted(folders)))
        _check(manifest)
        return manifest

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """Read the text of a manifest, at most 8 MiB.

        Raises:
            TrustError: it is not the one text of a well-formed manifest (HOSTILE_ARCHIVE).
        """
        try:
            document = json.loads(data.decode("ascii"))
            folders = tuple(document["directories"])
            manifest = cls(tuple(_entry(row) for row in document["files"]), folders)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            _refuse("the manifest is not readable", cause=error)
        if not all(type(folder) is str for folder in folders):
            _refuse("a folder in the manifest is not text")
        _check(manifest)
        if manifest.dump() != data:
            _refuse("the manifest is not in its one canonical form")
        return manifest

    def dump(self) -> bytes:
        """Return the one text of this manifest."""
        rows = [
            {"mode": f"{entry.mode:04o}", "path": entry.path, "sha256": entry.sha256, "size": entry.size}
            for entry in self.files
        ]
        document = {"directories": self.directories, "files": rows, "format": FORMAT}
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"

    def members(self) -> Iterator[FileEntry | str]:
        """Yield files and directories (as plain paths) in the order in which they stand in the tar."""
        both: list[FileEntry | str] = [*self.files, *self.directories]
        yield from sorted(both, key=lambda member: member if isinstance(member, str) else member.path)

    def tar_bytes(self) -> int:
        """Return how long the tar is, in bytes."""
        content = sum(ustar.BLOCK_BYTES + ustar.padded(entry.size) for entry in self.files)
        own = ustar.BLOCK_BYTES + ustar.padded(len(self.dump()))
        return own + content + ustar.BLOCK_BYTES * len(self.directories) + len(ustar.END)


def manifest_header(size: int) -> bytes:
    """Return the first block of a tar whose manifest has ``size`` bytes."""
    return ustar.file_header(MANIFEST_NAME, 0o644, size)


def _entry(row: dict[str, Any]) -> FileEntry:
    """Read one row, strictly."""
    if set(row) != _FIELDS or type(row["size"]) is not int or not all(type(row[k]) is str for k in _FIELDS - {"size"}):
        message = "a row of the manifest has other fields"
        raise ValueError(message)
    return FileEntry(row["path"], FILE_MODES[row["mode"]], row["size"], row["sha256"])


def _check(manifest: Manifest) -> None:
    """Refuse whatever could do harm when it is unpacked."""
    paths = [entry.path for entry in manifest.files]
    if paths != sorted(paths) or list(manifest.directories) != sorted(manifest.directories):
        _refuse("the manifest is not sorted")
    for entry in manifest.files:
        _check_file(entry)
    _check_paths(manifest, paths)


def _check_paths(manifest: Manifest, paths: list[str]) -> None:
    """Refuse odd names, doubles, and files in folders that are not listed."""
    for path in [*paths, *manifest.directories]:
        fault = path_fault(path) or ("" if ustar.fits(f"{path}/") else "is too long for a tar header")
        if fault:
            _refuse(f"the path {path[:120]!a} {fault}", path=ascii(path[:120]))
    twice = collision([*manifest.directories, *paths])
    if twice:
        _refuse(f"the path {twice!a} stands twice, or differs from another only in case", path=twice)
    known = set(manifest.directories)
    for path in [*paths, *manifest.directories]:
        folder = path.rpartition("/")[0]
        if folder and folder not in known:
            _refuse(f"the folder of {path!a} is not listed", path=path)


def _check_file(entry: FileEntry) -> None:
    """Refuse a mode, size or hash that no builder writes."""
    if entry.mode not in FILE_MODES.values():
        _refuse(f"the mode {entry.mode:o} of {entry.path[:120]!a} is not 644 or 755", path=ascii(entry.path[:120]))
    if not 0 <= entry.size <= ustar.MAX_FILE_BYTES or _SHA256.fullmatch(entry.sha256) is None:
        _refuse(f"size or hash of {entry.path[:120]!a} is malformed", path=ascii(entry.path[:120]))


def _refuse(message: str, cause: Exception | None = None, **details: str) -> NoReturn:
    """Raise the refusal; whoever signed this artefact has to build it again."""
    remedy = "build and publish the release again"
    text = f"artefact: {message}"
    raise TrustError(text, code=Code.HOSTILE_ARCHIVE, remedy=remedy, **details) from cause
