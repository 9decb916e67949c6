"""The form in which a signed repository is carried: names of files in a mirror's folder and in a bundle. Pure.

A mirror is a folder, a bundle one uncompressed tar, and both have the same names::

    metadata/1.root.json                 every root, from the first on
    metadata/4.products%2Fshop.json      the other roles, under the version that the lists name
    metadata/timestamp.json
    targets/shop/1.4.0/any-any-any.tar.zst

A bundle holds regular files alone, metadata before targets, each with the one header that its name and size lead to,
and the two empty blocks at its end. So the same content gives the same bytes, and a reader obeys no header but
compares it.
"""

from __future__ import annotations

import re

from fleetroll_common.trust.limits import bytes_max
from fleetroll_common.trust.listing import PATH_PARTS
from fleetroll_common.values import ustar
from fleetroll_common.values.relpath import path_fault
from fleetroll_common.values.signed_fields import MAX_ARTEFACT_TAR_BYTES

METADATA = "metadata/"
TARGETS = "targets/"
TIMESTAMP_NAME = "timestamp.json"

MAX_ENTRIES = 8192
"""Files in a bundle: room for the longest chain of roots and some thousand artefacts, in about 1 MB of memory."""

_MODE = 0o644
_ROLE = re.compile(r"[1-9][0-9]{0,15}\.(root|snapshot|targets|products%2F[a-z][a-z0-9-]{0,62})\.json", re.ASCII)


def name_fault(name: str) -> str:
    """Return why ``name`` may not stand in a mirror or a bundle, as the end of a sentence; empty when it may."""
    if name.startswith(METADATA):
        return "" if _role(name) else "is no name of signed metadata"
    if not name.startswith(TARGETS):
        return f"is neither below {METADATA} nor below {TARGETS}"
    fault = path_fault(name)
    if not fault and name.count("/") != PATH_PARTS:
        fault = "is not the place of a target"
    return fault or ("" if ustar.fits(name) else "is too long")


def size_max(name: str) -> int:
    """Return the most bytes that the file ``name``, which MUST be without fault, may have."""
    return bytes_max(_role(name)) if name.startswith(METADATA) else MAX_ARTEFACT_TAR_BYTES


def header(name: str, size: int) -> bytes:
    """Return the header before a file of a bundle; ``name`` MUST be without fault, ``size`` within its bound."""
    return ustar.file_header(name, _MODE, size)


def name_of(block: bytes) -> str:
    """Return the name that a header claims; what is no ASCII in it is replaced, and no name of ours then."""
    name, prefix = block[:100].rstrip(b"\0"), block[345:500].rstrip(b"\0")
    return (prefix + b"/" + name if prefix else name).decode("ascii", "replace")


def _role(name: str) -> str:
    """Return the role of a file of metadata; empty when the name is none."""
    file = name.removeprefix(METADATA)
    if file == TIMESTAMP_NAME:
        return "timestamp"
    found = _ROLE.fullmatch(file)
    return found.group(1) if found else ""
