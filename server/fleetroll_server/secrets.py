"""Secrets at rest: what is secret in the database or in files is sealed under one key in a file of its own.

Whoever has the database without ``secret.key`` can make no session token, sign no metadata and pass for no server.
Whoever has both has the server.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from fleetroll_common.durable import create_durably
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_common.values.ids import IdSource

KEY_BYTES = SecretBox.KEY_SIZE


class Secrets:
    """Seals and opens. The key never shows in ``repr``."""

    def __init__(self, key: bytes) -> None:
        """Use ``key``, 32 bytes."""
        self._box = SecretBox(key)

    @classmethod
    def create(cls, path: Path, ids: IdSource) -> Secrets:
        """Make a new key file (0600).

        Raises:
            FileExistsError: there is one.
        """
        key = ids.token(KEY_BYTES)
        create_durably(path, key.hex().encode() + b"\n")
        return cls(key)

    @classmethod
    def load(cls, path: Path) -> Secrets:
        """Read the key file.

        Raises:
            StoreError: it is missing or damaged (operator's fault).
        """
        try:
            key = bytes.fromhex(path.read_text("ascii").strip())
        except (OSError, ValueError) as error:
            raise _unusable(path) from error
        if len(key) != KEY_BYTES:
            raise _unusable(path)
        return cls(key)

    def seal(self, data: bytes) -> str:
        """Return ``data`` sealed, as text."""
        return base64.b64encode(bytes(self._box.encrypt(data))).decode("ascii")

    def open(self, sealed: str) -> bytes:
        """Return what was sealed.

        Raises:
            StoreError: it was sealed under another key or is damaged (operator's fault).
        """
        try:
            return self._box.decrypt(base64.b64decode(sealed, validate=True))
        except (CryptoError, ValueError) as error:
            message = "a secret in the database is not opened by this data folder's secret.key"
            remedy = "bring back the secret.key that belongs to this database"
            raise StoreError(message, code=Code.STORE_FAILED, remedy=remedy) from error


def _unusable(path: Path) -> StoreError:
    """Return the error about the key file."""
    return StoreError(
        f"{path} is missing or damaged: no secret of this server can be opened",
        code=Code.STORE_FAILED,
        remedy="bring the file back from a backup of the data folder",
    )
