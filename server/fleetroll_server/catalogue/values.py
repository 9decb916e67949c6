"""Releases and artefacts as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_common.values.platform import Platform


class ReleaseState(StrEnum):
    """Whether hosts may begin with a release."""

    LISTED = "listed"
    RETIRED = "retired"
    YANKED = "yanked"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Artifact:
    """The bytes of a release for one platform.

    Attributes:
        platform: what it runs on.
        path: among the signed targets.
        length: bytes, >= 1.
        sha256: 64 hex digits; also the file's name in the store of artefacts.
        custom: the signed description.
    """

    platform: Platform
    path: str
    length: int
    sha256: str
    custom: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Release:
    """One version of a product, with its artefacts in the order of their platforms.

    Attributes:
        state: ``listed``, ``yanked``, ``retired`` or ``revoked``.
        state_reason: why it is not listed, in the publisher's words; empty while it is.
    """

    id: str
    product: str
    version: str
    channels: tuple[str, ...]
    git_sha: str
    released_at: datetime
    migrations_required: bool
    breaking_changes: str
    notes: str
    supported_from: str
    protocol: int
    listed: bool
    state: str
    state_reason: str
    actor_kind: str
    actor_id: str
    artifacts: tuple[Artifact, ...] = ()

    @property
    def parsed_version(self) -> Version:
        """Return the version as a value that is ordered."""
        return Version.parse(self.version)
