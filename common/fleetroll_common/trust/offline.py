"""The one thing that a bundle is forgiven: that its timestamp and snapshot have expired.

Both are signed for days, so that a server which shows old metadata is noticed; a bundle is carried by a person, and is
old by nature. Everything else stays as :class:`~fleetroll_common.trust.updater.DurableUpdater` has it: signatures from
the pinned root on, versions not below the floor, hashes and lengths, and the expiry of root, targets and products.

Two checks of the metadata library are replaced. Should it ever stop asking them under these names, nothing is waived.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_common.trust.library import (
    BadVersionNumberError,
    EnvelopeType,
    Snapshot,
    Timestamp,
    TrustedMetadataSet,
)
from fleetroll_common.trust.updater import DurableUpdater

if TYPE_CHECKING:
    from datetime import datetime

    from fleetroll_common.trust.floor import FloorBook
    from fleetroll_common.trust.source import MetadataSource
    from fleetroll_common.trust.updater import Sight


class _CarriedSet(TrustedMetadataSet):
    """Verified metadata whose two lists may have expired."""

    def _check_final_timestamp(self) -> None:
        """Pass: expiry is all that is looked at here."""

    def _check_final_snapshot(self) -> None:
        """Refuse the snapshot when it is not the version that the timestamp names."""
        wanted = self.timestamp.snapshot_meta.version
        if self.snapshot.version != wanted:
            raise BadVersionNumberError(f"Expected snapshot version {wanted}, got {self.snapshot.version}")


class OfflineUpdater(DurableUpdater):
    """One refresh from a bundle."""

    def __init__(
        self, book: FloorBook, root: bytes, source: MetadataSource, reference_time: datetime, sight: Sight
    ) -> None:
        """Begin as any refresh does; raises the same."""
        super().__init__(book, root, source, reference_time, sight)
        self._trusted_set = _CarriedSet(root, EnvelopeType.METADATA)
        self._trusted_set.reference_time = reference_time

    @property
    def waived(self) -> tuple[str, ...]:
        """Return the roles whose expiry was passed over, once the refresh has succeeded."""
        lists = ((Timestamp.type, self.timestamp), (Snapshot.type, self.snapshot))
        return tuple(role for role, signed in lists if signed.is_expired(self._trusted_set.reference_time))
