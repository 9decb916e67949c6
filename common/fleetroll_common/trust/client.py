"""The host's view of the release repository.

The rules, in the order in which they are applied to every refresh (in brackets: the step of the TUF workflow):

1. Trust begins at the root that was pinned at enrolment, each time anew; the cached chain only saves downloads [5.3].
2. A newer root needs the signatures of the old keys and of its own; the newest must not have expired [5.3.4-5.3.10].
3. The timestamp is signed, not below the highest that this host has seen, not expired [5.4].
4. The snapshot is signed, is the one that the timestamp names (version, length, hash), and no role in it is older than
   seen or gone [5.5].
5. The top-level targets role and the product's role are signed, are the ones that the snapshot names, and have not
   expired [5.6].
6. A product's role lists ``<product>/*/*`` and nothing else; one entry outside makes the whole role void.
7. The highest seen is remembered apart from the files, so that damaged files cannot lower it (:mod:`.floor`). So are
   the keys of products that were exchanged: none of them comes back with an older list.
8. Time never runs backwards here: reference time = max(host clock, last refresh that succeeded, build time of this
   program). The server's clock plays no part.
9. Each role has a bound in bytes (:mod:`.limits`); where the signed list names a length, that is the bound.
10. A refused refresh changes no listing: answers keep coming from the last set that was verified up to the top-level
    targets, as long as that has not expired. The role of a product is verified when it is asked for: a refused one
    blocks that product and no other. Genuine files that came before the refused one are kept, as TUF wants it.
11. Expired metadata blocks new installs only: this module is not asked about what runs.
12. A mirror or a bundle that a person names is one refresh more, on the same files and floor: what it brings is kept,
    and the source's own metadata goes on from there. From a bundle alone the *expiry* of timestamp and snapshot is
    waived (:mod:`.offline`), and such a refresh is not remembered as a time: the clock that it was held against proved
    nothing, and one that is ahead would outlast its repair.

Not done here: downloading target files and checking them against ``length`` and ``sha256``; choosing a release, floors
of versions, channels, revocation (policy); two processes on one folder (the launcher lets one run); keys other than
ed25519; one key listed under two ids (publishing refuses to write that).

An unchanged refresh of a repository with one product of 20 releases took 1.1 ms (two cores, 1.9 ms with its listing).
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from fleetroll_common.trust import faults
from fleetroll_common.trust.floor import FloorBook
from fleetroll_common.trust.listing import Offered, not_listed, product_of, read_listing, read_policy, role_name
from fleetroll_common.trust.offline import OfflineUpdater
from fleetroll_common.trust.updater import DurableUpdater, Sight
from fleetroll_common.values.anchors import ANCHORS_PATH, Anchors, SignedAnchors
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, TrustError
from fleetroll_common.values.product_policy import policy_path
from fleetroll_common.values.release import check_product

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from fleetroll_common.trust.floor import Floor
    from fleetroll_common.trust.library import DelegatedRole, Signed, Targets
    from fleetroll_common.trust.listing import ListedTarget
    from fleetroll_common.trust.source import MetadataSource
    from fleetroll_common.values.clock import Clock

LOCK_WAIT_SECONDS = 120.0
"""Longer than a refresh over a slow line: a handful of small files, each with the source's own deadline."""

REMEMBER_SECONDS = 60
"""A refresh that changes nothing is remembered at most this often: syncing the disk for each would wear it."""

_SHOWN = ("timestamp.json", "snapshot.json", "targets.json")
_SHOWN_PRODUCTS = "products%2F*.json"
_SHOWN_ROOTS = 16
"""The newest ones: a server that was restored follows them from the newest that it has."""


class TrustClient:
    """Verified release metadata of one repository. Methods block and may be called from several threads."""

    def __init__(self, directory: Path, root: bytes, source: MetadataSource, clock: Clock, built_at: datetime) -> None:
        """Keep the parts; nothing is read or written before the first question.

        Args:
            directory: the folder of this client alone; made (0700) on first use.
            root: the pinned root metadata, the same bytes for the life of ``directory``.
            source: where files come from.
            clock: of this host.
            built_at: when this program was built, aware; no time before it is believed.
        """
        self._directory = directory
        self._root = root
        self._source = source
        self._clock = clock
        self._built_at = built_at
        self._lock = threading.Lock()
        self._verified: DurableUpdater | None = None

    def refresh(self) -> None:
        """Bring root, timestamp, snapshot and targets up to date with the source.

        Raises:
            TrustError: METADATA_ROLLBACK, METADATA_FREEZE, METADATA_MIXED, METADATA_ENDLESS, METADATA_INVALID,
                UNSIGNED: the repository, or who answers in its place; STORE_FAILED: this host's record of versions is
                damaged or lost.
            AgentError: DOWNLOAD_FAILED: a file could not be had, which is worth another try; DISK_FULL, STORE_FAILED:
                this host's disk; LOCKED: another refresh hangs.
        """
        with self._locked():
            self._refresh()

    def targets(self, product: str) -> tuple[ListedTarget, ...]:
        """Return all that the verified role of ``product`` lists, newest version first.

        Asks for a refresh when none has succeeded in this process, and fetches the product's role when it is not there.

        Raises:
            RequestError: ``product`` is no product's name (caller's fault).
            TrustError, AgentError: as for :meth:`refresh`; NOT_LISTED: there is no such product; WRONG_PRODUCT: its
                role lists something of another product; METADATA_ROLLBACK: its policy is older than this host has seen,
                or gone.
        """
        return self.ruled(product).targets

    def ruled(self, product: str) -> Offered:
        """Return what the verified role of ``product`` lists, and what its publisher rules; see :meth:`targets`."""
        role = role_name(check_product(product))
        with self._locked():
            updater = self._verified or self._refresh()
            delegation = _delegation(updater, role)
            with _explained(updater.sight):
                listed = updater.product_role(role)
            _require_fresh(updater, listed, self._reference_time(updater.floor))
            return _offered(updater, product, listed, delegation)

    def anchors(self) -> SignedAnchors | None:
        """Return where servers are and whom to trust there, as the top-level targets role says; None = it says nothing.

        Answers from the last refresh that succeeded in this process, else from a new one.

        Raises:
            TrustError, AgentError: as for :meth:`refresh`; METADATA_ROLLBACK: they are older than this host has seen,
                or gone; METADATA_INVALID: they can't be read.
        """
        with self._locked():
            return _anchors(self._verified or self._refresh())

    def target(self, path: str) -> ListedTarget:
        """Return the one target at ``path``, which the caller has computed itself.

        Raises:
            TrustError, AgentError, RequestError: as for :meth:`targets`; NOT_LISTED: no signed role has it.
        """
        for target in self.targets(product_of(path)):
            if target.path == path:
                return target
        raise not_listed(path)

    def offered(self, source: MetadataSource, product: str, *, bundle: bool) -> Offered:
        """Refresh once from ``source``, not the client's own, and return what the role of ``product`` lists there.

        What is newer than what this host has is kept as after any refresh; what is older is refused. Later questions
        to this client begin with a refresh from its own source: nothing is answered from what was superseded here, nor
        from what was waived.

        Args:
            source: a mirror or a bundle that a person named.
            product: whose releases are wanted.
            bundle: whether the expiry of timestamp and snapshot is waived. MUST be False for whatever others can put
                into its place on the way.

        Raises:
            RequestError, TrustError, AgentError: as for :meth:`targets`.
        """
        role = role_name(check_product(product))
        with self._locked():
            updater = self._bring(source, OfflineUpdater if bundle else DurableUpdater)
            self._verified = None
            delegation = _delegation(updater, role)
            with _explained(updater.sight):
                listed = updater.product_role(role)
            return _offered(updater, product, listed, delegation)

    def carried_anchors(self, source: MetadataSource) -> tuple[SignedAnchors | None, tuple[str, ...]]:
        """Refresh once from ``source``, which a person carries, and return its anchors, and what was waived for it.

        As :meth:`offered` with ``bundle``, but that no product is asked for.

        Raises:
            TrustError, AgentError: as for :meth:`anchors`.
        """
        with self._locked():
            updater = self._bring(source, OfflineUpdater)
            self._verified = None
            return _anchors(updater), updater.waived

    @property
    def timestamp_version(self) -> int:
        """Return the version of the timestamp of the last refresh that succeeded in this process; 0 = none did."""
        verified = self._verified
        return 0 if verified is None else verified.timestamp.version

    @property
    def known_time(self) -> datetime:
        """Return the latest instant that has surely passed, aware: this program's making, or the last refresh.

        Raises:
            TrustError, AgentError: as for :meth:`refresh`, but for what concerns the source.
        """
        with self._locked(), _explained(Sight("root", data=self._root)):
            return self._passed(FloorBook(self._directory, self._root).floor)

    def host_files(self) -> dict[str, bytes]:
        """Return the trusted timestamp, snapshot, targets and products as they were signed, by name without version.

        The newest roots come with them, by name with version, such as ``2.root.json``.

        They are shown to a restored server, which verifies them itself; what is not there is left out.

        Raises:
            AgentError: LOCKED, or the disk refused.
        """
        with self._locked(), _explained(Sight("timestamp")):
            names = [self._directory / name for name in _SHOWN] + sorted(self._directory.glob(_SHOWN_PRODUCTS))
            names += self._roots()[-_SHOWN_ROOTS:]
            return {path.name: path.read_bytes() for path in names if path.is_file()}

    def _roots(self) -> list[Path]:
        """Return the kept roots, oldest first."""
        known = (self._directory / "root_history").glob("*.root.json")
        numbered = [(path.name.partition(".")[0], path) for path in known]
        return [path for number, path in sorted((int(one), path) for one, path in numbered if one.isdecimal())]

    def _refresh(self) -> DurableUpdater:
        """Do one refresh with the lock held; what was verified before stays in force when it fails."""
        self._verified = self._bring(self._source, DurableUpdater)
        return self._verified

    def _bring(self, source: MetadataSource, kind: type[DurableUpdater]) -> DurableUpdater:
        """Bring the files up to date with ``source``, by the rules of ``kind``."""
        sight = Sight("root", data=self._root)
        with _explained(sight):
            book = FloorBook(self._directory, self._root)
            reference_time = self._reference_time(book.floor)
            updater = kind(book, self._root, source, reference_time, sight)
            updater.refresh()
            updater.admit_product_keys()
            checked_at = int(reference_time.timestamp())
            if not updater.waived and checked_at >= book.floor.checked_at + REMEMBER_SECONDS:
                book.put(replace(book.floor, checked_at=checked_at))
        return updater

    def _reference_time(self, floor: Floor) -> datetime:
        """Return the time that expiry is measured against (rule 8)."""
        return max(self._clock.now(), self._passed(floor))

    def _passed(self, floor: Floor) -> datetime:
        """Return the latest instant that this host knows to have passed."""
        return max(floor.reference_time, self._built_at)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the folder."""
        if not self._lock.acquire(timeout=LOCK_WAIT_SECONDS):
            raise AgentError(
                "another refresh of signed metadata has not ended",
                code=Code.LOCKED,
                remedy="it has a deadline of its own: try again",
            )
        try:
            yield
        finally:
            self._lock.release()


@contextmanager
def _explained(sight: Sight) -> Iterator[None]:
    """Turn what the library, the source and the disk raise into the error with the code of the attack."""
    try:
        yield
    except faults.CAUSES as error:
        raise faults.explain(error, sight) from error


def _offered(updater: DurableUpdater, product: str, listed: Targets, delegation: DelegatedRole) -> Offered:
    """Return what a verified role says, once its policy was held against what this host has seen."""
    listing = read_listing(product, listed, delegation)
    policy = read_policy(product, listing)
    with _explained(updater.sight):
        updater.admit_serial(policy_path(product), 0 if policy is None else policy.serial, role_name(product))
    return Offered(listing, updater.waived, policy)


def _anchors(updater: DurableUpdater) -> SignedAnchors | None:
    """Return the anchors of a verified set, once they were held against what this host has seen."""
    found = updater.top_targets.targets.get(ANCHORS_PATH)
    custom = None if found is None else found.custom
    anchors = None if found is None else Anchors.from_json(custom if isinstance(custom, dict) else {})
    with _explained(updater.sight):
        keys = updater.admit_serial(ANCHORS_PATH, 0 if anchors is None else anchors.serial, "targets")
    return None if anchors is None else SignedAnchors(anchors, keys)


def _delegation(updater: DurableUpdater, role: str) -> DelegatedRole:
    """Return how the top-level targets role delegates to ``role``."""
    delegations = updater.top_targets.delegations
    roles = (delegations.roles if delegations else None) or {}
    if role not in roles:
        raise TrustError(
            f"the repository has no role {role!r}",
            code=Code.NOT_LISTED,
            remedy="add the product to the repository first",
            role=role,
        )
    return roles[role]


def _require_fresh(updater: DurableUpdater, listed: Targets, now: datetime) -> None:
    """Refuse an answer from metadata that has expired since it was verified."""
    chain: tuple[tuple[str, Signed], ...] = (
        ("root", updater.root),
        ("timestamp", updater.timestamp),
        ("snapshot", updater.snapshot),
        ("targets", updater.top_targets),
        ("the product's role", listed),
    )
    for name, signed in chain:
        if signed.is_expired(now):
            raise TrustError(
                f"{name} has expired since the last refresh, at {signed.expires:%Y-%m-%dT%H:%M:%SZ}",
                code=Code.METADATA_FREEZE,
                remedy="refresh; when that fails too, sign it again, or check this host's clock",
                role=name,
            )
