"""Secrets that tokens are: 32 random bytes, shown once, stored as their SHA-256.

A plain hash is enough for them: nobody guesses 256 random bits, so there is nothing that a slow hash would slow down.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetroll_common.values.ids import IdSource

SECRET_BYTES = 32
MAX_SECRET_CHARS = 256
"""What a join string carries at most; longer words are no tokens."""


def new_secret(ids: IdSource) -> str:
    """Return a fresh secret: 43 characters of URL-safe base 64."""
    return base64.urlsafe_b64encode(ids.token(SECRET_BYTES)).decode("ascii").rstrip("=")


def hashed(secret: str) -> bytes:
    """Return what is stored of ``secret``."""
    return hashlib.sha256(secret.encode()).digest()
