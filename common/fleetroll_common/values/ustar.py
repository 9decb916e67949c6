"""The one form of tar that artefacts have, as bytes: POSIX ustar, regular files and directories, no owner, no times.

From a manifest every header follows, so a reader compares headers instead of interpreting them; :func:`describe` reads
a foreign header only to say what it is.
"""

from __future__ import annotations

from fleetroll_common.values.relpath import MAX_PART_CHARS

BLOCK_BYTES = 512
END = bytes(2 * BLOCK_BYTES)
"""Two empty blocks close the archive; nothing follows."""

DIRECTORY_MODE = 0o755
MAX_FILE_BYTES = 8**11 - 1
"""Eleven octal digits."""

_PREFIX_CHARS = 155
_KINDS = {
    "1": "a hard link",
    "2": "a symbolic link",
    "3": "a character device",
    "4": "a block device",
    "6": "a FIFO",
    "7": "a contiguous file",
    "D": "a GNU directory dump",
    "K": "a GNU long link name",
    "L": "a GNU long name",
    "M": "a GNU continuation",
    "S": "a sparse file",
    "V": "a volume header",
    "g": "a global extended header",
    "x": "an extended header",
}

_LINKS = frozenset({"1", "2"})


def padded(size: int) -> int:
    """Return ``size`` (bytes) filled up to whole blocks."""
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES


def fits(path: str) -> bool:
    """Tell whether a header can hold ``path`` (ASCII)."""
    return _split(path) is not None


def file_header(path: str, mode: int, size: int) -> bytes:
    """Return the header of a regular file; ``path`` MUST fit, 0 <= ``size`` <= 8 GiB - 1."""
    return _header(path, mode, size, b"0")


def directory_header(path: str) -> bytes:
    """Return the header of a directory; ``path`` (without a slash at its end) MUST fit."""
    return _header(f"{path}/", DIRECTORY_MODE, 0, b"5")


def size_of(header: bytes) -> int:
    """Return the size field (bytes) of a header; -1 when it is not eleven octal digits."""
    field = header[124:135]
    return int(field, 8) if all(char in b"01234567" for char in field) else -1


def describe(header: bytes) -> str:
    """Return what an unexpected header is, for people: kind and name, shortened and printable."""
    if not any(header):
        return "an early end of the archive"
    if header[257:262] != b"ustar":
        return "no tar header"
    flag = header[156:157].decode("ascii", "replace")
    name = header[:100].split(b"\0")[0].decode("utf-8", "replace")
    prefix = header[345:500].split(b"\0")[0].decode("utf-8", "replace")
    kind = {"0": "a file", "\0": "a file", "5": "a directory"}.get(flag) or _KINDS.get(
        flag, f"of unknown type {flag!a}"
    )
    mode = header[100:107].decode("ascii", "replace")
    target = header[157:257].split(b"\0")[0].decode("utf-8", "replace") if flag in _LINKS else ""
    to = f" to {target!a:.160}" if target else ""
    return f"{kind} named {f'{prefix}/{name}' if prefix else name!a:.160}{to}, mode {mode!a}, size {size_of(header)}"


def _split(path: str) -> tuple[str, str] | None:
    """Return (prefix, name) for the two fields, the shortest prefix that works."""
    if len(path) <= MAX_PART_CHARS:
        return "", path
    for at, char in enumerate(path):
        if char == "/" and 0 < len(path) - at - 1 <= MAX_PART_CHARS:
            return (path[:at], path[at + 1 :]) if at <= _PREFIX_CHARS else None
    return None


def _header(path: str, mode: int, size: int, flag: bytes) -> bytes:
    """Lay out the 512 bytes with their checksum."""
    parts = _split(path)
    if parts is None or not 0 <= size <= MAX_FILE_BYTES:
        message = f"{path[:80]!r} of {size} bytes does not fit a tar header"
        raise ValueError(message)
    prefix, name = parts
    fields = (
        name.encode("ascii").ljust(100, b"\0"),
        b"%07o\0" % mode,
        b"0000000\0",
        b"0000000\0",
        b"%011o\0" % size,
        b"00000000000\0",
        b" " * 8,
        flag.ljust(101, b"\0"),
        b"ustar\00000",
        bytes(64),
        b"0000000\0" * 2,
        prefix.encode("ascii").ljust(167, b"\0"),
    )
    block = b"".join(fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]
