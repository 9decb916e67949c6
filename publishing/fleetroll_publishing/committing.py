"""Signing the lists over root, targets and products that were signed elsewhere: they become the newest ones. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_publishing.commit_gate import check_commit
from fleetroll_publishing.demands import ONLINE_ROLES
from fleetroll_publishing.sealing import DEFAULT_EXPIRIES, Expiries, following, seal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_publishing.signers import RoleSigners


def seal_commit(
    files: Mapping[str, bytes],
    new: Mapping[str, bytes],
    signers: RoleSigners,
    now: datetime,
    *,
    used: Mapping[str, str] | None = None,
    expiries: Expiries = DEFAULT_EXPIRIES,
) -> dict[str, bytes]:
    """Return ``new`` with the snapshot that lists it and the timestamp, in the order in which they are stored.

    Args:
        files: the repository as it is.
        new: the files that were signed elsewhere.
        signers: of snapshot and timestamp, with the keys that the newest root names, be it among ``new``.
        now: aware.
        used: role by public value, of keys that older files have named.
        expiries: of the two lists.

    Raises:
        RequestError, TrustError, StoreError: what :func:`~fleetroll_publishing.commit_gate.check_commit` refuses;
            NOT_ALLOWED: the root names an online key that is not here.
    """
    commit = check_commit(files, new, now, used)
    for role in ONLINE_ROLES:
        signers.enough(role, commit.root.roles[role])
    return seal(following(files, signers, now, expiries), new, commit.listed)
