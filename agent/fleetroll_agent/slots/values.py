"""Slots as values, and the text of the file that makes a folder one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from fleetroll_common.values.errors import FleetrollError
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_common.values.release import ReleaseCustom

COMPLETE_NAME = "COMPLETE"
_FIELDS = frozenset({"version", "sha256", "tar_sha256", "manifest_sha256", "entry", "interpreter_abi"})


class Mark(str, Enum):
    """Hints beside COMPLETE, read only when the record that decides has to be rebuilt."""

    GOOD = "GOOD"
    BAD = "BAD"


@dataclass(frozen=True, slots=True)
class Slot:
    """One complete version on this host.

    Attributes:
        path: its folder.
        version: of the release.
        sha256: of the compressed artefact: the digest that attempts and records name.
        tar_sha256: of the uncompressed tar.
        manifest_sha256: of the slot's MANIFEST.
        entry: the program's first file, relative to ``path``.
        interpreter_abi: what runs it, such as ``cp311``.
        good: a version that was kept after its trial.
        bad: a version that was put back.
    """

    path: Path
    version: Version
    sha256: str
    tar_sha256: str
    manifest_sha256: str
    entry: str
    interpreter_abi: str
    good: bool = False
    bad: bool = False


@dataclass(frozen=True, slots=True)
class InUse:
    """The slots that nobody may remove: the record's three, the one that runs, a draft. None = no such."""

    current: Path | None
    live: Path | None
    previous: Path | None = None
    trial: Path | None = None
    draft: Path | None = None
    others: tuple[Path, ...] = ()

    def names(self) -> frozenset[str]:
        """Return their folder names: a path spelled in another way protects as well."""
        paths = (self.current, self.live, self.previous, self.trial, self.draft, *self.others)
        return frozenset(path.name for path in paths if path is not None)


@dataclass(frozen=True, slots=True)
class Drift:
    """How a slot differs from its manifest; paths, sorted."""

    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Tell whether the slot holds exactly what was signed."""
        return not (self.changed or self.missing or self.extra)

    @property
    def summary(self) -> str:
        """Return one line for people; at most three paths of each sort."""
        parts = (("changed", self.changed), ("missing", self.missing), ("extra", self.extra))
        shown = [f"{len(paths)} {word} ({', '.join(paths[:3])})" for word, paths in parts if paths]
        return "; ".join(shown) or "as signed"


def dump_complete(custom: ReleaseCustom, sha256: str) -> bytes:
    """Return the text of COMPLETE for the artefact ``sha256`` that ``custom`` describes."""
    document = {
        "version": str(custom.version),
        "sha256": sha256,
        "tar_sha256": custom.tar_sha256,
        "manifest_sha256": custom.manifest_sha256,
        "entry": custom.entry_point,
        "interpreter_abi": custom.platform.abi,
    }
    return json.dumps(document, sort_keys=True).encode() + b"\n"


def parse_complete(path: Path, data: bytes) -> Slot | None:
    """Return the slot in ``path`` that COMPLETE describes; None when the text is damaged: then it is no slot."""
    try:
        document = json.loads(data)
        if not all(type(document[name]) is str for name in _FIELDS):
            return None
        facts = {name: document[name] for name in _FIELDS - {"version"}}
        return Slot(path, Version.parse(document["version"]), **facts)
    except (ValueError, KeyError, TypeError, RecursionError, FleetrollError):
        return None
