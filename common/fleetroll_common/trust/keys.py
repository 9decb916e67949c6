"""Ed25519 public keys of signed metadata, verified by libsodium.

A host carries PyNaCl for its own identity and nothing else that computes signatures, so the key class of the metadata
library, which wants a second crypto library or falls back to slow pure Python, is replaced here. Importing this module
registers the class: every ``ed25519`` key in metadata that is read afterwards becomes a :class:`NaClKey`.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from nacl.exceptions import CryptoError
from nacl.signing import VerifyKey

from fleetroll_common.trust.library import (
    KEY_FOR_TYPE_AND_SCHEME,
    Key,
    Signature,
    UnverifiedSignatureError,
    encode_canonical,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_TYPE = "ed25519"
SCHEME = "ed25519"

_PUBLIC = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SIGNATURE = re.compile(r"[0-9a-f]{128}", re.ASCII)


def key_id(public: str) -> str:
    """Return the id that a key's content gives it: SHA-256 over its normal form, hex.

    Args:
        public: 64 small hex digits.
    """
    content = encode_canonical({"keytype": KEY_TYPE, "scheme": SCHEME, "keyval": {"public": public}})
    return hashlib.sha256(str(content).encode()).hexdigest()


class NaClKey(Key):
    """One public key: 32 bytes, written as 64 small hex digits."""

    def __init__(self, keyid: str, public: str, unrecognized_fields: Mapping[str, Any] | None = None) -> None:
        """Keep the parts.

        Raises:
            TypeError, ValueError: ``public`` is not 64 small hex digits (whoever wrote the metadata).
        """
        if _PUBLIC.fullmatch(public) is None:
            raise ValueError("an ed25519 public key is written as 64 small hex digits")
        super().__init__(keyid, KEY_TYPE, SCHEME, {"public": public}, dict(unrecognized_fields or {}))
        self._verify_key = VerifyKey(bytes.fromhex(public))

    @classmethod
    def from_dict(cls, keyid: str, key_dict: dict[str, Any]) -> NaClKey:
        """Read the form that stands in metadata.

        Raises:
            KeyError, TypeError, ValueError: it is no such key (whoever wrote the metadata).
        """
        _, _, keyval = cls._from_dict(key_dict)
        if set(keyval) != {"public"}:
            raise ValueError("an ed25519 key has one value, 'public'")
        return cls(keyid, keyval["public"], key_dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the form that stands in metadata."""
        return self._to_dict()

    def verify_signature(self, signature: Signature, data: bytes) -> None:
        """Return when ``signature`` is this key's over ``data``.

        There is one accepted spelling of a signature: a file with a changed byte never counts as the same file.

        Raises:
            UnverifiedSignatureError: it is not (whoever made the bytes).
        """
        text = str(signature.signature)
        if signature.keyid != self.keyid or _SIGNATURE.fullmatch(text) is None:
            raise UnverifiedSignatureError(f"no signature by {self.keyid}")
        try:
            self._verify_key.verify(data, bytes.fromhex(text))
        except (CryptoError, ValueError) as error:
            raise UnverifiedSignatureError(f"the signature by {self.keyid} does not fit") from error


KEY_FOR_TYPE_AND_SCHEME[KEY_TYPE, SCHEME] = NaClKey
