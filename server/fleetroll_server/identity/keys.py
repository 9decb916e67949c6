"""Changes of an agent's key and standing, as pure functions over its row: rotation, revocation, readmission.

The caller commits the returned row, and the retired keys with it, in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.wire.handshake import RATCHET_BYTES, require_size
from fleetroll_common.wire.signing import KEY_BYTES
from fleetroll_server.identity.ratchet import IdentityRow

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True, slots=True)
class Readmission:
    """What one transaction writes when the right host comes back with a new key.

    Attributes:
        row: the new row: new key, new ratchet, no quarantine, a higher epoch (older sessions and tokens end).
        retired_keys: keys that end now. These *and every key of this agent that was retired before* MUST be kept as
            ``Retirement.READMITTED``: the wrong host may hold an older one, and would quarantine the right one again.
    """

    row: IdentityRow
    retired_keys: tuple[bytes, ...]


def enrolled(public_key: bytes, ratchet: bytes) -> IdentityRow:
    """Return the row of a new agent.

    Raises:
        RequestError: INVALID_ARGUMENT: a part has the wrong size (agent's fault).
    """
    require_size("public_key", public_key, KEY_BYTES)
    require_size("ratchet", ratchet, RATCHET_BYTES)
    return IdentityRow(public_key=public_key, acked=ratchet)


def offer_key(row: IdentityRow, new_key: bytes, retired: Collection[bytes]) -> IdentityRow:
    """Hold ``new_key`` beside the key in force until the first hello with it. Asking twice changes nothing.

    The caller has verified both signatures (:func:`fleetroll_common.wire.signing.rotate_bytes`), and that they came
    over the agent's newest session.

    Args:
        row: the agent's row.
        new_key: 32 bytes.
        retired: keys that were this agent's once.

    Raises:
        RequestError: INVALID_ARGUMENT: the key has the wrong size, is in force already, or was retired (agent's fault).
    """
    require_size("new_key", new_key, KEY_BYTES)
    if new_key == row.public_key or new_key in retired:
        remedy = "make a new key; none is used twice"
        raise RequestError(
            "new_key: it is or was this agent's", code=Code.INVALID_ARGUMENT, remedy=remedy, field="new_key"
        )
    return replace(row, next_key=new_key)


def revoke(row: IdentityRow) -> IdentityRow:
    """Return the row of an identity that is refused from now on; its tokens die with the old epoch."""
    return replace(row, revoked=True, epoch=row.epoch + 1)


def readmit(row: IdentityRow, new_key: bytes, ratchet: bytes, retired: Collection[bytes]) -> Readmission:
    """Give the identity to the host that holds ``new_key``, and to no other.

    It never merely resets the ratchet: with the old key still in force a copy could fork it again for ever.

    Args:
        row: the agent's row.
        new_key: made on the right host for this readmission, 32 bytes.
        ratchet: that host's first ratchet, 32 bytes.
        retired: keys that were this agent's once.

    Raises:
        RequestError: INVALID_ARGUMENT: a part has the wrong size, or the key is not a new one; IDENTITY_REVOKED: a
            revoked identity comes back as a new one only.
    """
    require_size("new_key", new_key, KEY_BYTES)
    require_size("ratchet", ratchet, RATCHET_BYTES)
    if row.revoked:
        remedy = "enroll the host as a new agent"
        raise RequestError("agent: it is revoked", code=Code.IDENTITY_REVOKED, remedy=remedy)
    former = tuple(key for key in (row.public_key, row.next_key) if key is not None)
    if new_key in former or new_key in retired:
        remedy = "remove the host's identity folder and enroll again"
        raise RequestError(
            "public_key: it is not a new key", code=Code.INVALID_ARGUMENT, remedy=remedy, field="public_key"
        )
    return Readmission(replace(enrolled(new_key, ratchet), epoch=row.epoch + 1), former)
