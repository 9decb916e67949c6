"""Whether a place can be written to, asked without writing."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

_GET_FLAGS = 0x80086601
"""FS_IOC_GETFLAGS of Linux on 64 bits."""
_IMMUTABLE, _APPEND = 0x10, 0x20
_MOUNT_POINT = 4
"""Place of the field in /proc/self/mountinfo."""


def why_not_writable(folder: Path) -> str:
    """Return why this process can't make, replace and remove names in ``folder``, in words; empty when it can."""
    if not folder.is_dir():
        return "there is no such folder"
    protected = why_protected(folder)
    if protected:
        return protected
    if os.access(folder, os.W_OK | os.X_OK):
        return ""
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return "its file system is mounted read-only"
    return f"its mode {folder.stat().st_mode & 0o7777:04o} or owner does not allow it"


def why_protected(path: Path) -> str:
    """Return what protects a file or folder from being replaced whatever its mode is, in words; empty = nothing."""
    flags = _flags(path)
    if flags & _IMMUTABLE:
        return "it is immutable (chattr -i lifts that)"
    if flags & _APPEND:
        return "it can only be appended to (chattr -a lifts that)"
    return ""


def is_mounted(path: Path) -> bool:
    """Tell whether something is mounted on exactly this path: nothing can be renamed over it then."""
    try:
        mounts = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return False
    wanted = os.fsencode(path.parent.resolve() / path.name)
    return any(_unescaped(line.split(b" ")[_MOUNT_POINT]) == wanted for line in mounts)


def _flags(path: Path) -> int:
    """Return the file system's own flags of a file or folder; 0 where it has none, or tells none."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        data = fcntl.ioctl(handle, _GET_FLAGS, bytes(8))
        return int(struct.unpack("l", data)[0])
    except OSError:
        return 0
    finally:
        os.close(handle)


def _unescaped(field: bytes) -> bytes:
    """Return a path of mountinfo as it is: blanks and backslashes stand there as three octal digits."""
    parts = field.split(b"\\")
    return parts[0] + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in parts[1:])
