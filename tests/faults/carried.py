"""A repository whose artefacts have bytes, as whoever carries it elsewhere reads it; and bundles, also bent ones."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fleetroll_agent.bundle.index import read_index
from fleetroll_common.trust import bundle
from fleetroll_common.values import ustar
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.release import ReleaseCustom
from fleetroll_common.values.version import Version
from fleetroll_publishing import repository
from fleetroll_publishing.carrying import BundleWish, write_bundle
from tests.faults.repositories import Repository

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from fleetroll_common.values.clock import Clock

HERE = Platform.current()
ANY = Platform.parse("any")
PIECE = 1000


def described(product: str, version: str, platform: Platform, channels: tuple[str, ...]) -> ReleaseCustom:
    """Return a description of an artefact; what it says of the tar is of none."""
    return ReleaseCustom(
        product=product,
        version=Version.parse(version),
        channels=channels,
        platform=platform,
        git_sha="0" * 40,
        tar_sha256="1" * 64,
        tar_bytes=10240,
        manifest_sha256="2" * 64,
        file_count=1,
        entry_point="entry.py",
        protocol=1,
        migrations_required=False,
        breaking_changes=None,
        released_at=datetime(2026, 1, 2, tzinfo=UTC),
    )


class Warehouse(Repository):
    """A repository that gives artefacts too, and remembers which.

    Attributes:
        artefacts: bytes by path.
        given: paths that were asked for.
        swapped: bytes that are given in place of the right ones, by path.
    """

    def __init__(self, products: tuple[str, ...] = ("agent", "shop"), prefix: str = "") -> None:
        """Create it with release 1.0.0 of each product."""
        self.artefacts: dict[str, bytes] = {}
        self.given: list[str] = []
        self.swapped: dict[str, bytes] = {}
        super().__init__(products, prefix)

    def publish(self, version: str, product: str = "agent") -> None:
        """List one more release in stable: of the agent for this platform, of others for all."""
        self.release(version, product)

    def release(
        self,
        version: str,
        product: str = "shop",
        platform: Platform | None = None,
        channels: tuple[str, ...] = ("stable",),
    ) -> str:
        """List one more release with bytes of its own; return its path."""
        custom = described(product, version, platform or (HERE if product == "agent" else ANY), channels)
        path = custom.target_path
        data = f"the bytes of {path} ".encode() * 100
        listed = repository.TargetFile(len(data), hashlib.sha256(data).hexdigest(), custom.to_json())
        self.files |= repository.publish_targets(self.files, product, {path: listed}, self.signers, self.now)
        self.artefacts[path] = data
        return path

    def target(self, path: str) -> Iterator[bytes]:
        """Give an artefact in pieces."""
        self.given.append(path)
        data = self.swapped.get(path, self.artefacts[path])
        return (data[at : at + PIECE] for at in range(0, len(data), PIECE))

    def bundle(self, out: Path, clock: Clock, *releases: tuple[str, str]) -> Path:
        """Write a bundle of releases, by product and version."""
        wish = BundleWish(tuple((product, Version.parse(version)) for product, version in releases))
        return write_bundle(out, self, wish, clock).path


def contents(path: Path) -> dict[str, bytes]:
    """Return the files of an honest bundle, by name."""
    data = path.read_bytes()
    return {name: data[part.start : part.start + part.size] for name, part in read_index(str(path)).items()}


def tar(files: Mapping[str, bytes]) -> bytes:
    """Return a bundle with these files, whatever they are."""
    return b"".join(entry(name, data) for name, data in files.items()) + ustar.END


def entry(name: str, data: bytes) -> bytes:
    """Return one file of a bundle."""
    return bundle.header(name, len(data)) + data + bytes(ustar.padded(len(data)) - len(data))


def bend(honest: Path, changes: Mapping[str, bytes | None]) -> Path:
    """Return a bundle beside ``honest`` with other bytes under some names; None leaves the file out."""
    files = contents(honest)
    unknown = set(changes) - set(files)
    assert not unknown, unknown
    kept = {name: data for name, data in {**files, **changes}.items() if data is not None}
    bent = honest.with_name("bent.bundle")
    bent.write_bytes(tar(kept))
    return bent
