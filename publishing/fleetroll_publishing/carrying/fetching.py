"""Targets on their way from a repository: counted and hashed, piece by piece."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import TrustError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll_common.trust import ListedTarget
    from fleetroll_publishing.carrying.chain import Remote


def checked(remote: Remote, target: ListedTarget) -> Iterator[bytes]:
    """Yield the bytes of ``target``; whoever takes them all has the signed ones.

    Raises:
        TrustError: WRONG_HASH: they are not, or more of them come (the source's fault); at the last piece at latest.
        FleetrollError: they can't be had.
    """
    digest, size = hashlib.sha256(), 0
    for piece in remote.target(target.path):
        size += len(piece)
        if size > target.length:
            raise _wrong(target, f"more than the signed {target.length} bytes came")
        digest.update(piece)
        yield piece
    if size != target.length:
        raise _wrong(target, f"{size} bytes came, {target.length} are signed")
    if digest.hexdigest() != target.sha256:
        raise _wrong(target, "what came has not the signed hash")


def _wrong(target: ListedTarget, fault: str) -> TrustError:
    """Return the error that names the target."""
    remedy = "look at the artefact on the server; nothing was taken"
    return TrustError(f"{target.path}: {fault}", code=Code.WRONG_HASH, remedy=remedy, path=target.path)
