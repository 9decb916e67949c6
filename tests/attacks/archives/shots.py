"""One hostile archive: its bytes, what is signed about it, and how the refusal has to name it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.faults.archives import CONTENT, Archive, Member, compress, forged, header, honest, member, row

if TYPE_CHECKING:
    from fleetroll_agent.unpack import Caps

HOSTILE = "HOSTILE_ARCHIVE"
ENTRY, FOLDER, INIT, DATA = 1, 2, 3, 4
"""Members of the honest archive by their place: entry.py, pkg, pkg/__init__.py, pkg/data.bin; 0 is the manifest."""
SIZE = len(CONTENT["entry.py"])


@dataclass(frozen=True)
class Shot:
    """Attributes:

    raw: the compressed bytes that the host is given.
    signed: whose description is signed: all its numbers and hashes fit, where nothing else is the attack.
    words: what the reason has to hold, the entry's name among it.
    code: the reason's code.
    caps: of the host; None = the defaults.
    """

    raw: bytes
    signed: Archive
    words: tuple[str, ...]
    code: str = HOSTILE
    caps: Caps | None = field(default=None)


def shot(archive: Archive, *words: str, code: str = HOSTILE, caps: Caps | None = None) -> Shot:
    """Return the shot of an archive whose own numbers are signed."""
    return Shot(compress(archive.tar()), archive, words, code, caps)


def raw(data: bytes, *words: str, like: Archive | None = None) -> Shot:
    """Return the shot of these bytes under the signature of an honest archive."""
    return Shot(data, like or honest(), words)


def fitted(bent: Archive, *words: str) -> Shot:
    """Return the shot of an archive cut or filled up to the honest one's length, under the honest signature.

    So it is not the number of bytes that gives the entry away.
    """
    like = honest()
    size = len(like.tar())
    return Shot(compress(bent.tar()[:size].ljust(size, b"\0")), like, words)


def headed(at: int, *words: str, **fields: Any) -> Shot:
    """Return the shot of an honest archive with another header in one place; ``fields`` as of :func:`header`."""
    return shot(honest().bend(at, header=header(**fields)), *words)


def entry(*words: str, **fields: Any) -> Shot:
    """Return the shot with another header in the place of entry.py."""
    return headed(ENTRY, *words, **({"name": b"entry.py", "size": SIZE} | fields))


def listed(path: str, *words: str, changes: dict[str, Any] | None = None) -> Shot:
    """Return the shot of an archive whose signed manifest lists one file of the name ``path``, as its tar does."""
    parts = path.split("/")
    folders = sorted({"/".join(parts[:count]) for count in range(1, len(parts))} - {""})
    rows = sorted([row("entry.py"), row(path, changes)], key=lambda one: str(one["path"]))
    return shot(forged(rows, folders, member("entry.py"), member(path)), *words)


def both(paths: list[str], folders: list[str], *words: str) -> Shot:
    """Return the shot of an archive that lists exactly these files and folders."""
    return shot(forged([row(path) for path in paths], folders, *(member(path) for path in paths)), *words)


def extended(payload: bytes, kind: bytes, name: bytes, *words: str) -> Shot:
    """Return the shot of an archive in which an extended header stands before entry.py."""
    bent = honest()
    bent.members.insert(ENTRY, Member(header(name, kind=kind, size=len(payload)), payload))
    return fitted(bent, *words)


def pax(fields: dict[str, str]) -> bytes:
    """Return the body of an extended header of POSIX tar."""
    lines = b""
    for key, value in fields.items():
        text = f" {key}={value}\n"
        length = len(text) + len(str(len(text)))
        length += len(str(length)) - len(str(len(text)))
        lines += f"{length}{text}".encode("utf-8", "surrogatepass")
    return lines
