"""A release repository in memory that a test may bend, a host that trusts it, and what "refused" has to mean.

The simulator implements the port that agents fetch through; what it serves is made by the publishing code, so that a
change on either side meets the other in every test.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.trust import MetadataAbsent, TrustClient
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError, TrustError
from fleetroll_publishing import repository
from fleetroll_publishing.keys import PrivateKey
from fleetroll_publishing.roles import describe, file_name, meta_name, read_repository, sign_role
from fleetroll_publishing.signers import NaClSigner, RoleSigners

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fleetroll_common.trust.library import Signer

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BUILT_AT = datetime(2026, 2, 1, tzinfo=UTC)
PLATFORM = "linux-x86_64-cp311"


def signer(name: str) -> NaClSigner:
    """Return a signer whose key follows from ``name``: the same in every run."""
    return NaClSigner(PrivateKey(hashlib.sha256(name.encode()).digest()))


def role_signers(products: tuple[str, ...] = ("agent",), prefix: str = "") -> RoleSigners:
    """Return a whole set; another ``prefix`` gives another repository's."""
    return RoleSigners(
        root=tuple(signer(f"{prefix}root-{number}") for number in range(3)),
        targets=signer(f"{prefix}targets"),
        products={name: signer(f"{prefix}products/{name}") for name in products},
        snapshot=signer(f"{prefix}snapshot"),
        timestamp=signer(f"{prefix}timestamp"),
    )


def path_of(version: str, product: str = "agent") -> str:
    """Return the path of a release's artefact."""
    return f"{product}/{version}/{PLATFORM}.tar.zst"


def entry(version: str, product: str = "agent", **custom: Any) -> repository.TargetFile:
    """Return what a publisher lists for a release: a hash that follows from its path."""
    sha256 = hashlib.sha256(path_of(version, product).encode()).hexdigest()
    return repository.TargetFile(1000, sha256, {"product": product, "version": version, **custom})


class Repository:
    """A repository with its keys, and the face that it shows.

    Attributes:
        files: what has honestly been published, all versions.
        shown: what hosts are shown instead of ``files``; None = the files.
        forged: single files shown in the place of others, or errors raised for them.
        asked: names that hosts asked for.
    """

    def __init__(self, products: tuple[str, ...] = ("agent",), prefix: str = "") -> None:
        """Create it with release 1.0.0 of each product."""
        self.signers = role_signers(products, prefix)
        self.now = START
        self.files = repository.create(products, self.signers, self.now)
        self.shown: dict[str, bytes] | None = None
        self.forged: dict[str, bytes | Exception] = {}
        self.asked: list[str] = []
        for product in products:
            self.publish("1.0.0", product)

    @property
    def root(self) -> bytes:
        """Return what hosts pin."""
        return self.files["1.root.json"]

    def fetch(self, name: str, max_bytes: int) -> bytes:
        """Show a file, as the port wants it; a hostile server does not care about ``max_bytes``."""
        self.asked.append(name)
        answer = self.forged.get(name)
        if isinstance(answer, Exception):
            raise answer
        files = self.files if self.shown is None else self.shown
        if answer is None and name not in files:
            raise MetadataAbsent(name)
        return files[name] if answer is None else answer

    def publish(self, version: str, product: str = "agent") -> None:
        """List one more release."""
        additions = {path_of(version, product): entry(version, product)}
        self.files |= repository.publish_targets(self.files, product, additions, self.signers, self.now)

    def refresh_timestamp(self) -> None:
        """Sign the timestamp again."""
        self.files |= repository.refresh_timestamp(self.files, self.signers, self.now)

    def rotate_online(self, prefix: str) -> None:
        """Exchange the online keys by those of ``prefix``."""
        fresh = role_signers(prefix=prefix)
        old = self.signers
        self.signers = RoleSigners(old.root, old.targets, old.products, fresh.snapshot, fresh.timestamp)
        self.files |= repository.rotate_online(self.files, self.signers, self.now)

    def frozen(self) -> dict[str, bytes]:
        """Return all files as they are now: what somebody who keeps a copy can replay."""
        return dict(self.files)

    def signed_by_thief(
        self, role: str, change: Callable[[Any], None], by: Signer | None = None, *, listed: bool = True
    ) -> bytes:
        """Sign a bent version of ``role`` and show it with lists that name it, all under valid keys.

        Args:
            role: whose signed part ``change`` bends; its version is raised first.
            change: what the thief wants.
            by: who signs; None = the role's own key.
            listed: whether snapshot and timestamp name the new file.
        """
        read = read_repository(self.files)
        tops = {"root": read.root, "timestamp": read.timestamp, "snapshot": read.snapshot, "targets": read.targets}
        signed: Any = tops[role] if role in tops else read.product(role.removeprefix("products/"))
        signed.version += 1
        change(signed)
        signers = [by] if by else [*self.signers.root[:2]] if role == "root" else [self.signers.of(role)]
        data = sign_role(signed, signers)
        self.forged[file_name(role, signed.version)] = data
        if listed and role not in {"root", "timestamp"}:
            self._list(role, signed.version, data)
        return data

    def adopt(self) -> None:
        """Make what is forged the repository's own: what comes next follows it."""
        self.files |= {name: data for name, data in self.forged.items() if isinstance(data, bytes)}
        self.forged.clear()

    def _list(self, role: str, version: int, data: bytes) -> None:
        """Sign the lists above ``role``."""
        read = read_repository(self.files)
        snapshot, timestamp = read.snapshot, read.timestamp
        if role != "snapshot":
            snapshot.version += 1
            snapshot.meta[meta_name(role)] = describe(version, data)
            version, data = snapshot.version, sign_role(snapshot, [self.signers.of("snapshot")])
            self.forged[file_name("snapshot", version)] = data
        timestamp.version += 1
        timestamp.snapshot_meta = describe(version, data)
        self.forged["timestamp.json"] = sign_role(timestamp, [self.signers.of("timestamp")])


class Host:
    """One host: a trust folder, a clock, a client that can be restarted."""

    def __init__(self, folder: Path, source: Repository, root: bytes | None = None) -> None:
        """Pin ``root``, by default the one of ``source``."""
        self.folder = folder / "trust"
        self.clock = FakeClock(START)
        self.source = source
        self.root = source.root if root is None else root
        self.client = self._started()

    def _started(self) -> TrustClient:
        return TrustClient(self.folder, self.root, self.source, self.clock, BUILT_AT)

    def restart(self) -> None:
        """Forget all that is not on disk."""
        self.client = self._started()

    def update(self, product: str = "agent") -> tuple[str, ...]:
        """Refresh, and return the versions that may be installed, newest first."""
        self.client.refresh()
        return self.versions(product)

    def versions(self, product: str = "agent") -> tuple[str, ...]:
        """Return the versions that the client lists."""
        return tuple(target.path.split("/")[1] for target in self.client.targets(product))

    def state(self) -> dict[str, bytes]:
        """Return the trust folder, name by name."""
        paths = self.folder.rglob("*")
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in paths if path.is_file()}

    def refuses(self, *codes: Code, kept: tuple[str, ...] = (), lists: bool = True) -> FleetrollError:
        """Update and be refused with one of ``codes``, before and after a restart; return the error.

        Args:
            codes: what the reason may be.
            kept: files of the folder that may change, since they came and were genuine before the refused one; all
                others have to be as they were.
            lists: whether the listing from before has to be given still; else it has to be refused as well.
        """
        before = self.state()
        has_seen = self.client.timestamp_version > 0
        listed = self.versions() if has_seen and lists else ()
        error = self._refused(self.update, codes)
        if has_seen and lists:
            assert self.versions() == listed
        elif has_seen:
            self._refused(self.versions, codes)
        self.restart()
        self._refused(self.update, codes)
        after = self.state()
        assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} <= set(kept)
        return error

    def _refused(self, act: Callable[[], object], codes: tuple[Code, ...]) -> FleetrollError:
        """Return the error of ``act``, with one of the reasons and a remedy; a dead line is no matter of trust."""
        with pytest.raises(FleetrollError) as caught:
            act()
        assert isinstance(caught.value, AgentError if caught.value.code is Code.DOWNLOAD_FAILED else TrustError)
        assert caught.value.code in codes, caught.value
        assert caught.value.remedy
        return caught.value
