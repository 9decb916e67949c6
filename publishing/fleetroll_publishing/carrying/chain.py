"""The signed metadata of a repository, fetched and verified as a host does it, and kept file by file.

A :class:`~fleetroll_common.trust.TrustClient` in a folder of its own walks from the first root to every product; what
it asked for, and nothing else, is what a host will ask for.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fleetroll_common.buildinfo import build_info
from fleetroll_common.trust import MetadataAbsent, MetadataSource, TrustClient
from fleetroll_common.trust.bundle import METADATA, TARGETS, TIMESTAMP_NAME, name_fault
from fleetroll_common.trust.library import Snapshot
from fleetroll_common.trust.limits import ROOT_BYTES_MAX
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, RequestError, TrustError
from fleetroll_publishing.roles import read_role

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fleetroll_common.trust import ListedTarget
    from fleetroll_common.values.clock import Clock

FIRST_ROOT = "1.root.json"
_PRODUCTS = "products/"


class Remote(MetadataSource, Protocol):
    """A repository that is read from. Nothing that it says is believed."""

    def target(self, path: str) -> Iterator[bytes]:
        """Yield the bytes of a target; every wait has a deadline.

        Raises:
            FleetrollError: it can't be had.
        """


@dataclass(frozen=True, slots=True)
class Chain:
    """Verified metadata.

    Attributes:
        files: bytes by name, such as ``3.products%2Fshop.json``, in the order in which a mirror may show them; the
            timestamp is the last.
        listed: what each product lists, by product.
    """

    files: Mapping[str, bytes]
    listed: Mapping[str, tuple[ListedTarget, ...]]


def read_chain(remote: Remote, clock: Clock, known: Mapping[str, bytes] | None = None) -> Chain:
    """Return the repository's metadata as it is now. Blocks.

    Args:
        remote: where it is fetched from.
        clock: of this machine; expired metadata is refused, as a host would.
        known: files of an older chain: what is among them under a name with a version is not fetched again, and what
            is older than them is refused.

    Raises:
        TrustError: what was fetched can't be trusted, is of another repository than ``known``, or older.
        FleetrollError: a file can't be had.
    """
    known = known or {}
    root = _first_root(remote)
    if known.get(FIRST_ROOT, root) != root:
        text = f"{FIRST_ROOT} here is another one than the server's: this is another repository, or a damaged copy"
        raise TrustError(text, code=Code.UNSIGNED, remedy="name the right server, or an empty folder", file=FIRST_ROOT)
    try:
        chain = _walk(remote, root, clock, known)
    except TrustError:
        # A file here may be damaged, and a root may have come between two files: once more, all of it.
        chain = _walk(remote, root, clock, {})
    _refuse_older(known, chain, root, clock)
    return chain


def _first_root(remote: Remote) -> bytes:
    """Return the root from which everything is verified."""
    try:
        return remote.fetch(FIRST_ROOT, ROOT_BYTES_MAX)
    except MetadataAbsent as error:
        text = f"the server has no {FIRST_ROOT}: it keeps no signed repository"
        raise RequestError(text, code=Code.NOT_FOUND, remedy="name the right server", file=FIRST_ROOT) from error


class _Recorder:
    """Shows a repository to a trust client, and keeps what it asked for."""

    def __init__(self, remote: MetadataSource, known: Mapping[str, bytes]) -> None:
        self.seen: dict[str, bytes] = {}
        self._remote = remote
        self._known = known

    def fetch(self, name: str, max_bytes: int) -> bytes:
        """Return the file ``name``; only the timestamp changes under its name."""
        known = self._known.get(name) if name != TIMESTAMP_NAME else None
        self.seen[name] = self._remote.fetch(name, max_bytes) if known is None else known
        return self.seen[name]


class _Files:
    """Files in memory as a source."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def fetch(self, name: str, max_bytes: int) -> bytes:
        """Return the file ``name``, or one byte more than ``max_bytes``."""
        if name not in self._files:
            raise MetadataAbsent(name)
        return self._files[name][: max_bytes + 1]


def _walk(remote: Remote, root: bytes, clock: Clock, known: Mapping[str, bytes]) -> Chain:
    """Fetch and verify all of it."""
    recorder = _Recorder(remote, known)
    with tempfile.TemporaryDirectory(prefix="fleetroll-trust-") as folder:
        client = TrustClient(Path(folder) / "trust", root, recorder, clock, build_info().built_at)
        client.refresh()
        listed = {product: client.targets(product) for product in _products(recorder.seen)}
    for target in (target for targets in listed.values() for target in targets):
        _check_name(TARGETS + target.path)
    files = {FIRST_ROOT: root, **recorder.seen}
    for name in files:
        _check_name(METADATA + name)
    return Chain({name: files[name] for name in sorted(files, key=_place)}, listed)


def _products(files: Mapping[str, bytes]) -> list[str]:
    """Return the products that the verified snapshot among ``files`` names."""
    (name,) = (name for name in files if name.endswith(".snapshot.json"))
    snapshot = read_role(files, Snapshot, name)
    roles = sorted(role.removesuffix(".json") for role in snapshot.meta)
    return [role.removeprefix(_PRODUCTS) for role in roles if role.startswith(_PRODUCTS)]


def _place(name: str) -> tuple[int, int, str]:
    """Return what sorts files into the order in which they may be shown.

    Products, targets, snapshot: what a file names is there before it. Then the roots, right before the timestamp: a
    root with other online keys makes the older timestamp void, so the two belong together as closely as files can.
    """
    if name == TIMESTAMP_NAME:
        return (4, 0, name)
    version, role, *_ = name.split(".")
    return ({"targets": 1, "snapshot": 2, "root": 3}.get(role, 0), int(version) if role == "root" else 0, name)


def _check_name(name: str) -> None:
    """Refuse what could not stand in a folder or a bundle."""
    fault = name_fault(name)
    if fault:
        text = f"the repository names {name!r:.300}, which {fault}"
        raise TrustError(text, code=Code.METADATA_INVALID, remedy="publish the release again", file=repr(name)[:300])


def _refuse_older(known: Mapping[str, bytes], chain: Chain, root: bytes, clock: Clock) -> None:
    """Refuse a chain that a host would refuse which has seen ``known``: a mirror never goes back."""
    with tempfile.TemporaryDirectory(prefix="fleetroll-trust-") as folder:
        source = _Files(chain.files)
        host = TrustClient(Path(folder) / "trust", root, source, clock, build_info().built_at)
        for product in chain.listed if known else ():
            with suppress(FleetrollError):  # as far as it can be trusted at all: it may be a part, or damaged
                host.offered(_Files(known), product, bundle=True)
        host.refresh()
