"""The release manifest that a build pipeline writes: what is released, under an HMAC. Pure.

There is exactly one text that is signed: JSON of all fields but the signature, sorted, without spaces, UTF-8 (what
``jq -cSj 'del(.signature)'`` writes). The manifest itself may be written in any form of JSON. Whoever knows the secret
can make one, so it says where a release comes from, not that hosts may run it: that is the signed metadata's part.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_common.values.signed_fields import MAX_TEXT_CHARS, name_fault, refuse, take
from fleetroll_common.values.version import Version

MAX_RELEASE_MANIFEST_BYTES = 64 * 1024
"""More than any can have: the longest text takes twelve bytes for each letter when all are escaped."""

_SHA = re.compile(r"[0-9a-f]{7,64}", re.ASCII)
_SIGNATURE = re.compile(r"[0-9a-f]{64}", re.ASCII)
_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)",
    re.ASCII,
)
_FIELDS = frozenset(
    {"version", "sha", "channel", "migrations_required", "breaking_changes", "released_at", "signature"}
)
_OLDEST_YEAR = 2000
"""Before any release."""


@dataclass(frozen=True, slots=True)
class ReleaseManifest:
    """One release.

    Attributes:
        version: semantic version.
        sha: 7 to 64 small hex digits: the commit.
        channel: one name, ``[a-z][a-z0-9-]{0,62}``.
        migrations_required: whether the product's data has to be migrated.
        breaking_changes: text for people, 1 to 4096 characters, or None.
        released_at: RFC 3339, as it was written: the signature covers the text.
        signature: 64 small hex digits, or empty in one that is to be signed.
    """

    version: Version
    sha: str
    channel: str
    migrations_required: bool
    breaking_changes: str | None
    released_at: str
    signature: str = ""

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            RequestError: a field is out of bounds; it is named in the details (caller's fault).
        """
        faults = {
            "sha": "" if _SHA.fullmatch(self.sha) else f"{self.sha[:80]!a} is not 7 to 64 small hex digits",
            "channel": name_fault(self.channel),
            "breaking_changes": _text_fault(self.breaking_changes),
            "signature": "" if _SIGNATURE.fullmatch(self.signature or "0" * 64) else "is not 64 small hex digits",
        }
        for name, fault in faults.items():
            if fault:
                refuse(name, fault)
        _read_instant(self.released_at)

    @classmethod
    def parse(cls, data: bytes) -> ReleaseManifest:
        """Read a manifest, 1 byte to 64 KiB. Its signature is not looked at: :meth:`verify` does that.

        Raises:
            RequestError: it is no JSON object, or a field is unknown, missing, there twice or wrong: it is named in the
                details (whoever wrote it).
        """
        document = _document(data)
        for name in sorted(set(document) - _FIELDS):
            refuse(ascii(name[:40])[1:-1], "is no field of a release manifest")
        if not take(document, "signature", str):
            refuse("signature", "is empty")
        return cls(
            version=Version.parse(take(document, "version", str)),
            sha=take(document, "sha", str),
            channel=take(document, "channel", str),
            migrations_required=take(document, "migrations_required", bool),
            breaking_changes=take(document, "breaking_changes", str, type(None)),
            released_at=take(document, "released_at", str),
            signature=document["signature"],
        )

    @property
    def released(self) -> datetime:
        """Return when it was released: aware UTC, whole seconds."""
        return _read_instant(self.released_at)

    def canonical(self) -> bytes:
        """Return the one text that is signed."""
        return _dump(self._fields())

    def dump(self) -> bytes:
        """Return the whole manifest in the same form, closed by a newline."""
        return _dump(self._fields() | {"signature": self.signature}) + b"\n"

    def signed(self, secret: bytes) -> ReleaseManifest:
        """Return this manifest with its signature; ``secret`` MUST not be empty."""
        return replace(self, signature=_mac(secret, self.canonical()))

    def verify(self, secret: bytes) -> None:
        """Return when the signature was made with ``secret``; the comparison takes the same time wherever they differ.

        Raises:
            TrustError: BAD_SIGNATURE: it was made with another secret, or of other fields.
        """
        if not hmac.compare_digest(_mac(secret, self.canonical()), self.signature):
            raise TrustError(
                "signature: it was not made of these fields with this secret",
                code=Code.BAD_SIGNATURE,
                remedy="sign the manifest again with the secret that is used here; nothing may be changed afterwards",
                field="signature",
            )

    def _fields(self) -> dict[str, Any]:
        """Return the fields that are signed."""
        return {
            "version": str(self.version),
            "sha": self.sha,
            "channel": self.channel,
            "migrations_required": self.migrations_required,
            "breaking_changes": self.breaking_changes,
            "released_at": self.released_at,
        }


def _document(data: bytes) -> dict[str, Any]:
    """Read a JSON object in which no name stands twice."""
    if not 1 <= len(data) <= MAX_RELEASE_MANIFEST_BYTES:
        refuse("manifest", f"{len(data)} bytes, 1 to {MAX_RELEASE_MANIFEST_BYTES} are allowed")
    try:
        document = json.loads(data.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        refuse("manifest", "is no JSON in UTF-8", error)
    if not isinstance(document, dict):
        refuse("manifest", "is no JSON object")
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; of two values for one name nobody could tell which is signed."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        refuse(ascii(twice[:40])[1:-1], "stands there twice")
    return found


def _text_fault(text: str | None) -> str:
    """Say why a text is refused."""
    if text is None:
        return ""
    if not 1 <= len(text) <= MAX_TEXT_CHARS:
        return f"must have 1 to {MAX_TEXT_CHARS} characters, or be null"
    odd = any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t\r" for char in text)
    return "holds a control character, or half of one" if odd else ""


def _read_instant(text: str) -> datetime:
    """Read an instant of RFC 3339; fractions of a second are cut off."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        refuse("released_at", f"is not written like 2026-05-01T12:00:00Z: {text[:40]!a}")
    zone = "+00:00" if match[3] == "Z" else match[3]
    try:
        found = datetime.fromisoformat(f"{match[1]}{zone}").astimezone(timezone.utc)
    except (ValueError, OverflowError) as error:
        refuse("released_at", f"is no date: {text[:40]!a}", error)
    if found.year < _OLDEST_YEAR:
        refuse("released_at", f"is before the year {_OLDEST_YEAR}: {text[:40]!a}")
    return found


def _dump(fields: dict[str, Any]) -> bytes:
    """Return the canonical form."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def _mac(secret: bytes, data: bytes) -> str:
    """Return the HMAC in small hex digits."""
    if not secret:
        message = "secret: it is empty"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="make a random one", field="secret")
    return hmac.new(secret, data, hashlib.sha256).hexdigest()
