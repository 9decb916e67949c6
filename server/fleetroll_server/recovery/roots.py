"""The roots that hosts show to a database that went back: followed one by one from the newest that is here. Pure.

A root that came after the backup names other keys; what they have signed is verified only once that root is here. Each
step needs the signatures of the root before it and of the new one's own keys, as on a host. Expiry is not looked at: a
newer one may follow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_common.trust.library import DeserializationError, Metadata, RepositoryError, Root
from fleetroll_publishing.demands import ONLINE_ROLES
from fleetroll_publishing.roles import file_name, read_newest_root

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fleetroll_common.trust.library import Role, Signer
    from fleetroll_publishing.signers import RoleSigners


def newer_roots(known: Mapping[str, bytes], shown: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the roots among ``shown`` that follow the newest of ``known`` without a gap, by their names.

    Raises:
        StoreError: the server's own files are damaged (our fault).
    """
    root, found = read_newest_root(known), dict[str, bytes]()
    while (data := shown.get(name := file_name("root", root.version + 1))) is not None:
        after = _follows(root, data)
        if after is None:
            break
        root, found[name] = after, data
    return found


def unheld_roles(root: Root, signers: RoleSigners) -> tuple[str, ...]:
    """Return of snapshot and timestamp those that ``root`` gives to keys which are not here.

    The server can sign nothing under such a root: these keys have to be exchanged.
    """
    return tuple(role for role in ONLINE_ROLES if not _has_enough(root.roles[role], signers.every(role)))


def _has_enough(named: Role, signers: Sequence[Signer]) -> bool:
    """Tell whether enough of the keys that are named are here."""
    return len({one.public_key.keyid for one in signers} & set(named.keyids)) >= named.threshold


def _follows(root: Root, data: bytes) -> Root | None:
    """Return the root in ``data`` where it is the next one; nothing for any other."""
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(data)
        after = metadata.signed
        if not isinstance(after, Root) or after.version != root.version + 1:
            return None
        for delegator in (root, after):
            delegator.verify_delegate("root", metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, DeserializationError, ValueError):
        return None
    return after
