"""Whether the root that a host keeps is still one: a damaged one is replaced when the host gets another key."""

from __future__ import annotations

from typing import Any

from fleetroll_common.trust.library import Metadata, RepositoryError, Root


def is_root(data: bytes) -> bool:
    """Tell whether ``data`` is a root that its own keys have signed."""
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(data)
        if not isinstance(metadata.signed, Root):
            return False
        metadata.signed.verify_delegate(Root.type, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError):
        return False
    return True
