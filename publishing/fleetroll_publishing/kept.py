"""The signed files that lie beside keys: every root, and of targets and each product the newest that was seen there.

A server that was restored from a backup may lack what was signed since, and no host may reach it. Whoever signs brings
it back from here. What lies here is no secret and needs no protection: each file counts by its signatures alone.

1. A file is laid down before the record says that its version was seen. A crash between the two leaves a file more.
2. A newer file of a role takes the place of the older one only after it is durable. Roots stay: each leads to the next.

Not done here: which of them are genuine (whoever takes them looks), lists of snapshot and timestamp (the server signs
them again).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_common.durable import sync_dir, write_durably
from fleetroll_common.trust.limits import bytes_max
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.commit_gate import parse_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FOLDER = "metadata"
"""Beside the keys; where a backup of them has the signed files, too."""
_MODE = 0o700


def keep(folder: Path, files: Mapping[str, bytes]) -> None:
    """Lay down ``files`` beside the keys in ``folder``, durably; lists are passed over.

    Args:
        folder: of keys.
        files: verified, by name; of each role but root one, the newest.

    Raises:
        OSError: they can't be written.
    """
    place = folder / FOLDER
    if not place.is_dir():
        place.mkdir(mode=_MODE)
        sync_dir(folder)
    for name, data in files.items():
        found = _version_and_role(name)
        if found is None:
            continue
        path = place / name
        if not path.is_file() or path.read_bytes() != data:
            write_durably(path, data)
        if found[1] != "root":
            _drop_older(place, *found)


def kept(place: Path) -> dict[str, bytes]:
    """Return the files in ``place`` by name: every root, and the newest of each other role; others are passed over.

    Raises:
        OSError: they can't be read.
    """
    if not place.is_dir():
        return {}
    named = list(_named(place))
    newest = {role: max(version for version, each, _ in named if each == role) for _, role, _ in named}
    chosen = [(role, version, path) for version, role, path in named if role == "root" or newest[role] == version]
    return {path.name: _read(path, role) for role, _, path in sorted(chosen, key=lambda each: each[:2])}


def _drop_older(place: Path, version: int, role: str) -> None:
    """Take away what a newer file has replaced."""
    for older, each, path in list(_named(place)):
        if each == role and older < version:
            path.unlink(missing_ok=True)


def _named(place: Path) -> Iterator[tuple[int, str, Path]]:
    """Yield version, role and path of the files of root, targets and products."""
    for path in place.iterdir():
        found = _version_and_role(path.name)
        if found is not None and path.is_file():
            yield (*found, path)


def _read(path: Path, role: str) -> bytes:
    """Return a file, or one byte more than its role may have."""
    with path.open("rb") as stream:
        return stream.read(bytes_max(role) + 1)


def _version_and_role(name: str) -> tuple[int, str] | None:
    """Return what a name says; nothing for one of another kind."""
    try:
        return parse_name(name)
    except RequestError:
        return None
