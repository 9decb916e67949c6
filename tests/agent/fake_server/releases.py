"""A release repository with real keys, and artefacts whose bytes are served: what a fake server shows to agents."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fleetroll_common.trust import MetadataAbsent
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.manifest_custom import ManifestCustom
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.product_policy import POLICY_PART
from fleetroll_common.values.release import ReleaseCustom
from fleetroll_common.values.release_manifest import ReleaseManifest
from fleetroll_common.values.version import Version
from fleetroll_publishing import repository
from fleetroll_publishing.carrying import BundleWish, write_bundle
from fleetroll_publishing.roles import read_repository
from tests.faults.repositories import role_signers
from tests.faults.rulings import document_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fleetroll_publishing.artefact import BuiltArtefact

PRODUCTS = ("agent", "shop", "till", "tool")
RELEASED_AT = datetime(2026, 1, 2, tzinfo=UTC)


@dataclass
class Releases:
    """The repository's files and the artefacts by path."""

    files: dict[str, bytes] = field(default_factory=dict)
    artefacts: dict[str, bytes] = field(default_factory=dict)
    channels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of each version."""
    described: dict[str, ReleaseCustom] = field(default_factory=dict)
    """What is signed about each artefact, by its path."""
    digests: dict[str, str] = field(default_factory=dict)
    """Of each target, by ``product/version``."""

    def __post_init__(self) -> None:
        self.signers = role_signers(PRODUCTS)
        self.files = repository.create(PRODUCTS, self.signers, datetime.now(UTC))

    @property
    def root(self) -> bytes:
        return self.files["1.root.json"]

    @property
    def root_sha256(self) -> bytes:
        return hashlib.sha256(self.root).digest()

    def publish(
        self,
        version: str,
        built: BuiltArtefact,
        channels: tuple[str, ...] = ("stable",),
        product: str = "agent",
        *,
        migrations_required: bool = False,
    ) -> str:
        """List ``built`` as a release, of the agent for this platform, of another product for all; return its path."""
        custom = ReleaseCustom(
            product=product,
            version=Version.parse(version),
            channels=channels,
            platform=Platform.current() if product == "agent" else Platform.parse("any"),
            git_sha="0" * 40,
            tar_sha256=built.tar_sha256,
            tar_bytes=built.tar_bytes,
            manifest_sha256=built.manifest_sha256,
            file_count=built.file_count,
            entry_point=built.entry_point,
            protocol=1,
            migrations_required=migrations_required,
            breaking_changes=None,
            released_at=RELEASED_AT,
        )
        path = custom.target_path
        listed = repository.TargetFile(built.artefact_bytes, built.artefact_sha256, custom.to_json())
        self.files |= repository.publish_targets(self.files, product, {path: listed}, self.signers, datetime.now(UTC))
        self.artefacts[path] = built.path.read_bytes()
        self.described[path] = custom
        self.digests[f"{product}/{version}"] = built.artefact_sha256
        if product == "agent":
            self.channels[version] = channels
        return path

    def import_manifest(self, product: str, version: str, **facts: Any) -> str:
        """List a release manifest of a product of commands; return its path."""
        said = {"channel": "stable", "migrations_required": False, "breaking_changes": None} | facts
        unsigned = {"version": version, "sha": "abc1234", "released_at": "2026-01-02T00:00:00Z", **said}
        data = json.dumps({**unsigned, "signature": "0" * 64}).encode()
        custom = ManifestCustom.of(product, ReleaseManifest.parse(data), 1, None)
        sha256 = self.digests[f"{product}/{version}"] = hashlib.sha256(data).hexdigest()
        listed = repository.TargetFile(len(data), sha256, custom.to_json())
        path = custom.target_path
        self.files |= repository.publish_targets(self.files, product, {path: listed}, self.signers, datetime.now(UTC))
        self.artefacts[path] = data
        return path

    def fetch(self, name: str, _max_bytes: int) -> bytes:
        """Return a file of metadata; see ``MetadataSource``."""
        if name not in self.files:
            raise MetadataAbsent(name)
        return self.files[name]

    def target(self, path: str) -> Iterator[bytes]:
        """Yield the bytes of a target; those of a policy are what is signed about it."""
        product, part, _file = path.split("/")
        if part == POLICY_PART:
            role = read_repository(self.files).product(product)
            yield document_bytes(role.targets[path].unrecognized_fields["custom"])
        else:
            yield self.artefacts[path]

    def bundle(self, out: Path, *releases: tuple[str, str]) -> Path:
        """Write a bundle of releases, by product and version."""
        wish = BundleWish(tuple((product, Version.parse(version)) for product, version in releases))
        return write_bundle(out, self, wish, SystemClock()).path
