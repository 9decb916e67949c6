"""Names that may stand inside an artefact.

An allow-list, not a deny-list: what is not known to be harmless on every system is refused, when the artefact is built
and again when a host unpacks it. Refused by rule: absolute paths, ``.`` and ``..``, back-slashes, control and direction
characters, names that Windows keeps for devices, names that end in a dot or space, and the slot's own files.
"""

from __future__ import annotations

import re
import unicodedata

MANIFEST_NAME = "MANIFEST"
"""The first file of every artefact."""

MAX_PATH_CHARS = 240
"""Below the 260 of Windows, prefix of the slot aside; what the tar header holds is checked apart."""

MAX_PART_CHARS = 100
"""The name field of a tar header."""

MAX_DEPTH = 24
"""Directories in a path; the deepest folder of the agent's dependencies has 8."""

_PART = re.compile(r"[A-Za-z0-9._@+=][A-Za-z0-9._@+=~, -]*", re.ASCII)
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.ASCII | re.IGNORECASE)
_OWN_FILES = frozenset({"manifest", "complete", "complete.new", "good", "bad"})
_INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp"})


def path_fault(path: str) -> str:
    """Return why ``path`` may not stand in an artefact, as the end of a sentence; empty when it may."""
    if not path or len(path) > MAX_PATH_CHARS:
        return f"has {len(path)} characters, 1 to {MAX_PATH_CHARS} are allowed"
    if any(unicodedata.category(char) in _INVISIBLE for char in path):
        return "holds a control or direction character"
    if path.startswith("/") or "\\" in path:
        return "is absolute or holds a back-slash"
    parts = path.split("/")
    if len(parts) > MAX_DEPTH:
        return f"is deeper than {MAX_DEPTH} folders"
    if parts[0].lower() in _OWN_FILES:
        return "is a name that the slot keeps for itself"
    return next((fault for part in parts if (fault := _part_fault(part))), "")


def _part_fault(part: str) -> str:
    """Return why one part of a path is refused, or nothing."""
    if part in {"", ".", ".."}:
        return "has an empty, '.' or '..' part"
    if len(part) > MAX_PART_CHARS:
        return f"has a part of more than {MAX_PART_CHARS} characters"
    if _PART.fullmatch(part) is None:
        return "has characters outside the allowed ones"
    if part[-1] in ". ":
        return "has a part that ends in a dot or space"
    return "has a part that is a device name on Windows" if _DEVICES.fullmatch(part) else ""


def collision(paths: list[str]) -> str:
    """Return the first of ``paths`` that equals an earlier one when case is ignored; empty when all differ."""
    seen: set[str] = set()
    for path in paths:
        key = path.casefold()
        if key in seen:
            return path
        seen.add(key)
    return ""
