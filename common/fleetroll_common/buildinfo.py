"""Which build this is: version and commit, stamped into an artefact when it is made.

A source tree holds no stamp: its programs call themselves ``0.0.0+dev``. The stamp is one small JSON file beside this
module; it is part of the signed artefact, so nobody can change it on a host without being noticed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, TrustError
from fleetroll_common.values.version import UNSTAMPED, Version

STAMP_NAME = "_stamp.json"
_DIRTY = "+dirty"
_GIT_SHA = re.compile(r"[0-9a-f]{7,64}(\+dirty)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """One build.

    Attributes:
        version: as stamped; ``0.0.0+dev`` without a stamp.
        git_sha: full commit id, ``+dirty`` behind it when the tree had changes; empty without a stamp.
        built_at: aware UTC, the commit's own time, so that two builds of one commit are equal; 1970 without a stamp.
    """

    version: Version
    git_sha: str
    built_at: datetime

    @property
    def is_dirty(self) -> bool:
        """Tell whether the source tree had changes that no commit holds."""
        return self.git_sha.endswith(_DIRTY)

    @property
    def shown(self) -> str:
        """Return what ``--version`` prints: ``1.1.0``, ``1.1.0+dirty`` or ``0.0.0+dev``."""
        return f"{self.version}{_DIRTY}" if self.is_dirty and not self.version.build else str(self.version)


_UNSTAMPED = BuildInfo(UNSTAMPED, "", _EPOCH)


def build_info(folder: Path | None = None) -> BuildInfo:
    """Return the stamp in ``folder`` (default: beside this module), or the unstamped build when there is none.

    Raises:
        TrustError: there is a stamp and it is damaged (the artefact's fault).
    """
    path = (folder or Path(__file__).parent) / STAMP_NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return _UNSTAMPED
    return parse_stamp(data)


def stamp(info: BuildInfo) -> bytes:
    """Return the bytes of the stamp file; ``built_at`` is kept in whole seconds."""
    document = {"version": str(info.version), "git_sha": info.git_sha, "built_at": int(info.built_at.timestamp())}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def parse_stamp(data: bytes) -> BuildInfo:
    """Read the bytes of a stamp file, strictly.

    Raises:
        TrustError: they are no stamp (the artefact's fault).
    """
    try:
        return _read(json.loads(data))
    except (ValueError, KeyError, TypeError, OverflowError, OSError, FleetrollError) as error:
        message = "the stamp of this build is damaged"
        raise TrustError(message, code=Code.METADATA_INVALID, remedy="install the release again") from error


def _read(document: dict[str, Any]) -> BuildInfo:
    """Take the fields; whatever is wrong with them raises."""
    version, sha, seconds = Version.parse(document["version"]), document["git_sha"], document["built_at"]
    if _GIT_SHA.fullmatch(sha) is None or type(seconds) is not int:
        message = "git_sha is no commit id, or built_at no number"
        raise ValueError(message)
    return BuildInfo(version, sha, datetime.fromtimestamp(seconds, timezone.utc))
