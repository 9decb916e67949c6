"""Signing what changed into the lists that hosts follow: snapshot and timestamp, checked as a whole. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from fleetroll_common.trust.library import Metadata, Snapshot, Timestamp
from fleetroll_publishing import gate
from fleetroll_publishing.demands import ONLINE_ROLES
from fleetroll_publishing.roles import (
    SPEC_VERSION,
    TIMESTAMP_FILE,
    describe,
    file_name,
    meta_name,
    read_repository,
    read_role,
    sign_role,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fleetroll_common.trust.library import Signer
    from fleetroll_publishing.signers import RoleSigners


@dataclass(frozen=True, slots=True)
class Expiries:
    """How long signatures count. Expired metadata blocks new installs, never what runs.

    Attributes:
        root: offline keys are used rarely.
        targets: the same.
        product: releases come more often than this.
        snapshot: signed again with each release, and at half of its life.
        timestamp: signed again every hour; a host that is shown nothing newer notices after this.
    """

    root: timedelta = timedelta(days=365)
    targets: timedelta = timedelta(days=365)
    product: timedelta = timedelta(days=365)
    snapshot: timedelta = timedelta(days=7)
    timestamp: timedelta = timedelta(days=1)


DEFAULT_EXPIRIES = Expiries()


@dataclass(frozen=True, slots=True)
class Act:
    """What one change of the lists works with: the snapshot is a fresh value, numbered as the next one."""

    files: Mapping[str, bytes]
    snapshot: Snapshot
    timestamp_version: int
    signers: RoleSigners
    now: datetime
    expiries: Expiries


def following(files: Mapping[str, bytes], signers: RoleSigners, now: datetime, expiries: Expiries) -> Act:
    """Return the act that follows what ``files`` are."""
    repository = read_repository(files)
    repository.snapshot.version += 1
    return Act(files, repository.snapshot, repository.timestamp.version + 1, signers, now, expiries)


def seal(act: Act, new: Mapping[str, bytes], versions: Mapping[str, int]) -> dict[str, bytes]:
    """Return ``new`` with the snapshot that lists it and the timestamp over that, checked as a whole.

    Args:
        act: what was, and who signs.
        new: signed files.
        versions: by role, which of them the snapshot lists.
    """
    by = {role: [act.signers.of(role)] for role in ONLINE_ROLES}
    sealed = _listed(act, new, versions, by)
    gate.check_repository({**act.files, **sealed})
    return sealed


def leave_unsigned(act: Act, new: Mapping[str, bytes], versions: Mapping[str, int]) -> dict[str, bytes]:
    """Return the same with lists that nobody has signed: no host takes them, and whoever gets keys goes on from them.

    For a newest root that names keys which are elsewhere. What its older keys signed would be nothing but a lie then.
    """
    unsigned = _listed(act, new, versions, dict.fromkeys(ONLINE_ROLES, ()))
    gate.check_repository({**act.files, **unsigned}, unsigned_lists=True)
    return unsigned


def is_signed(timestamp: bytes) -> bool:
    """Tell whether anybody has signed a timestamp: lists are signed both, or neither of them is.

    Raises:
        StoreError: it is unreadable (whoever keeps the files).
    """
    read_role({TIMESTAMP_FILE: timestamp}, Timestamp, TIMESTAMP_FILE)
    return bool(Metadata.from_bytes(timestamp).signatures)


def _listed(
    act: Act, new: Mapping[str, bytes], versions: Mapping[str, int], by: Mapping[str, Sequence[Signer]]
) -> dict[str, bytes]:
    """Return ``new`` and the lists over it, signed ``by`` these."""
    snapshot = act.snapshot
    for role, version in versions.items():
        snapshot.meta[meta_name(role)] = describe(version, new[file_name(role, version)])
    snapshot.expires = in_utc(act.now + act.expiries.snapshot)
    snapshot_bytes = sign_role(snapshot, by["snapshot"])
    listed = describe(snapshot.version, snapshot_bytes)
    timestamp = Timestamp(act.timestamp_version, SPEC_VERSION, in_utc(act.now + act.expiries.timestamp), listed)
    return {
        **new,
        file_name("snapshot", snapshot.version): snapshot_bytes,
        TIMESTAMP_FILE: sign_role(timestamp, by["timestamp"]),
    }


def in_utc(instant: datetime) -> datetime:
    """Return ``instant`` (aware) in UTC, as metadata wants it."""
    return instant.astimezone(timezone.utc)
