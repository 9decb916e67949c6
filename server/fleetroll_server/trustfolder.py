"""What a key ceremony gives a server: the first signed files, and the two keys that it signs with hour by hour.

The folder is carried from the machine on which the keys were made. Its keys are locked with a secret that was shown
once there, and is typed in here once: whoever finds the folder alone has nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.demands import ONLINE_ROLES
from fleetroll_publishing.gate import check_repository
from fleetroll_publishing.keys import SECRET_KEY_BYTES, PrivateKey, SecretKey, load_key
from fleetroll_publishing.roles import read_repository

if TYPE_CHECKING:
    from pathlib import Path

METADATA = "metadata"
"""The folder of signed files inside of it."""


@dataclass(frozen=True, slots=True)
class Trust:
    """One such folder.

    Attributes:
        folder: as ``fleetroll keys init`` made it (``for-server``).
        secret: that opens its keys, 64 hex digits.
    """

    folder: Path
    secret: str = field(repr=False)

    def read(self) -> tuple[dict[str, PrivateKey], dict[str, bytes]]:
        """Return the online keys by role, and the signed files by name, all of it verified.

        Raises:
            RequestError: no such folder, another secret, or keys that the root does not name (operator's fault).
            TrustError: the files can't be trusted.
            StoreError: a file is missing or unreadable.
            OSError: the disk refused.
        """
        files = {path.name: path.read_bytes() for path in sorted((self.folder / METADATA).glob("*.json"))}
        if not files:
            message = f"trust: {self.folder} is no folder that a key ceremony made for a server"
            remedy = "name the folder for-server of `fleetroll keys init`"
            raise RequestError(message, code=Code.NOT_FOUND, remedy=remedy, field="trust")
        check_repository(files)
        root, secret = read_repository(files).root, self._secret()
        keys = {role: load_key(self.folder / f"{role}.key", secret) for role in ONLINE_ROLES}
        for role, key in keys.items():
            if key.public.keyid not in root.roles[role].keyids:
                message = f"trust: {role}.key is not the key that the root names for {role}"
                raise RequestError(
                    message, code=Code.INVALID_ARGUMENT, remedy="bring all of one ceremony's folder", field="trust"
                )
        return keys, files

    def _secret(self) -> SecretKey:
        """Return the secret as bytes."""
        try:
            value = bytes.fromhex(self.secret.strip())
        except ValueError:
            value = b""
        if len(value) != SECRET_KEY_BYTES:
            message = f"trust-secret: it is not {2 * SECRET_KEY_BYTES} hex digits"
            raise RequestError(
                message, code=Code.INVALID_ARGUMENT, remedy="type what the ceremony showed", field="trust-secret"
            )
        return SecretKey(value)
