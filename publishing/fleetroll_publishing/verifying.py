"""One signed file against the role that names its keys, as a host looks at it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_common.trust.library import Metadata, RepositoryError
from fleetroll_common.trust.limits import bytes_max
from fleetroll_common.trust.updater import require_plain
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import TrustError

if TYPE_CHECKING:
    from fleetroll_common.trust.library import Root, Signed, Targets


def verified(data: bytes, role: str, delegator: Root | Targets | None) -> Signed:
    """Return the signed part of ``data``; a first root has no delegator but itself.

    Args:
        data: the file.
        role: whose it has to be.
        delegator: which names the role's keys; None = signatures are looked at later.

    Raises:
        TrustError: METADATA_ENDLESS, METADATA_INVALID, UNSIGNED; the role is in the details.
    """
    if len(data) > bytes_max(role):
        raise untrusted(Code.METADATA_ENDLESS, role, f"has {len(data)} bytes, a host reads {bytes_max(role)}")
    try:
        require_plain(data)
        metadata: Metadata[Any] = Metadata.from_bytes(data)
    except RepositoryError as error:
        raise untrusted(Code.METADATA_INVALID, role, "is unreadable") from error
    if delegator is not None:
        try:
            delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        except (RepositoryError, ValueError) as error:
            raise untrusted(Code.UNSIGNED, role, "is not signed by enough of its keys") from error
    signed: Signed = metadata.signed
    return signed


def untrusted(code: Code, role: str, what: str) -> TrustError:
    """Return the error about bytes."""
    return TrustError(f"{role} {what}", code=code, remedy="sign it again, with the right keys", role=role)
