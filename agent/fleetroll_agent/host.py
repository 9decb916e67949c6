"""What this host says of itself: name, time zone, free space, boot."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

_MAX_NAME = 253
_ZONES = "/zoneinfo/"
_VARIANTS = ("posix/", "right/")
"""Copies of the whole database in it, under the same names."""


def host_name() -> str:
    """Return the host's name as it calls itself, 1 to 253 characters."""
    return (socket.gethostname() or "localhost")[:_MAX_NAME]


def time_zone(localtime: Path = Path("/etc/localtime"), text: Path = Path("/etc/timezone")) -> str:
    """Return the IANA name of the host's time zone; UTC where it names none."""
    try:
        target = os.path.realpath(localtime)
        if _ZONES in target:
            name = target.partition(_ZONES)[2]
            return name.partition("/")[2] if name.startswith(_VARIANTS) else name
        return text.read_text(encoding="ascii").strip() or "UTC"
    except (OSError, UnicodeDecodeError):
        return "UTC"


def disk_free_bytes(folder: Path) -> int:
    """Return the free bytes where releases are staged; 0 where that can't be said."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
