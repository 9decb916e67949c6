"""Bending the manifest: the text that speaks for every byte, and the tar that agrees with it, or does not."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fleetroll_common.values import ustar
from tests.faults.archives import Archive, Member, header

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    Row = dict[str, Any]

PATHS = (
    "../witness",
    "/etc/passwd",
    "..",
    ".",
    "",
    "a/../../x",
    "pkg/..",
    "a//b",
    "entry.py/",
    "entry.py/x",
    "ENTRY.PY",
    "MANIFEST",
    "COMPLETE",
    "GOOD",
    "bad",
    "complete.new",
    "pkg",
    "con",
    "nul.txt",
    "a\\b",
    "C:x",
    "a\0b",
    "a\nb",
    "\x1b[2J",
    "a\u202eb",
    "caf\u00e9",
    "cafe\u0301",
    "\ud800",
    "~x",
    "-x",
    "a ",
    "a.",
    "b" * 101,
    "b" * 255,
    "b" * 5000,
    "d/" * 30 + "x",
    "/".join(["e" * 99] * 3),
    "ok.py",
    "pkg/ok.py",
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1,
    420,
    5.0,
    2**63,
    8**11,
    10**30,
    "",
    "0644",
    "0755",
    "4755",
    "0777",
    [],
    {},
    "f" * 64,
)


@dataclass
class Parts:
    """A manifest as values, and the content of its files by path."""

    document: dict[str, Any]
    bodies: dict[str, bytes]

    @property
    def rows(self) -> list[Any]:
        rows: list[Any] = self.document["files"]
        return rows

    @property
    def folders(self) -> list[Any]:
        folders: list[Any] = self.document["directories"]
        return folders


def bend_manifest(random: Random, archive: Archive, told: list[str]) -> Archive:
    """Change the manifest; let the tar go along with it, or not."""
    document = json.loads(archive.members[0].data)
    by_path = {str(row["path"]): index for index, row in enumerate(document["files"])}
    bodies = {path: next(m.data for m in archive.members if _is_file(m, path)) for path in by_path}
    parts = Parts(document, bodies)
    told += [_bend_document(random, parts) for _ in range(random.choice((1, 1, 1, 2, 4)))]
    text = _written(random, document, told)
    members = [Member(header(b"MANIFEST", size=len(text)), text)]
    if random.random() < 0.75 and _is_readable(document):
        told.append("the tar agrees")
        members += _members_of(document, bodies)
    else:
        members += archive.members[1:]
    return Archive(members)


def _is_file(member: Member, path: str) -> bool:
    """Tell whether a member is the file of this path."""
    return member.header == ustar.file_header(path, 0o644, len(member.data))


def _is_readable(document: Any) -> bool:
    """Tell whether a tar can be made that agrees."""
    rows = document.get("files") if isinstance(document, dict) else None
    return isinstance(rows, list) and all(isinstance(row, dict) and isinstance(row.get("path"), str) for row in rows)


def _members_of(document: dict[str, Any], bodies: dict[str, bytes]) -> list[Member]:
    """Return the entries that the manifest calls for, as well as they can be made."""
    made: list[tuple[str, Member]] = []
    for row in document["files"]:
        path, data = row["path"], bodies.get(row["path"], b"evil\n")
        mode = {"0755": 0o755, "4755": 0o4755, "0777": 0o777}.get(str(row.get("mode")), 0o644)
        made.append((path, Member(headed(path, mode, len(data)), data)))
    folders = document.get("directories")
    for folder in folders if isinstance(folders, list) else ():
        if isinstance(folder, str):
            exact = folder.isascii() and folder and ustar.fits(f"{folder}/")
            block = ustar.directory_header(folder) if exact else header(name_of(f"{folder}/"), kind=b"5", mode=0o755)
            made.append((folder, Member(block)))
    return [member for _, member in sorted(made, key=lambda pair: pair[0])]


def headed(path: str, mode: int, size: int) -> bytes:
    """Return the exact header where there is one, else one with as much of the path as fits."""
    if path.isascii() and ustar.fits(path):
        return ustar.file_header(path, mode, size)
    return header(name_of(path), mode=mode, size=size)


def name_of(path: str) -> bytes:
    """Return what a header holds of a path."""
    return path.encode("utf-8", "surrogatepass")[:100]


def _rename(random: Random, row: Row, parts: Parts) -> None:
    old, row["path"] = row.get("path"), random.choice(PATHS)
    if isinstance(old, str) and old in parts.bodies:
        parts.bodies[str(row["path"])] = parts.bodies[old]


def _add(random: Random, _row: Row, parts: Parts, paths: tuple[str, ...] = PATHS) -> None:
    path, data = random.choice(paths), b"evil\n"
    parts.rows.append({"mode": "0644", "path": path, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)})
    steps = path.split("/")
    parts.folders.extend("/".join(steps[:count]) for count in range(1, min(len(steps), 40)))
    _sort(parts)


def _set_field(random: Random, row: Row, _parts: Parts) -> None:
    row[random.choice(sorted(row))] = random.choice(VALUES)


def _add_folder(random: Random, _row: Row, parts: Parts) -> None:
    parts.folders.append(random.choice((*PATHS, *VALUES)))
    _sort(parts)


def _set_top(random: Random, _row: Row, parts: Parts) -> None:
    parts.document[random.choice(("files", "directories", "format", "x"))] = random.choice(VALUES)


_BENDS: dict[str, Callable[[Random, Row, Parts], object]] = {
    "another path": _rename,
    "a file more": _add,
    "a harmless file more": lambda random, row, parts: _add(random, row, parts, ("zz/ok.py", "ok.py")),
    "a file less": lambda _random, row, parts: parts.rows.remove(row),
    "a file twice": lambda _random, row, parts: parts.rows.insert(parts.rows.index(row), dict(row)),
    "another value": _set_field,
    "a field more": lambda random, row, _parts: row.setdefault(
        random.choice(("link", "\u202e")), random.choice(VALUES)
    ),
    "a folder more": _add_folder,
    "another order": lambda random, _row, parts: random.shuffle(random.choice((parts.rows, parts.folders))),
    "another document": _set_top,
    "another hash": lambda random, row, _parts: row.update(sha256=random.choice(("0" * 64, "F" * 64, "g" * 64, "0"))),
}


def _bend_document(random: Random, parts: Parts) -> str:
    """Change one thing in the manifest; return what."""
    rows = parts.document.get("files")
    if not isinstance(rows, list) or not rows or not isinstance(parts.document.get("directories"), list):
        return "manifest: nothing more"
    what = random.choice(list(_BENDS))
    row = random.choice(rows)
    if isinstance(row, dict) and row:
        _BENDS[what](random, row, parts)
    return f"manifest: {what}"


def _sort(parts: Parts) -> None:
    """Sort as a builder would, where that can be done."""
    rows, folders = parts.rows, parts.folders
    if all(isinstance(row, dict) and isinstance(row.get("path"), str) for row in rows):
        rows.sort(key=lambda row: str(row["path"]))
    if all(isinstance(folder, str) for folder in folders):
        folders.sort()


def _written(random: Random, document: dict[str, Any], told: list[str]) -> bytes:
    """Return the manifest's text, mostly in the form that a builder gives it."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    if random.random() < 0.85:
        return text
    how = random.choice(("spaces", "no end", "bytes", "deep", "bom", "twice"))
    told.append(f"manifest text: {how}")
    match how:
        case "spaces":
            return json.dumps(document, sort_keys=True).encode() + b"\n"
        case "no end":
            return text[:-1]
        case "bytes":
            return bend_bytes(random, text, told)
        case "deep":
            return text[:-1] + b"[" * 50_000
        case "bom":
            return b"\xef\xbb\xbf" + text
    return text + text


def bend_bytes(random: Random, data: bytes, told: list[str]) -> bytes:
    """Change bytes without knowing what they are."""
    work = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 5))):
        at = random.randrange(len(work)) if work else 0
        what = random.choice(("flip", "cut", "insert", "copy", "tail"))
        told.append(f"bytes at {at}: {what}")
        if what == "flip" and work:
            work[at] ^= random.randrange(1, 256)
        elif what == "cut":
            del work[at : at + random.choice((1, 512, 1024, 10_000))]
        elif what == "insert":
            work[at:at] = random.randbytes(random.choice((1, 512, 1024)))
        elif what == "copy":
            block = at // 512 * 512
            work[block : block + 512] = data[: 512 * random.randint(1, 4)]
        else:
            del work[at:]
    return bytes(work)
