"""The releases of the product: as small as can be, but complete and signed like any other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from fleetroll_common.trust import ListedTarget, Offered
from fleetroll_common.values.manifest import FileEntry, Manifest
from fleetroll_common.values.manifest_custom import ManifestCustom
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.release import ReleaseCustom
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_agent.slots import Slot, SlotStore

PRODUCT = "shop"
OLDER, OLD, NEW, NEXT = "0.9.0", "1.0.0", "1.1.0", "1.2.0"
ENTRY = "run"
_ANYWHERE = Platform.parse("any")


@dataclass(frozen=True)
class Release:
    """One version: its program and its manifest."""

    version: str
    migrating: bool = False
    product: str = PRODUCT
    platform: Platform = _ANYWHERE

    @property
    def program(self) -> bytes:
        return self.version.encode()

    @property
    def manifest(self) -> bytes:
        digest = hashlib.sha256(self.program).hexdigest()
        return Manifest.of([FileEntry(ENTRY, 0o755, len(self.program), digest)], []).dump()

    @property
    def sha256(self) -> str:
        return digest_of(self.version)

    @property
    def custom(self) -> ReleaseCustom:
        return ReleaseCustom(
            product=self.product,
            version=Version.parse(self.version),
            channels=("stable",),
            platform=self.platform,
            git_sha="a" * 40,
            tar_sha256="b" * 64,
            tar_bytes=10240,
            manifest_sha256=hashlib.sha256(self.manifest).hexdigest(),
            file_count=1,
            entry_point=ENTRY,
            protocol=1,
            migrations_required=self.migrating,
            breaking_changes=None,
            released_at=datetime(2026, 1, 1, tzinfo=UTC),
        )

    @property
    def words(self) -> ManifestCustom:
        """Return what is signed about its release manifest: a product of commands has nothing else."""
        custom = self.custom
        return ManifestCustom(
            product=self.product,
            version=custom.version,
            channels=custom.channels,
            git_sha=custom.git_sha,
            protocol=1,
            migrations_required=self.migrating,
            breaking_changes=None,
            released_at=custom.released_at,
        )

    def unpack(self, draft: Path, store: SlotStore) -> None:
        """Fill a draft."""
        store._disk.write_file(draft / ENTRY, self.program, 0o755)
        store._disk.write_file(draft / "MANIFEST", self.manifest, 0o644)

    def install(self, store: SlotStore) -> Slot:
        """Complete a slot."""
        draft = store.begin(Version.parse(self.version), self.sha256)
        self.unpack(draft, store)
        return store.complete(draft, self.custom, self.sha256)


class Trust:
    """The signed metadata: what it lists is known, and nobody doubts it here."""

    def __init__(self, releases: tuple[Release, ...]) -> None:
        self._listed = {path: target for release in releases for path, target in _listed(release)}

    def refresh(self) -> None:
        pass

    def ruled(self, product: str) -> Offered:
        return Offered(tuple(one for path, one in self._listed.items() if path.startswith(f"{product}/")))


@cache
def _listed(release: Release) -> tuple[tuple[str, ListedTarget], ...]:
    said = (release.custom, release.words)
    return tuple((one.target_path, ListedTarget(one.target_path, 1024, release.sha256, one.to_json())) for one in said)


@cache
def digest_of(version: str) -> str:
    return hashlib.sha256(f"artefact {version}".encode()).hexdigest()
