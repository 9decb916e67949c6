"""Whether this host is a container: there the image is updated, not what runs in it (names.md, "Containers")."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SWITCH = "FLEETROLL_DISABLE_SELFUPDATE"
_FILES = (".dockerenv", "run/.containerenv")


def container_marker(environ: Mapping[str, str] | None = None, root: Path = Path("/")) -> str:
    """Return the marker that was hit, as it is reported; empty on a host that is no container.

    Args:
        environ: of this process; None = its own.
        root: of the file system.
    """
    variables = os.environ if environ is None else environ
    if variables.get(SWITCH) == "1":
        return f"{SWITCH}=1"
    for name in _FILES:
        if (root / name).exists():
            return f"/{name}"
    told = _first_process(root)
    if told:
        return f"container={told}"
    return "KUBERNETES_SERVICE_HOST" if variables.get("KUBERNETES_SERVICE_HOST") else ""


def _first_process(root: Path) -> str:
    """Return what the first process was told by whoever made the container; root alone may read that."""
    try:
        data = (root / "proc" / "1" / "environ").read_bytes()
    except OSError:
        return ""
    found = next((part for part in data.split(b"\0") if part.startswith(b"container=")), b"")
    return found.partition(b"=")[2].decode("utf-8", "replace")[:64]
